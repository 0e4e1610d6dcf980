"""`sprat train intent`: labels of your own, served within minutes."""

import re
from pathlib import Path
from typing import Annotated

import typer

from sprat.errors import UserError
from sprat_cli.connection import Json
from sprat_cli.options import LabelColumn, TextColumn
from sprat_cli.progress import ProgressBar
from sprat_cli.terminal import say, say_json
from sprat_cli.train.summary import as_json as told_as_json
from sprat_cli.train.summary import summary
from sprat_training.config import TrainingConfig
from sprat_training.datasets.columns import Wanted
from sprat_training.report import report as written_report
from sprat_training.train import train
from sprat_training.writing import check_output

EPILOG = """\b
Examples:
  sprat train intent hr.csv
  sprat train intent hr.csv --text-column Question --label-column Topic --language de --output hr-2
  sprat train intent hr.csv --test hr-test.csv --out-of-scope chatter.txt --accuracy 0.98
  sprat train intent hr.jsonl --json | jq '.likely_wrong[] | .row'

\b
FILE holds a text and its label in each row, UTF-8: .csv (comma, semicolon or tab), .tsv, or .jsonl. Two labels at
least, and five different texts of each. It writes the artefact, a folder, and beside it a report, FOLDER-report.html.
Rows are numbered as a spreadsheet numbers them. Texts stay out of the report and the terminal unless you say
--show-texts.

\b
Exit codes:
  0  the artefact is written
  2  a mistake of yours, or something in a file; it says which row and column, and what to do"""

_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_NAME = 64


def intent(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="Texts with labels.")],
    *,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default=False, help="The artefact. [default: the file's name]")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="For its card. [default: the file's name]")
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    out_of_scope: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Texts outside every label.")
    ] = None,
    outside_label: Annotated[
        str, typer.Option(metavar="LABEL", help="Stands for `outside every label` in FILE.")
    ] = "oos",
    test: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Texts with labels, to measure it on.")
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(metavar="TAG", show_default=False, help="Of the texts; may stand several times. [default: en]"),
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default=False, help="An artefact's. [default: the shipped one]")
    ] = None,
    accuracy: Annotated[float, typer.Option(min=0.5, max=0.999, help="Wanted of what is kept.")] = 0.97,
    outside_share: Annotated[float, typer.Option(min=0.0, max=0.9, help="Of your traffic, outside every label.")] = 0.1,
    drop_small: Annotated[bool, typer.Option("--drop-small", help="Leave labels out that have too few texts.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=10, show_default=False, help="Fit so many texts of a large file.")
    ] = None,
    licence: Annotated[str, typer.Option(metavar="SPDX", help="Of your data, for the card.")] = "LicenseRef-own-data",
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that read texts.")] = 2,
    show_texts: Annotated[bool, typer.Option("--show-texts", help="Show texts in the lists of rows, too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the artefact of that folder.")] = False,
    as_json: Json = False,
) -> None:
    """Fit an intent model on labels of your own: look at the data, fit, calibrate, measure, write."""
    if name is not None and (_NAME.search(name) or not name[:1].isalnum() or len(name) > _MOST_NAME):
        raise UserError(f"--name {name}: no text can ask for that; letters, digits, `.`, `_` and `-`, at most 64")
    named = name or _NAME.sub("-", file.stem).strip("-._")[:_MOST_NAME] or "mine"
    folder = output or Path(named)
    check_output(folder, force=force)
    wish = TrainingConfig(
        file=file,
        output=folder,
        name=named,
        wanted=Wanted(text_column, label_column),
        outside_file=out_of_scope,
        outside_label=outside_label,
        test_file=test,
        languages=tuple(language or ("en",)),
        encoder=encoder,
        right=accuracy,
        outside_share=outside_share,
        drop_small=drop_small,
        sample=sample,
        licence=licence,
        threads=threads,
    )
    with ProgressBar() as bar:
        trained = train(wish, bar.show)
    page = folder.with_name(f"{folder.resolve().name}-report.html")
    try:
        page.write_text(written_report(trained, show_texts=show_texts), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{page}: cannot be written: {error.strerror}") from None
    if as_json:
        say_json(told_as_json(trained, page))
        return
    for line in summary(trained, page, show_texts=show_texts):
        say(line)
