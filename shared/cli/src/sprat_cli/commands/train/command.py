"""`sprat train intent` and `sprat train multi-label`: fit a model on the user's own labels."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from sprat.base.errors import UserError
from sprat.base.settings import language_of_files
from sprat_cli.app import group_help, make_app
from sprat_cli.commands.train.report import training_json, training_lines, write_report
from sprat_cli.options import Json, LabelColumn, MergeCase, SkipBadRows, TextColumn, argument, check_goal, option
from sprat_cli.progress import ProgressBar
from sprat_cli.terminal import remark, say, say_json
from sprat_contracts.languages import FALLBACK_LANGUAGE, primary_subtag
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.config import TrainingConfig
from sprat_training.fitting.encoding import encoder_place
from sprat_training.train import train
from sprat_training.versions.model_card import check_output

_OUTSIDE_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME: Final = 64

_FURTHER = """\b
Seldom needed: --name NAME and --licence SPDX, for the card; --encoding NAME of the files; --encoder-prefix WORDS and
--encoder-licence SPDX of a sentence encoder of a hub; --drop-small leaves out labels with too few texts;
--threads N that read texts"""

_EXIT_CODES = """\b
Exit codes:
  0  the artefact is written
  2  an option or a file is wrong; the message says which row and column, and what to do"""

EPILOG = f"""\b
Examples:
  sprat train intent hr.csv
  sprat train intent hr.csv --text-column Question --label-column Topic --language de --output hr-2
  sprat train intent hr.csv corrected.csv --merge-case --skip-bad-rows bad.csv
  sprat train intent hr.csv --test hr-test.csv --out-of-scope chatter.txt --goal 0.98
  sprat train intent hr.jsonl --json | jq '.likely_wrong[] | .row'

\b
FILE has a text and its label in each row: .csv (comma, semicolon or tab), .tsv, or .jsonl. All files together need at
least two labels, and five different texts of each. Where files give a text different labels, that of the last file
counts. The artefact is a folder; the report is written beside it, FOLDER-report.html.
thresholds.json in the folder holds the levels: from which confidence on how many answers are right, estimated on texts
that were held out. Rows of --test, which the model has not seen, may certify --goal, which is named before they are
read. `sprat evaluate` measures the levels anew, on your traffic.
Rows are numbered as a spreadsheet numbers them. Texts are not shown in the report and the terminal unless you give
--show-texts.

{_FURTHER};
--no-lexical fits no stage that answers by the words alone; --drop-suspects trains without the rows whose labels are
doubted; --sample N fits only so many texts of a large file.

{_EXIT_CODES}"""

SETS_EPILOG = f"""\b
Examples:
  sprat train multi-label tickets.csv
  sprat train multi-label tickets.csv --label-column Topics --test tickets-test.csv --output tickets-model
  sprat train multi-label tickets.jsonl --goal 0.95 --json

\b
FILE has a text and its labels in each row: .csv (comma, semicolon or tab), .tsv, or .jsonl. Labels stand in one column,
separated by |, as in billing|delivery; in .jsonl they may be a list. An empty cell, or oos, means that none applies.
Of rows with the same text the last one counts. Each label needs five texts that have it and five that do not.
Every label gets its own probability; the confidence is that of all labels of a text being right.

{_FURTHER}.

