"""`sprat train intent` and `sprat train multi-label`: fit a model on the user's own labels."""

from pathlib import Path
from typing import Annotated

import typer

from sprat_cli.app import group_help, make_app
from sprat_cli.options import Encoding, Json, LabelColumn, MergeCase, SkipBadRows, TextColumn
from sprat_cli.progress import ProgressBar
from sprat_cli.terminal import say, say_json
from sprat_cli.train.label_sets import label_set_json, label_set_lines
from sprat_cli.train.options import languages_of, model_name
from sprat_cli.train.summary import summary_json, summary_lines
from sprat_cli.train.written import LaidThere, write_report
from sprat_training.config import TrainingConfig
from sprat_training.datasets.columns import ColumnNames
from sprat_training.label_set_train import train_label_sets
from sprat_training.model_card import check_output
from sprat_training.train import train

EPILOG = """\b
Examples:
  sprat train intent hr.csv
  sprat train intent hr.csv --text-column Question --label-column Topic --language de --output hr-2
  sprat train intent hr.csv corrected.csv --merge-case --skip-bad-rows bad.csv
  sprat train intent hr.csv --test hr-test.csv --out-of-scope chatter.txt --accuracy 0.98
  sprat train intent hr.csv --drop-suspects --output hr-clean
  sprat train intent hr.jsonl --json | jq '.likely_wrong[] | .row'

\b
FILE has a text and its label in each row: .csv (comma, semicolon or tab), .tsv, or .jsonl. All files together need at
least two labels, and five different texts of each. Where files give a text different labels, that of the last file
counts. The artefact is a folder; the report is written beside it, FOLDER-report.html.
The recommended keep_at is the least from 0.50 on at which held-out texts show --accuracy with 95 % confidence (Wilson's
one-sided interval). Where they are too few to show it, it is provisional: the least that reaches it on these texts, but
none below the one that shows the most. Then the verdict says how many kept texts it takes; 97 % takes 88, all right.
Rows are numbered as a spreadsheet numbers them. Texts are not shown in the report and the terminal unless you give
--show-texts.

\b
Exit codes:
  0  the artefact is written
  2  an option or a file is wrong; the message says which row and column, and what to do"""

SETS_EPILOG = """\b
Examples:
  sprat train multi-label tickets.csv
  sprat train multi-label tickets.csv --label-column Topics --test tickets-test.csv --output tickets-model
  sprat train multi-label tickets.jsonl --accuracy 0.95 --json

\b
FILE has a text and its labels in each row: .csv (comma, semicolon or tab), .tsv, or .jsonl. Labels stand in one column,
separated by |, as in billing|delivery; in .jsonl they may be a list. An empty cell, or oos, means that none applies.
Of rows with the same text the last one counts. Each label needs five texts that have it and five that do not.
Every label gets its own probability; the confidence is that of all labels of a text being right.

\b
Exit codes:
  0  the artefact is written
  2  an option or a file is wrong; the message says which row and column, and what to do"""

app = make_app(
    no_args_is_help=True,
    help="Fit a model on your own labels.",
    epilog=group_help("train", "intent hr.csv --output hr"),
)


@app.callback()
def _train() -> None:
    """Fit a model on your own labels."""


# What both commands take.
TestFile = Annotated[
    Path | None, typer.Option("--test", metavar="FILE", show_default=False, help="Texts with labels, to measure it on.")
]
Languages = Annotated[
    list[str] | None,
    typer.Option(
        "--language",
        metavar="TAG",
        show_default=False,
        help="Of the texts; may be repeated. [default: that of SPRAT_DEFAULT_LANGUAGE, and en where that is not set or "
        "auto]",
    ),
]
Encoder = Annotated[
    Path | None,
    typer.Option(
        "--encoder",
        metavar="DIR|ID",
        show_default=False,
        help="An artefact with an encoder, or a sentence encoder of a hub. [default: the shipped one]",
    ),
]
EncoderPrefix = Annotated[
    str | None,
    typer.Option(
        "--encoder-prefix",
        metavar="WORDS",
        show_default=False,
        help="Before every text, for the latter. [default: its own]",
    ),
]
EncoderLicence = Annotated[
    str | None,
    typer.Option(
        "--encoder-licence",
        metavar="SPDX",
        show_default=False,
        help="Of a sentence encoder of a hub. [default: its README's]",
    ),
]
DropSmall = Annotated[bool, typer.Option("--drop-small", help="Leave out labels with too few texts.")]
Licence = Annotated[str, typer.Option("--licence", metavar="SPDX", help="Of your data, for the card.")]
Threads = Annotated[int, typer.Option("--threads", min=1, max=64, help="Threads that read texts.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the artefact; it becomes DIR.previous.")]


