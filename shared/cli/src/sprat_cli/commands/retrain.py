"""`sprat retrain`: a new version of a served model, from its files and from corrections."""

import asyncio
import shlex
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from sprat.base.errors import SpratError, UserError
from sprat.base.model import DEFAULT_MODEL
from sprat.base.settings import default_language, language_of_files
from sprat.base.words import counted
from sprat_cli.decision_report import decision_lines
from sprat_cli.options import Bootstrap, Json, Prefix, argument, kafka_settings, option, time_before_now
from sprat_cli.progress import ProgressBar, read_progress
from sprat_cli.terminal import printable, remark, say, say_json
from sprat_contracts.languages import primary_subtag
from sprat_contracts.thresholds import recommended_goal
from sprat_operations.chosen_policy import chosen_tasks
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.correction_table import Added, merge_rows
from sprat_operations.corrections import GivenCorrections, answers_of, corrections_of, identities_json
from sprat_operations.named_models import ServedFolder, goal_of, served_folders
from sprat_policy import TaskFiles
from sprat_training.datasets.distinct import OUTSIDE
from sprat_training.fitting.encoding import encoder_place
from sprat_training.retraining import FormerTraining, first_config, first_training, retrained
from sprat_training.versions.model_card import check_output
from sprat_training.versions.promotion import Version

EPILOG = """\b
Examples:
  sprat retrain intent/hr
  sprat retrain intent/hr --output hr-2 --feedback 7d
  sprat retrain intent/hr --corrections checked.csv --data hr.csv --data more.csv

\b
The new version is trained on all rows: the files of the training of the served version, which it remembers with their
options, and corrections. Those on Kafka are added to hr-corrections.jsonl, which is kept, because texts on Kafka
expire: correct a wrong label there. --corrections reads a table instead, as `sprat feedback export` writes it. A label
that no announced model knows is left out, because whoever may write corrections can make one up.
Nothing is replaced. What the new corrections bring is judged on texts that were held out from two trainings, one with
them and one without: a fifth of the texts, of fewer than 500 each fifth in turn. The thresholds of the new version are
cross-fitted, so they certify nothing. `sprat promote` serves it.
A task of yours whose file names no artefact gets its first model, from corrections and the frontier's answers.

\b
Exit codes:
  0  the new version is written
  1  there is no correction, or nothing new to learn
  2  an option or a file is wrong, or Kafka cannot be reached"""


