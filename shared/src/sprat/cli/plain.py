"""The look of all help: plain text, fast, and the same in a pipe as on a terminal."""

from typing import Any

import typer


def plain_app(*, add_completion: bool = False, **options: Any) -> typer.Typer:
    """Make an application; only the outermost one offers to install completion."""
    return typer.Typer(
        add_completion=add_completion,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        **options,
    )
