"""`sprat models rollback`: back to the version before of a model of one's own, and forth again."""

from pathlib import Path
from typing import Annotated

import typer

from sprat_cli.app import explain_missing_package
from sprat_cli.options import Json
from sprat_cli.terminal import remark, say, say_json

EPILOG = """\b
Examples:
  sprat models rollback hr
  sprat models rollback models/hr --json

\b
`sprat train --force` and `sprat retrain --replace` keep the version that they replace as DIR.previous, with its report.
This command exchanges DIR and DIR.previous, and their reports, where there are any. The same command undoes it.
Both versions are read before anything is moved. An exchange that was interrupted is finished by the same command.
A running `sprat up` of DIR takes the version over by itself. The last lines say which keep_at to write for it.

\b
Exit codes:
  0  DIR holds the other version now
  2  no version before is kept, a folder is not an artefact or cannot be moved; the message says what to do"""


def rollback(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="The model's folder.")],
    *,
    as_json: Json = False,
) -> None:
    """Go back to the version before of a model of yours, or forth."""
    with explain_missing_package("models rollback"):
        from sprat_cli.models.rolled_back import roll_back  # noqa: PLC0415 - heavy; help must be quick
    done = roll_back(folder)
    if done.finished:
        remark("finished an exchange that was interrupted")
    if as_json:
        say_json(done.as_json())
        return
    for line in done.lines():
        say(line)
