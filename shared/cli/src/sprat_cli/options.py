"""The options that say which columns of a file of labelled texts are which."""

from typing import Annotated

import typer

TextColumn = Annotated[
    str | None, typer.Option(metavar="NAME|N", show_default=False, help="Of the texts. [default: found]")
]
LabelColumn = Annotated[
    str | None, typer.Option(metavar="NAME|N", show_default=False, help="Of the labels. [default: found]")
]
