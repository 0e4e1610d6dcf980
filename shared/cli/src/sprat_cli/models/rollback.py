"""`sprat models rollback` and `replace`: another version of a model of one's own is served in its folder."""

from pathlib import Path
from typing import Annotated

import typer

from sprat_cli.app import explain_missing_package
from sprat_cli.options import Json

ROLLBACK = """\b
Examples:
  sprat models rollback hr
  sprat models rollback hr --write
  sprat models rollback hr --as people --write
  sprat models rollback models/hr --json

\b
`sprat train --force`, `sprat retrain --replace` and `sprat models replace` keep the version that they replace as
DIR.previous, with its report. This command exchanges DIR and DIR.previous, and their reports, where there are any. The
same command undoes it.
Both versions are read before anything is moved. An exchange that was interrupted is finished by the same command.
A running `sprat up` of DIR takes the version over by itself. The last lines say which keep_at to write for it. --write
writes it, with where it comes from behind it: one that `sprat assess --write` showed for this version, else the card's.
One of yours that may have been shown for it is not made lower. It is written for the name by which texts ask for the
model: that of --as, else that by which your `sprat up` or a task's file serves DIR, else that of the card. The router
has to be started again.

\b
Exit codes:
  0  DIR holds the other version now
  2  no version before is kept, a folder is not an artefact or cannot be moved, or --write cannot write; the message
     says what is done and what to do"""

REPLACE = """\b
Examples:
  sprat models replace hr hr-2
  sprat models replace hr hr-2 --write

\b
SERVED is the folder that is served, NEW that of another version, as `sprat retrain --output hr-2` or a training wrote
it. NEW is moved in the place of SERVED, with its report, and the served version becomes SERVED.previous, in place of
one that was kept there: `sprat models rollback SERVED` goes back to it. Nothing is trained. Which version is better,
`sprat models compare SERVED NEW FILE` says.
A running `sprat up` of SERVED takes the version over by itself. The last lines say which keep_at to write for it, and
--write writes it, as `sprat models rollback --write` does.

\b
Exit codes:
  0  SERVED holds the new version now
  2  a folder is not an artefact or cannot be moved, both hold one version, or --write cannot write; the message says
     what is done and what to do"""

As = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        show_default=False,
        help="By which texts ask for the model. [default: as it is served, else that of its card]",
    ),
]
Write = Annotated[bool, typer.Option("--write", help="Write the keep_at, too, where another one is to be written.")]


def rollback(
    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="The model's folder.")],
    *,
    name: As = None,
    write: Write = False,
    as_json: Json = False,
) -> None:
    """Go back to the version before of a model of yours, or forth."""
    with explain_missing_package("models rollback"):
        from sprat_cli.models.served_instead import roll_back  # noqa: PLC0415 - heavy; help must be quick
    roll_back(folder, name=name, write=write).show(write=write, as_json=as_json)


def replace(
    served: Annotated[Path, typer.Argument(metavar="SERVED", show_default=False, help="The folder that is served.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", show_default=False, help="That of the version to serve.")],
    *,
    name: As = None,
    write: Write = False,
    as_json: Json = False,
) -> None:
    """Serve another version of a model of yours in its folder."""
    with explain_missing_package("models replace"):
        from sprat_cli.models.served_instead import replace_served  # noqa: PLC0415 - heavy; help must be quick
    replace_served(served, new, name=name, write=write).show(write=write, as_json=as_json)
