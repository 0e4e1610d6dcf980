"""`sprat`: the command line. A command is imported when it is called, so that `--help` and completion stay fast."""

import difflib
import importlib
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from sprat.base.errors import SpratError, UserError
from sprat_cli.app import EXIT_CODES, INSTALL_ALL, explain_missing_package, make_app
from sprat_cli.process import (
    INTERRUPTED,
    ReaderLeft,
    exit_on_interrupt,
    exits_on_interrupt,
    handle_closed_pipes,
    raise_on_interrupt,
)

_EPILOG = f"{EXIT_CODES.format('')} Settings: SPRAT_KAFKA__BOOTSTRAP, …, or a file .env."


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command: its location, and one line of help."""

    target: str
    """`module:name` of a function or of a typer application. The module's EPILOG, if any, ends the function's help.

    A command of another distribution has that distribution's name here; its entry point in the group `sprat.commands`
    leads to the function.
    """
    help: str


_LOCAL = "sprat-local"
COMMANDS = {
    "up": CommandEntry(_LOCAL, "Run Kafka, Redis and every service on this machine, until Ctrl-C."),
    "demo": CommandEntry(_LOCAL, "Run everything, publish the sample texts, sum up, stop everything."),
    "init": CommandEntry("sprat_cli.init.command:init", "Write a policy, settings and an example of a producer."),
    "send": CommandEntry("sprat_cli.send.command:send", "Publish a text and show its results."),
    "watch": CommandEntry("sprat_cli.watch.command:watch", "Follow the results live."),
    "trace": CommandEntry("sprat_cli.trace.command:trace", "Show every record that a text caused, across all topics."),
    "dlq": CommandEntry("sprat_cli.dlq.command:app", "Show what could not be handled, and replay it."),
    "feedback": CommandEntry("sprat_cli.feedback.command:app", "Publish corrections; export them as a training file."),
    "train": CommandEntry("sprat_cli.train.command:app", "Fit a model on labels of your own."),
    "policy": CommandEntry("sprat_cli.policy.command:app", "Check a policy file, and say what it allows."),
    "task": CommandEntry("sprat_cli.task.command:app", "Add tasks of your own: each is a file beside the policy."),
    "retrain": CommandEntry(
        "sprat_cli.retrain.command:retrain", "Train a model anew with its corrections; say whether it is better."
    ),
    "promote": CommandEntry(
        "sprat_cli.promote.command:promote", "Serve another version of a model, or take the previous one back."
    ),
    "evaluate": CommandEntry(
        "sprat_cli.evaluate.command:evaluate",
        "Measure what a model keeps at the goal; compare two.",
    ),
    "tiers": CommandEntry("sprat_cli.tiers.command:app", "Measure the large models that the policy names."),
    "mask": CommandEntry(
        "sprat_cli.mask.command:mask", "Show what would be sent to a provider, with personal data masked."
    ),
    "audit": CommandEntry(
        "sprat_cli.audit.command:app", "Sum up what was sent to providers; compare attempts with outcomes."
    ),
    "erase": CommandEntry(
        "sprat_cli.erase.command:erase_command", "Delete a person's answers in Redis; list what stands in Kafka."
    ),
    "topics": CommandEntry(
        "sprat_cli.topics.command:app", "Create the topics, or compare them with what they should be."
    ),
    "acls": CommandEntry("sprat_cli.acls.command:app", "Print the least rights on Kafka by role, check or add them."),
    "models": CommandEntry("sprat_cli.models.command:app", "Show the models that are served, or add your own."),
    "lag": CommandEntry("sprat_cli.lag.command:lag", "Show the lag of each consumer group, and when it will be 0."),
    "top": CommandEntry("sprat_cli.top.command:top", "Watch a running installation, live."),
    "bench": CommandEntry(_LOCAL, "Measure texts/s, CPU, latency by rate and memory on this machine."),
    "doctor": CommandEntry(
        "sprat_cli.doctor.command:doctor", "Check what is reachable, what is missing and how to fix it."
    ),
    "clean": CommandEntry("sprat_cli.clean.command:clean", "Show what lies in the cache, and remove it."),
    "version": CommandEntry("sprat_cli.version:version", "Show the versions of Sprat and of what it runs on."),
}


RENAMED: Final = {"assess": "sprat evaluate FILE --model M"}
"""What old names are now."""


class _Commands(TyperGroup):
    """The commands by name: for listing, their lines from the table; for running and completion, themselves."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        return entry and TyperCommand(cmd_name, help=entry.help, short_help=entry.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in RENAMED:
            raise UserError(f"`sprat {args[0]}` is `{RENAMED[args[0]]}` now: see sprat evaluate --help")
        if args and args[0] not in COMMANDS and not ctx.resilient_parsing:
            _reject_unknown(ctx, args[0])
        name, command, rest = super().resolve_command(ctx, args)
        try:
            loaded = command and load(command.name or "")
        except UserError:
            if ctx.resilient_parsing:  # completion: it has nothing to offer, and must not print an error
                return name, command, rest
            raise
        raise_on_interrupt()  # from here on the command itself handles Ctrl-C
        return name, loaded, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; turn a `SpratError` into one line on stderr and an exit code."""
        exits = exits_on_interrupt()
        try:
            return super().invoke(ctx)
        except SpratError as error:
            typer.echo(f"sprat: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, UserError) else 1) from None
        except (KeyboardInterrupt, typer.Abort):  # `Abort`: a prompt was not answered
            raise typer.Exit(INTERRUPTED) from None
        finally:
            if exits:
                exit_on_interrupt()


def _reject_unknown(ctx: Any, name: str) -> None:
    """Refuse what is neither a command nor an option, and suggest the nearest command."""
    near = difflib.get_close_matches(name, COMMANDS, 1)
    if near:
        ctx.fail(f"No such command {name!r}. Did you mean {near[0]!r}?")


def load(name: str) -> Any:
    """Import a command.

    Raises:
        UserError: it needs a package that is not installed.
    """
    with explain_missing_package(f"sprat {name}"):
        target = _import(name)
    if not isinstance(target, typer.Typer):
        function, target = target, make_app()
        target.command(name, epilog=getattr(sys.modules[function.__module__], "EPILOG", None))(function)
    command = typer.main.get_command(target)
    command.name = name
    return command


def _import(name: str) -> Any:
    target = COMMANDS[name].target
    module_name, colon, attribute = target.partition(":")
    if colon:
        return getattr(importlib.import_module(module_name), attribute)
    from sprat.base import plugins  # noqa: PLC0415 - importlib.metadata is slow to import, and `sprat --help` must be quick

    entry = plugins.find(plugins.COMMANDS, name)
    if entry is None:
        raise UserError(f"`sprat {name}` needs {target}: {INSTALL_ALL}")
    return entry.load()


app = make_app(cls=_Commands, no_args_is_help=True, epilog=_EPILOG, add_completion=True)


def _version(*, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - slow, and needed here alone

        typer.echo(f"sprat {version('sprat')}")
        raise typer.Exit


@app.callback()
def _sprat(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Sprat: small models on the event stream.

    First `sprat up` in one terminal; then `sprat send "please move 100 euros to my savings"` in another.
    """


def main() -> None:
    """Run the command line and exit."""
    handle_closed_pipes()
    try:
        app(prog_name="sprat")
    except ReaderLeft:
        sys.exit(0)
