"""`sprat`: the command line. A command is imported when it is called, so that `--help` and completion stay fast."""

import importlib
import sys
from dataclasses import dataclass
from typing import Annotated, Any

try:
    import typer
    from typer.core import TyperCommand, TyperGroup
except ImportError:  # the extra is not installed, yet the script always is
    sys.exit("sprat: the command line is an extra: pip install 'sprat[cli]', or 'sprat[local]' for up and demo, too")

from sprat.errors import SpratError, UserError
from sprat_cli.app import EXIT_CODES, plain_app
from sprat_cli.entry import INTERRUPTED, guard, guarded, unguard
from sprat_cli.pipes import ReaderLeft, watch_readers

_EPILOG = f"{EXIT_CODES.format('')} Settings: SPRAT_KAFKA__BOOTSTRAP, …, or a file .env."


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: where it is, and what it does in one line."""

    target: str
    """`module:name` of a function or of a typer application. The module's EPILOG, if any, ends the function's help."""
    help: str


COMMANDS = {
    "up": Entry("sprat_local.commands.up:up", "Run Kafka, Redis and every service on this machine, until Ctrl-C."),
    "demo": Entry(
        "sprat_local.commands.demo:demo", "Run it all, publish the sample texts, sum up, leave nothing running."
    ),
    "send": Entry("sprat_cli.send.command:send", "Publish a text and show its results."),
    "watch": Entry("sprat_cli.watch.command:watch", "Follow the results live."),
    "trace": Entry("sprat_cli.trace.command:trace", "Show every record that a text caused, across all topics."),
    "dlq": Entry("sprat_cli.dlq.command:app", "See what could not be handled, and replay it."),
    "feedback": Entry("sprat_cli.feedback.command:app", "Publish corrections; export them as a training file."),
    "train": Entry("sprat_cli.train.command:app", "Fit a model on labels of your own."),
    "assess": Entry(
        "sprat_cli.assess.command:assess", "Say what a model would do on texts of your own, and at what cost."
    ),
    "mask": Entry("sprat_cli.mask.command:mask", "Show what would leave of a text, with what is personal masked."),
    "audit": Entry("sprat_cli.audit.command:app", "Sum up what left the house; compare attempts with outcomes."),
    "topics": Entry("sprat_cli.topics.command:app", "Make the topics, or compare them with what they should be."),
    "models": Entry("sprat_cli.models.command:app", "See the models that are served, or bring one of your own."),
    "lag": Entry("sprat_cli.lag.command:lag", "Show who is how far behind, and when it will have caught up."),
    "top": Entry("sprat_cli.top.command:top", "Watch an installation that others started, live."),
    "bench": Entry(
        "sprat_local.commands.bench:bench", "Measure texts/s, CPU, latency by rate and memory on this machine."
    ),
    "doctor": Entry("sprat_cli.doctor.command:doctor", "Say what is reachable, what is missing and how to mend it."),
}


class _Commands(TyperGroup):
    """The commands by name: for listing, their lines from the table; for running and completion, themselves."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        return entry and TyperCommand(cmd_name, help=entry.help, short_help=entry.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        try:
            loaded = command and load(command.name or "")
        except UserError:
            if ctx.resilient_parsing:  # somebody presses Tab: there is little to offer, and nobody to tell
                return name, command, rest
            raise
        unguard()  # from here on the command itself minds Ctrl-C
        return name, loaded, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it raises on purpose becomes a line and an exit code."""
        was_guarded = guarded()
        try:
            return super().invoke(ctx)
        except SpratError as error:
            typer.echo(f"sprat: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, UserError) else 1) from None
        except (KeyboardInterrupt, typer.Abort):  # the latter where a question was not answered
            raise typer.Exit(INTERRUPTED) from None
        finally:
            if was_guarded:
                guard()


def load(name: str) -> Any:
    """Import a command.

    Raises:
        UserError: it needs a package that is not installed.
    """
    module_name, _, attribute = COMMANDS[name].target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sprat":
            raise
        raise UserError(f"`{name}` needs the Python package {error.name}: pip install 'sprat[local]'") from None
    target = getattr(module, attribute)
    if not isinstance(target, typer.Typer):
        function, target = target, plain_app()
        target.command(name, epilog=getattr(module, "EPILOG", None))(function)
    command = typer.main.get_command(target)
    command.name = name
    return command


app = plain_app(cls=_Commands, no_args_is_help=True, epilog=_EPILOG, add_completion=True)


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
    watch_readers()
    try:
        app(prog_name="sprat")
    except ReaderLeft:
        sys.exit(0)
