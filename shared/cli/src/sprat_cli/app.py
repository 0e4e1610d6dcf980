"""The look of all help: plain text, fast, and the same in a pipe as on a terminal."""

from typing import Any

import typer

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
