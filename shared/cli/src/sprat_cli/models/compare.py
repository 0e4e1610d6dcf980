"""`sprat models compare`: two versions of a model on the same texts."""

from pathlib import Path
from typing import Annotated

import typer

from sprat_cli.app import explain_missing_package
from sprat_cli.options import Encoding, Json, LabelColumn, SkipTrained, TextColumn
from sprat_cli.terminal import say, say_json

EPILOG = """\b
Examples:
  sprat models compare hr hr-2 new.csv
  sprat models compare hr.previous hr new.csv --keep-at 0.74
  sprat models compare hr hr-2 new.csv --keep-at 0.71 --new-keep-at 0.80
  sprat models compare hr hr-2 new.csv --as people --json

\b
SERVED and NEW are folders of models with labels, one label a text or several in both. FILE holds texts with their right
labels that neither version was trained on; rows of the training of one are named, and with --skip-trained left out. It
is read as the files were that SERVED was trained on, where you say nothing else. Both versions read each text, so that
a difference shows on fewer texts than in two assessments: the 95 % intervals of differences are paired, by bootstrap.
They are never narrower than what texts unlike all of these may change, also where the versions answer all texts alike.

\b
Both are compared at one keep_at, as by `sprat retrain`: that in force for the model (of the task's file, or of the
policy of SPRAT_POLICY), else that of the card of SERVED. Where it keeps nothing, it is that of the card of NEW.
--new-keep-at compares NEW at another one, as each would be served: that one keeps more may then be due to its number
alone. --as is the name by which texts ask for the model, by default that by which your `sprat up` or a task's file
serves one of the folders, else that of the card of SERVED. An answer counts as right as `sprat assess` counts it.

\b
Of a label that one version alone knows, each answer of the other is wrong. Where a text may have several labels, right
means that all of its labels are; micro-F1 counts each label of each text. Nothing is written.

\b
Exit codes:
  0  done, whatever the comparison shows
  2  an option, a folder or the file is wrong; the message says what to do"""


def compare(
    served: Annotated[Path, typer.Argument(metavar="SERVED", show_default=False, help="The folder of one version.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", show_default=False, help="That of the other.")],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", show_default=False, help="Texts with labels, of all files together."),
    ],
    *,
    keep_at: Annotated[
        float | None,
        typer.Option(min=0, max=1, show_default=False, help="Of the comparison. [default: the one in force]"),
    ] = None,
    new_keep_at: Annotated[
        float | None,
        typer.Option(min=0, max=1, show_default=False, help="Of NEW, where it would be served with another one."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", show_default=False, help="By which texts ask for the model; see below."),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    encoding: Encoding = "auto",
    outside_label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL",
            show_default=False,
            help="The label that means `outside every label`, repeatable. [default: as SERVED was trained, else oos]",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="TAG",
            show_default=False,
            help="Of the texts, BCP 47. [default: SPRAT_DEFAULT_LANGUAGE, and en where that is not set or auto; the "
            "first of SERVED where it does not serve that]",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that run the models.")] = 2,
    skip_trained: SkipTrained = False,
    as_json: Json = False,
) -> None:
    """Compare two versions of a model of yours, text by text."""
    with explain_missing_package("models compare"):
        from sprat_cli.models.compared import Versions, compare_versions  # noqa: PLC0415 - heavy; help must be quick
        from sprat_training.datasets.columns import ColumnNames  # noqa: PLC0415 - as above
    versions = Versions.of(served, new, threads)
    compared = compare_versions(
        versions,
        versions.read(
            files, ColumnNames(text_column, label_column), outside_label or (), encoding, skip_trained=skip_trained
        ),
        versions.compared_at(keep_at, name, new_keep_at),
        language,
    )
    if as_json:
        say_json(compared.as_json())
        return
    for line in compared.lines():
        say(line)
