"""Options that several commands share, and how their values are read."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sprat.base.errors import UserError
from sprat_cli.terminal import remark

if TYPE_CHECKING:
    from sprat.base.settings import KafkaSettings
    from sprat_contracts import TaskTable


def option(metavar: str, says: str, *names: str, **more: Any) -> Any:
    """Return an option whose help states the default, if any.

    Args:
        metavar: of the value, as FILE.
        says: the help.
        names: as --to; none: the parameter's.
        more: arguments of `typer.Option`.
    """
    return typer.Option(*names, metavar=metavar, show_default=False, help=says, **more)


def argument(metavar: str, says: str, **more: Any) -> Any:
    """Return an argument whose help states the default, if any; `more` are arguments of `typer.Argument`."""
    return typer.Argument(metavar=metavar, show_default=False, help=says, **more)


Bootstrap = Annotated[
    str | None,
    option(
        "HOST:PORT", "Kafka, several separated by commas. [SPRAT_KAFKA__BOOTSTRAP, your `sprat up`, 127.0.0.1:9092]"
    ),
]
Prefix = Annotated[str | None, option("NAME", "Of all topics. [SPRAT_KAFKA__PREFIX, else sprat]")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
TextColumn = Annotated[str | None, option("NAME|N", "Of the texts. [default: found]")]
LabelColumn = Annotated[str | None, option("NAME|N", "Of the labels. [default: found]")]
Encoding = Annotated[
    str, typer.Option(metavar="NAME", help="Of the files; auto reads UTF-8, UTF-16, and else Windows-1252.")
]
MergeCase = Annotated[
    bool, typer.Option("--merge-case", help="Take labels that differ by case or white space alone as one.")
]
SkipBadRows = Annotated[Path | None, option("FILE", "Leave out rows that cannot be used, listed in FILE.")]
PolicyFile = Annotated[Path | None, option("FILE", "A policy file, for its section `perimeter`. [SPRAT_POLICY]")]
TaggerFolder = Annotated[Path | None, option("FOLDER", "The tagger. [default: the frontier service's]")]


def kafka_settings(bootstrap: str | None, prefix: str | None, partitions: int | None = None) -> "KafkaSettings":
    """Return the settings of the Kafka that a command talks to; which `sprat up` is used is a remark.

    Raises:
        UserError: as `sprat_operations.connection.kafka_settings`.
    """
    from sprat_operations import connection  # noqa: PLC0415 - heavy, and --help does not wait for it

    return connection.kafka_settings(bootstrap, prefix, partitions, remark)


_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,9})([smhd])")


def check_asked_name(name: str | None) -> None:
    """Check the name of `--as`, by which texts ask for a model; None is none.

    Raises:
        UserError: it is not a name of a model.
    """
    from sprat_policy import check_model_name  # noqa: PLC0415 - heavy, and --help does not wait for it

    try:
        if name is not None:
            check_model_name(name)
    except UserError as error:
        raise UserError(f"--as {error}") from None


def check_goal(goal: float | None) -> None:
    """Check the value of `--goal`; None is none.

    Raises:
        UserError: it is no goal; the message names the nearest.
    """
    from sprat_contracts.thresholds import nearest_levels  # noqa: PLC0415 - heavy, and --help does not wait for it

    if goal is not None and (nearest := nearest_levels(goal)) != (goal,):
        shown = " or ".join(f"{each:g}" for each in nearest)
        raise UserError(f"--goal {goal:g}: goals are 0.80 to 0.995 in steps of 0.005; write {shown}")


def known_task(word: str) -> str:
    """Return the task of that name, of this version or from a file, as a parser of an option.

    Raises:
        UserError: a task file is not valid.
        BadParameter: there is none.
    """
    if word not in (known := _tasks()):
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(map(repr, known))}.")
    return word


def complete_task(incomplete: str) -> list[str]:
    """Return the tasks that begin so, for the shell."""
    return [task for task in _tasks() if task.startswith(incomplete)]


def _tasks() -> "TaskTable":
    from sprat_operations.chosen_policy import chosen_tasks  # noqa: PLC0415 - heavy, and --help does not wait for it

    return chosen_tasks().table


def parse_span(span: str, option: str = "--since") -> int:
    """Return the seconds of `30s`, `10m`, `2h` or `7d`.

    Raises:
        UserError: not of that form; the message names the option.
    """
    found = _SPAN.fullmatch(span)
    if found is None:
        raise UserError(f"{option} {span}: needs a number and s, m, h or d, as in 10m")
    return int(found[1]) * _UNITS_S[found[2]]


def time_before_now(span: str, option: str = "--since") -> int:
    """Return the time a span ago, in epoch milliseconds.

    Raises:
        UserError: the span is not valid; the message names the option.
    """
    return max(0, int(time.time() * 1000) - parse_span(span, option) * 1000)


def reject_misplaced_options(context: typer.Context, example: str) -> None:
    """Refuse options between the name of a command and the name of its subcommand, where they would be ignored.

    Raises:
        UserError: there are some; `example` shows where they belong.
    """
    sources = [context.get_parameter_source(name) for name in context.params]
    if any(source is not None and source.name == "COMMANDLINE" for source in sources):
        raise UserError(f"options go after the subcommand: {example}")