@app.command("intent", epilog=EPILOG, short_help="Fit a model of what the writer of a text wants.")
def intent(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", show_default=False, help="Texts with labels; a later file corrects."),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="The artefact. [default: --name, else the first file's name]"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="For its card. [default: the first file's name]"),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    encoding: Encoding = "auto",
    merge_case: MergeCase = False,
    skip_bad_rows: SkipBadRows = None,
    out_of_scope: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Texts outside every label.")
    ] = None,
    outside_label: Annotated[
        str, typer.Option(metavar="LABEL", help="The label that means `outside every label`; oos always does.")
    ] = "oos",
    test: TestFile = None,
    language: Languages = None,
    encoder: Encoder = None,
    encoder_prefix: EncoderPrefix = None,
    encoder_licence: EncoderLicence = None,
    accuracy: Annotated[float, typer.Option(min=0.5, max=0.999, help="Required accuracy of the kept answers.")] = 0.97,
    outside_share: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of your traffic outside every label.")
    ] = 0.1,
    drop_small: DropSmall = False,
    no_lexical: Annotated[
        bool, typer.Option("--no-lexical", help="Fit no stage that answers by the words alone, before the encoder.")
    ] = False,
    drop_suspects: Annotated[
        bool, typer.Option("--drop-suspects", help="Train without the rows whose labels are doubted.")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(min=10, show_default=False, help="Fit only so many texts of a large file.")
    ] = None,
    licence: Licence = "LicenseRef-own-data",
    threads: Threads = 2,
    show_texts: Annotated[bool, typer.Option("--show-texts", help="Show texts in the lists of rows, too.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fit an intent model on your own labels: check the data, fit, calibrate, measure, write."""
    called = model_name(name, files)
    folder = output or Path(called)
    check_output(folder, force=force)
    before = LaidThere.of(folder)
    config = TrainingConfig(
        files=tuple(files),
        output=folder,
        name=called,
        columns=ColumnNames(text_column, label_column),
        encoding=encoding,
        skip_bad_rows=skip_bad_rows,
        merge_case=merge_case,
        outside_file=out_of_scope,
        outside_label=outside_label,
        test_file=test,
        languages=languages_of(language),
        encoder=encoder,
        encoder_prefix=encoder_prefix,
        encoder_licence=encoder_licence,
        accuracy=accuracy,
        outside_share=outside_share,
        drop_small=drop_small,
        drop_suspects=drop_suspects,
        lexical=not no_lexical,
        sample=sample,
        licence=licence,
        threads=threads,
    )
    with ProgressBar() as bar:
        result = train(config, bar.show)
    page = write_report(result, show_texts=show_texts)
    if as_json:
        say_json(summary_json(result, page))
        return
    for line in summary_lines(result, page, before.lines(result.card), show_texts=show_texts):
        say(line)


@app.command("multi-label", epilog=SETS_EPILOG, short_help="Fit a model that gives a text several labels, or none.")
def multi_label(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", show_default=False, help="Texts with labels; a later file corrects."),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", show_default=False, help="The artefact. [default: --name, else the first file's name]"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="For its card. [default: the first file's name]"),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    encoding: Encoding = "auto",
    skip_bad_rows: SkipBadRows = None,
    test: TestFile = None,
    language: Languages = None,
    encoder: Encoder = None,
    encoder_prefix: EncoderPrefix = None,
    encoder_licence: EncoderLicence = None,
    accuracy: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Required share of kept answers with all labels right.")
    ] = 0.97,
    drop_small: DropSmall = False,
    licence: Licence = "LicenseRef-own-data",
    threads: Threads = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Fit a model that gives a text several labels: check the data, fit, calibrate, measure, write."""
    called = model_name(name, files)
    folder = output or Path(called)
    check_output(folder, force=force)
    before = LaidThere.of(folder)
    config = TrainingConfig(
        files=tuple(files),
        output=folder,
        name=called,
        columns=ColumnNames(text_column, label_column),
        encoding=encoding,
        skip_bad_rows=skip_bad_rows,
        test_file=test,
        languages=languages_of(language),
        encoder=encoder,
        encoder_prefix=encoder_prefix,
        encoder_licence=encoder_licence,
        accuracy=accuracy,
        drop_small=drop_small,
        licence=licence,
        threads=threads,
    )
    with ProgressBar() as bar:
        result = train_label_sets(config, bar.show)
    if as_json:
        say_json(label_set_json(result))
        return
    for line in label_set_lines(result, before.lines(result.card)):
        say(line)
