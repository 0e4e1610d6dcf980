"""`sprat`: the command line. A command is imported when it is called, so that `--help` and completion stay fast."""

import difflib
import importlib
import importlib.util
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from sprat.base.errors import SpratError, UserError
from sprat_cli import commands
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


COMMANDS = {
    "up": "Run Kafka, Redis and every service on this machine, until Ctrl-C.",
    "demo": "Run everything, publish the sample texts, sum up, stop everything.",
    "init": "Write a policy, settings and an example of a producer.",
    "send": "Publish a text and show its results.",
    "watch": "Follow the results live.",
    "trace": "Show every record that a text caused, across all topics.",
    "dlq": "Show what could not be handled, and replay it.",
    "feedback": "Publish corrections; export them as a training file.",
    "review": "Review kept answers that were drawn, one key a label.",
    "alarms": "Show the alarms of what is kept, explain one, clear one.",
    "train": "Fit a model on labels of your own.",
    "policy": "Check a policy file, and say what it allows.",
    "task": "Add tasks of your own: each is a file beside the policy.",
    "retrain": "Train a model anew with its corrections; say whether it is better.",
    "promote": "Serve another version of a model, or take the previous one back.",
    "evaluate": "Measure what a model keeps at the goal; compare two.",
    "tiers": "Measure the large models that the policy names.",
    "mask": "Show what would be sent to a provider, with personal data masked.",
    "audit": "Sum up what was sent to providers; compare attempts with outcomes.",
    "erase": "Delete a person's answers in Redis; list what stands in Kafka.",
    "topics": "Create the topics, or compare them with what they should be.",
    "keys": "Add, list and revoke the API keys of the gateway, Sprat's HTTP door.",
    "acls": "Print the least rights on Kafka by role, check or add them.",
    "models": "Show the models that are served, or add your own.",
    "lag": "Show the lag of each consumer group, and when it will be 0.",
    "top": "Watch a running installation, live.",
    "bench": "Measure texts/s, CPU, latency by rate and memory on this machine.",
    "doctor": "Check what is reachable, what is missing and how to fix it.",
    "clean": "Show what lies in the cache, and remove it.",
    "version": "Show the versions of Sprat and of what it runs on.",
}
"""The line of help of each. It is a module or a folder of `commands` with this name: what is run is called as the
command, or `app` where it has commands of its own. Those of sprat-local are entry points of `sprat.commands`."""


class _Commands(TyperGroup):
    """The commands by name: for listing, their lines from the table; for running and completion, themselves."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        line = COMMANDS.get(cmd_name)
        return line and TyperCommand(cmd_name, help=line, short_help=line)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
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
    module = f"{commands.__name__}.{name}"
    if importlib.util.find_spec(module) is not None:
        target = importlib.import_module(module)
        if hasattr(target, "__path__"):
            target = importlib.import_module(f"{module}.command")
        return getattr(target, "app", None) or getattr(target, name)
    from sprat.base import plugins  # noqa: PLC0415 - importlib.metadata is slow to import, and `sprat --help` must be quick

    entry = plugins.find(plugins.COMMANDS, name)
    if entry is None:
        raise UserError(f"`sprat {name}` needs sprat-local: {INSTALL_ALL}")
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
