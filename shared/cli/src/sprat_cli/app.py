"""What all commands share: the look of their help, and advice where a package is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer

from sprat.base.errors import UserError

INSTALL_ALL: Final = "pip install --find-links dist 'sprat[all]'"
"""What installs all that the command line can use."""
EXIT_CODES = """\b
Exit codes: 0 done; 1 failed; 2 wrong usage, or Kafka cannot be reached; 130 interrupted.
What each command means by them: sprat {}COMMAND --help."""
"""The exit codes of all commands; scripts rely on them."""


def group_help(group: str, *examples: str) -> str:
    """Return the end of a command group's help: exit codes and `examples`, which leave out `sprat` and the group."""
    lines = "\n".join(f"  sprat {group} {example}" for example in examples)
    return f"\b\nExamples:\n{lines}\n\n{EXIT_CODES.format(f'{group} ')}"


def make_app(*, add_completion: bool = False, **options: Any) -> typer.Typer:
    """Make an application; only the outermost one offers to install completion."""
    return typer.Typer(
        add_completion=add_completion,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        **options,
    )


@contextmanager
def explain_missing_package(command: str, install: str = INSTALL_ALL) -> Iterator[None]:
    """Turn the import of a package that is not installed into advice.

    Args:
        command: what needs it, as "sprat evaluate".
        install: what installs it.

    Raises:
        UserError: a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sprat":
            raise
        raise UserError(f"`{command}` needs the Python package {error.name}: {install}") from None