{_EXIT_CODES}"""

app = make_app(
    no_args_is_help=True,
    help="Fit a model on your own labels.",
    epilog=group_help("train", "intent hr.csv --output hr"),
)


@app.callback()
def _train() -> None:
    """Fit a model on your own labels."""


# What both commands take.
Files = Annotated[list[Path], argument("FILE...", "Texts with labels; a later file corrects.")]
Output = Annotated[Path | None, option("DIR", "The artefact. [default: --name, else the first file's name]")]
TestFile = Annotated[Path | None, option("FILE", "Texts with labels, to measure it on.", "--test")]
Asked = Annotated[float | None, option("SHARE", "Share right of the kept answers. [default: 0.97]", "--goal")]
Languages = Annotated[
    list[str] | None,
    option(
        "TAG",
        "Of the texts; may be repeated. [default: SPRAT_DEFAULT_LANGUAGE, and en where that is not set or auto]",
        "--language",
    ),
]
Encoder = Annotated[
    Path | None,
    option(
        "DIR|ID",
        "An artefact with an encoder, a sentence encoder of a hub, or `both` shipped ones (English alone). "
        "[default: the multilingual one]",
        "--encoder",
        parser=encoder_place,
    ),
]
Hidden = typer.Option(hidden=True)
Force = Annotated[bool, typer.Option("--force", help="Replace the artefact; it becomes DIR.previous.")]
ShowTexts = Annotated[bool, typer.Option("--show-texts", help="Show texts in the lists of rows, too.")]


@app.command("intent", epilog=EPILOG, short_help="Fit a model of what the writer of a text wants.")
def intent(
    files: Files,
    *,
    output: Output = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    merge_case: MergeCase = False,
    skip_bad_rows: SkipBadRows = None,
    out_of_scope: Annotated[Path | None, option("FILE", "Texts outside every label.")] = None,
    outside_label: Annotated[
        str, typer.Option(metavar="LABEL", help="The label that means `outside every label`; oos always does.")
    ] = "oos",
    outside_share: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of your traffic outside every label.")
    ] = 0.1,
    test: TestFile = None,
    goal: Asked = None,
    language: Languages = None,
    encoder: Encoder = None,
    show_texts: ShowTexts = False,
    force: Force = False,
    as_json: Json = False,
    name: Annotated[str | None, Hidden] = None,
    encoding: Annotated[str, Hidden] = "auto",
    encoder_prefix: Annotated[str | None, Hidden] = None,
    encoder_licence: Annotated[str | None, Hidden] = None,
    drop_small: Annotated[bool, typer.Option("--drop-small", hidden=True)] = False,
    drop_suspects: Annotated[bool, typer.Option("--drop-suspects", hidden=True)] = False,
    no_lexical: Annotated[bool, typer.Option("--no-lexical", hidden=True)] = False,
    sample: Annotated[int | None, typer.Option(min=10, hidden=True)] = None,
    licence: Annotated[str, Hidden] = "LicenseRef-own-data",
    threads: Annotated[int, typer.Option(min=1, max=64, hidden=True)] = 2,
) -> None:
    """Fit an intent model on your own labels: check the data, fit, calibrate, measure, write."""
    _run(
        files,
        several=False,
        force=force,
        show_texts=show_texts,
        as_json=as_json,
        output=output,
        name=name,
        columns=ColumnNames(text_column, label_column),
        encoding=encoding,
        skip_bad_rows=skip_bad_rows,
        merge_case=merge_case,
        outside_file=out_of_scope,
        outside_label=outside_label,
        test_file=test,
        languages=language,
        encoder=encoder,
        encoder_prefix=encoder_prefix,
        encoder_licence=encoder_licence,
        goal=goal,
        outside_share=outside_share,
        drop_small=drop_small,
        drop_suspects=drop_suspects,
        lexical=not no_lexical,
        sample=sample,
        licence=licence,
        threads=threads,
    )


@app.command("multi-label", epilog=SETS_EPILOG, short_help="Fit a model that gives a text several labels, or none.")
def multi_label(
    files: Files,
    *,
    output: Output = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    skip_bad_rows: SkipBadRows = None,
    test: TestFile = None,
    goal: Asked = None,
    language: Languages = None,
    encoder: Encoder = None,
    force: Force = False,
    as_json: Json = False,
    name: Annotated[str | None, Hidden] = None,
    encoding: Annotated[str, Hidden] = "auto",
    encoder_prefix: Annotated[str | None, Hidden] = None,
    encoder_licence: Annotated[str | None, Hidden] = None,
    drop_small: Annotated[bool, typer.Option("--drop-small", hidden=True)] = False,
    licence: Annotated[str, Hidden] = "LicenseRef-own-data",
    threads: Annotated[int, typer.Option(min=1, max=64, hidden=True)] = 2,
) -> None:
    """Fit a model that gives a text several labels: check the data, fit, calibrate, measure, write."""
    _run(
        files,
        several=True,
        force=force,
        as_json=as_json,
        output=output,
        name=name,
        columns=ColumnNames(text_column, label_column),
        encoding=encoding,
        skip_bad_rows=skip_bad_rows,
        test_file=test,
        languages=language,
        encoder=encoder,
        encoder_prefix=encoder_prefix,
        encoder_licence=encoder_licence,
        goal=goal,
        drop_small=drop_small,
        licence=licence,
        threads=threads,
    )


def _run(
    files: Sequence[Path],
    *,
    several: bool,
    force: bool,
    as_json: bool,
    output: Path | None,
    name: str | None,
    languages: Sequence[str] | None,
    show_texts: bool = False,
    **more: Any,
) -> None:
    """Train, write the report, and say what was found; `more` are fields of the configuration."""
    called = model_name(name, files)
    config = TrainingConfig(
        files=tuple(files), output=output or Path(called), name=called, languages=languages_of(languages), **more
    )
    check_goal(config.goal)
    check_output(config.output, force=force)
    with ProgressBar() as bar:
        result = train(config, bar.show, several=several)
    write_report(result, show_texts=show_texts)
    if as_json:
        say_json(training_json(result))
        return
    for line in training_lines(result, show_texts=show_texts):
        say(line)


def model_name(name: str | None, files: Sequence[Path]) -> str:
    """Return the name of the model: the one given, else that of the first file.

    Raises:
        UserError: texts cannot ask for it.
    """
    if name is not None and (_OUTSIDE_A_NAME.search(name) or not name[:1].isalnum() or len(name) > _MAX_NAME):
        raise UserError(f"--name {name}: texts cannot ask for it; use letters, digits, `.`, `_` and `-`, at most 64")
    return name or _OUTSIDE_A_NAME.sub("-", files[0].stem).strip("-._")[:_MAX_NAME] or "mine"


def languages_of(given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the languages to train for: those given, else the default one; say where that is not English.

    Raises:
        UserError: none is given, and `SPRAT_DEFAULT_LANGUAGE` is wrong.
    """
    if given:
        return tuple(given)
    (language,) = languages = _default_languages()
    if language != FALLBACK_LANGUAGE:
        remark(f"the texts count as {language}, by SPRAT_DEFAULT_LANGUAGE; --language says otherwise")
    return languages


def _default_languages() -> tuple[str, ...]:
    """Return the default language, without its region: a model for `de` answers texts in `de-AT`, not the other way."""
    return (primary_subtag(language_of_files()),)