def retrain(
    model: Annotated[str, argument("MODEL", "As intent/hr, or a task of yours.")],
    *,
    output: Annotated[Path | None, option("DIR", "Of the new version. [default: NAME-2, NAME-3, …]")] = None,
    feedback: Annotated[str, typer.Option(metavar="SPAN", help="Corrections of the last 12h, 30d.")] = "30d",
    corrections: Annotated[Path | None, option("FILE", "A table of corrections, in place of those on Kafka.")] = None,
    allow_new_label: Annotated[
        list[str] | None, option("LABEL", "Take this label though no announced model knows it.")
    ] = None,
    answers: Annotated[
        bool, typer.Option("--answers/--no-answers", help="For a first model: learn from the frontier's answers, too.")
    ] = True,
    data: Annotated[list[Path] | None, option("FILE", "Texts with labels, repeatable. [default: as trained]")] = None,
    out_of_scope: Annotated[Path | None, option("FILE", "Texts outside every label. [default: as trained]")] = None,
    served: Annotated[Path | None, option("DIR", "The served version. [default: found by its name]")] = None,
    encoder: Annotated[
        Path | None, option("DIR", "An artefact with an encoder. [default: as trained]", parser=encoder_place)
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that read texts.")] = 2,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Train a served model anew with its corrections, and say whether that is better."""
    files = chosen_tasks()
    asked = _asked(model, files)
    found = _served(asked, served, files)
    name = asked.task if asked.model == DEFAULT_MODEL else asked.model
    target = output or _free(name)
    check_output(target, force=False, may_force=False)
    former = None if found is None else FormerTraining.of(found.folder)
    table, given = corrections, None
    if table is None:
        table = Path(f"{name}-corrections.jsonl")
        kafka, since = kafka_settings(bootstrap, prefix), time_before_now(feedback, "--feedback")
        known = {*(allow_new_label or ()), *(() if former is None else former.card.labels or ())}
        with explain_kafka_errors(kafka):
            given = asyncio.run(
                corrections_of(kafka, asked.task, asked.model, since, new_labels=known, progress=read_progress)
            )
            wants_answers = former is None and answers
            learnt = (
                asyncio.run(answers_of(kafka, asked.task, asked.model, since, read_progress)) if wants_answers else []
            )
        outside = OUTSIDE if former is None else former.reading.outside_label
        added = merge_rows(table, [*learnt, *given.examples], outside, default_language())
        _say_table(table, given, added, asked, feedback)
    goal = goal_of(asked if found is None else found, recommended_goal(asked.task) if found is None else _goal(found))
    with ProgressBar() as bar:
        if former is None:
            file = files[asked.task]
            languages = file.languages or (primary_subtag(language_of_files()),)
            several = file.has_several_labels
            config = first_config(
                asked.task, table, target, languages, several=several, encoder=encoder, threads=threads
            )
            result = first_training(config, tuple(file.labels), bar.show, several=several)
        else:
            trained_on = tuple(data or former.files())
            texts_outside = out_of_scope or former.outside_file()
            for note in former.notes((*trained_on, *([] if texts_outside is None else [texts_outside]))):
                remark(printable(note))
            config = former.config(trained_on, table, target, outside=texts_outside, encoder=encoder, threads=threads)
            result = retrained(former, config, goal, bar.show)
    if as_json:
        say_json(
            {
                "type": "retrained",
                "model": asked.name,
                "served_version": None if former is None else former.card.version,
                "version": result.card.version,
                "folder": str(target),
                "corrections": str(table),
                "left_out": {} if given is None else {code: rows for code, rows in given.left_out.items() if rows},
                "texts_not_found": [] if given is None else identities_json(given.not_found),
                "decision": None if result.decision is None else result.decision.as_json,
            }
        )
        return
    for line in (*map(printable, result.lines), *([] if result.decision is None else decision_lines(result.decision))):
        say(line)
    place = shlex.quote(str(target))
    say(f"{place}: version {result.card.version}, trained on all rows; its thresholds are cross-fitted")
    if found is None:
        say(f"serve it: sprat task model {asked.task} {place}; then restart")
        return
    say(f"on texts that came since: sprat evaluate FILE --model {place} --against {shlex.quote(str(found.folder))}")
    say(f"serve it: sprat promote {place}{'' if name == result.card.name else f' --as {shlex.quote(name)}'}")


def _asked(model: str, files: TaskFiles) -> ServedFolder:
    """Return the model that is asked for, with the folder of that name.

    Raises:
        UserError: it is none that is retrained.
    """
    task, _, name = model.replace("@", "/", 1).partition("/")
    if (task == "intent" and name) or (task in files and files[task].has_labels):
        return ServedFolder(task, name or DEFAULT_MODEL, Path(name or task))
    raise UserError(f"{model}: name an intent model of your own, as intent/hr, or a task of yours with labels")


def _served(asked: ServedFolder, served: Path | None, files: TaskFiles) -> ServedFolder | None:
    """Return the served version; None of a task that has none yet."""
    known = (each for each in served_folders(files) if (each.task, each.model) == (asked.task, asked.model))
    found = next(known, asked)
    if served is not None:
        return replace(found, folder=served)
    if found is asked and asked.task in files and asked.model == DEFAULT_MODEL:
        return None
    return found


def _free(name: str) -> Path:
    return next(place for number in count(2) if not (place := Path(f"{name}-{number}")).exists())


def _goal(found: ServedFolder) -> float:
    return Version.of(found.folder).recommended_goal


def _say_table(table: Path, given: GivenCorrections, added: Added, asked: ServedFolder, span: str) -> None:
    """Print what the table holds, and which corrections are left out.

    Raises:
        SpratError: it holds nothing.
    """
    for line in given.lines:
        remark(line)
    if added.untrainable:
        remark(f"left out: {added.untrainable:,}  training would refuse the text or the label")
    if not added.rows:
        raise SpratError(f"no correction of {asked.name} in the last {span}: nothing to train from")
    remark(printable(f"{table}: {counted(added.rows, 'row')}, {added.new:,} of them new or changed"))
