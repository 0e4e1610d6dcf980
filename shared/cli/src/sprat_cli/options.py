"""Options of `sprat train` and `sprat assess`: which columns of a file hold the texts and the labels."""

from typing import Annotated

import typer

TextColumn = Annotated[
    str | None, typer.Option(metavar="NAME|N", show_default=False, help="Of the texts. [default: found]")
]
LabelColumn = Annotated[
    str | None, typer.Option(metavar="NAME|N", show_default=False, help="Of the labels. [default: found]")
]
