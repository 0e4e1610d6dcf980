"""Commands that have another name now: they end with one line that says which."""

from collections.abc import Callable
from typing import Final

import typer

from sprat.base.errors import UserError

ANY_ARGUMENTS: Final = {"ignore_unknown_options": True, "allow_extra_args": True}


def renamed(old: str, new: str) -> Callable[[typer.Context], None]:
    """Return a command that says the new name of an old one, whatever it is given."""

    def command(_: typer.Context) -> None:
        raise UserError(f"`{old}` is `{new}` now: see {new.partition(' DIR')[0].partition(' FILE')[0]} --help")

    command.__doc__ = f"Is `{new}` now."
    return command
