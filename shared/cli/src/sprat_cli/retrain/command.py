"""`sprat retrain`: export corrections, merge, train, compare with the served version; replace nothing unasked."""

import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from sprat.errors import SpratError, UserError
from sprat.model import DEFAULT_MODEL, display_name
from sprat.settings import KafkaSettings
from sprat_cli.chosen_policy import chosen_policy, chosen_tasks, remark_unread
from sprat_cli.connection import kafka_settings
from sprat_cli.feedback.labels import named_texts
from sprat_cli.keep_at_in_force import NextKeepAt, NextSteps, advice_for_next, check_may_write
from sprat_cli.options import (
    Bootstrap,
    Json,
    LabelColumn,
    Prefix,
    SkipBadRows,
    TextColumn,
    time_before_now,
)
from sprat_cli.progress import ProgressBar
from sprat_cli.registered_models import announced_models
from sprat_cli.retrain.compared import train_and_compare
from sprat_cli.retrain.corrections import (
    AskedModel,
    add_corrections,
    left_out_lines,
    new_corrections,
    waiting,
)
from sprat_cli.retrain.first import FirstTraining, train_first
from sprat_cli.retrain.learnt import check_learnt, own_works
from sprat_cli.retrain.summary import Advice, Retrained, advise, summary_json, summary_lines
from sprat_cli.retrain.trained import train_version
from sprat_cli.terminal import printable, remark, say, say_json
from sprat_cli.train.options import reading_options
from sprat_cli.train.written import LaidThere, previous_version, write_report
from sprat_contracts import IntentOutput, LabelsOutput, TaskTable
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card, Work
from sprat_inference.label_sets import MULTI_LABEL
from sprat_operations.dead_letters import Identity
from sprat_policy import TaskFiles
from sprat_training.config import TrainingConfig
from sprat_training.datasets.columns import ColumnNames
from sprat_training.evaluation.comparison import Comparison
from sprat_training.findings import before_serving
from sprat_training.model_card import FITTED, OUTSIDE_TEXTS, check_output, previous_folder
from sprat_training.record import Reading, read_record
from sprat_training.train import train
from sprat_training.verdict import Verdict

EPILOG = """\b
Examples:
  sprat retrain intent/hr --feedback 30d
  sprat retrain intent/hr --feedback 30d --data hr.csv --data more.csv --output hr-2
  sprat retrain intent/hr --feedback 30d --no-merge-case --encoding utf-8
  sprat retrain intent/hr --feedback 7d --replace --write
  sprat retrain desk --output desk-model

\b
MODEL is the name by which texts ask for it; --served is its folder, by default the folder of that name. --data are the
files that it was trained on, by default those that its card names, looked for here and beside the folder, as is the
file of texts outside every label. A file that it was tested on is not trained on.
They are read, and the model is fitted, with the options of the training of the served version, which it remembers: what
you give here wins, and a line says what was reused.
Corrections since --feedback are added to --corrections, by default hr-corrections.jsonl. Keep that file: texts expire
on Kafka, and it is read at the next time. It holds texts as they are, and is readable by you alone.

\b
A task of yours whose file names no artefact gets its first trained model: from its corrections, and from the frontier's
answers unless --no-answers. Each label needs five texts. Both are kept, in NAME-corrections.jsonl and
NAME-answers.jsonl, and what was trained is compared with the nearest label, which answers so far. --output writes it.

\b
The new version is trained on all texts. Whether the corrections make it better, two further trainings show, as that of
the served version, one without the corrections that it has not learnt and one with them: both read texts that neither
was trained on. A fifth of the texts, chosen by a hash of the text, is held out; of fewer than 500 each fifth in turn,
so that all are read. Intervals of differences are paired, by bootstrap. Where the served version has learnt all
corrections, nothing is trained.
Both are compared at one keep_at, that in force for MODEL (of SPRAT_POLICY or of the task's file), else that of the
served version's card: a version with a lower one would keep more by that alone. At 1, at which
nothing is kept, it is that of the new version.
Where a text may have several labels, right means that all of its labels are; micro-F1 counts each label of each text.
Corrections with which no more texts are right and clearly less is kept make it worse: --replace --yes does not write
it. One of the last lines says whether to replace the served version and why; on yes, another which keep_at to write,
if another holds now, or that the one that holds stays, as the new one is lower and provisional. --write writes it.
Without --output or --replace nothing is written but --corrections.

\b
Exit codes:
  0  done
  1  there is no correction, or none that the served version has not learnt, or the same version comes out; or the new
     version keeps nothing, or is worse, and is not written over the served one
  2  an option or a file is wrong, or Kafka cannot be reached"""


def retrain(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", show_default=False, help="As intent/hr or intent@hr, or a task of yours.")
    ],
    *,
    feedback: Annotated[str, typer.Option(metavar="SPAN", help="Corrections of the last 12h, 30d.")] = "30d",
    answers: Annotated[
        bool,
        typer.Option(
            "--answers/--no-answers", help="Of a task without a trained model: learn from the frontier's answers, too."
        ),
    ] = True,
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", show_default=False, help="Texts with labels, repeatable. [default: the card's]"),
    ] = None,
    served: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default=False, help="The served version. [default: ./NAME]")
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jsonl", show_default=False, help="Keeps them. [default: NAME-corrections.jsonl]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", show_default=False, help="Write the new version into a new folder.")
    ] = None,
    replace_served: Annotated[
        bool, typer.Option("--replace", help="Ask, then write it over the served one, which becomes DIR.previous.")
    ] = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="With --replace: write the keep_at, too, where another one is to be written."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Of the files. [default: as trained]")
    ] = None,
    merge_case: Annotated[
        bool | None,
        typer.Option(
            "--merge-case/--no-merge-case",
            show_default=False,
            help="Take labels that differ by case or white space alone as one. [default: as trained]",
        ),
    ] = None,
    skip_bad_rows: SkipBadRows = None,
    out_of_scope: Annotated[
        Path | None,
        typer.Option(metavar="FILE", show_default=False, help="Texts outside every label. [default: the card's]"),
    ] = None,
    outside_label: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL",
            show_default=False,
            help="The label that means `outside every label`, in the files. [default: as trained, else oos]",
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", show_default=False, help="An artefact with an encoder. [default: that of MODEL]"),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=0.999,
            show_default=False,
            help="Required accuracy of the kept answers. [default: as trained, else 0.97]",
        ),
    ] = None,
    lexical: Annotated[
        bool | None,
        typer.Option(
            "--lexical/--no-lexical",
            show_default=False,
            help="Fit a stage that answers by the words alone, where it pays. [default: as trained]",
        ),
    ] = None,
    drop_suspects: Annotated[
        bool | None,
        typer.Option(
            "--drop-suspects/--keep-suspects",
            show_default=False,
            help="Train without the rows whose labels are doubted. [default: as trained]",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that read texts.")] = 2,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Train a served model anew with its corrections, and say whether that is better."""
    if replace_served and not yes and not sys.stdin.isatty():
        raise UserError(
            "--replace without a terminal needs --yes: it writes over the served version, but with --yes, too, not a "
            "version that is worse or keeps nothing"
        )
    kafka = kafka_settings(bootstrap, prefix)
    asked = _asked(model, kafka.topics.tasks)
    since = time_before_now(feedback, "--feedback")
    files_of_tasks = chosen_tasks()
    file = files_of_tasks.get(asked.task)
    kept_in = corrections or Path(f"{asked.name if file is None else asked.task}-corrections.jsonl")
    if file is not None and file.artefact is None and served is None:
        first = FirstTraining(asked, file, since, answers, kept_in, output, accuracy or 0.97, encoder, threads)
        first.check(replaces=replace_served or bool(data))
        train_first(kafka, first, as_json=as_json)
        return
    folder = served or _folder_of(asked, files_of_tasks)
    card = _served_card(folder, asked)
    several = card.kind == MULTI_LABEL
    _check_options(
        {
            "--merge-case": merge_case,
            "--lexical": lexical,
            "--drop-suspects": drop_suspects,
            "--out-of-scope": out_of_scope,
        },
        several=several,
    )
    _check_target(folder, output, replaces=replace_served, writes=write)
    if write:
        check_may_write(asked.task, asked.name, files_of_tasks)
    reading = _reading(
        folder,
        card.languages,
        {
            "text_column": text_column,
            "label_column": label_column,
            "encoding": encoding,
            "merge_case": merge_case,
            "skip_bad_rows": None if skip_bad_rows is None else str(skip_bad_rows),
            "outside_label": outside_label,
            "accuracy": accuracy,
            "lexical": lexical,
            "drop_suspects": drop_suspects,
        },
    )
    files = data or _files_of(card, folder)
    outside_file = out_of_scope or _outside_file_of(card, folder)
    _compare_announced(kafka, asked, card, folder)
    rows, left_out, not_found = new_corrections(kafka, asked, since, reading.outside_label, kept_in)
    added = add_corrections(kept_in, rows, several=several)
    if not added.total:
        raise SpratError(
            f"no correction of {display_name(asked.task, asked.name)} in the last {feedback}: nothing to train from"
            f"{_why(left_out, not_found)}"
        )
    for line in (*added.edits, *left_out_lines(left_out, not_found)):
        remark(line)
    config = TrainingConfig(
        files=(*(file for file in files if file != kept_in), kept_in),
        output=Path(),
        name=card.name,
        columns=ColumnNames(reading.text_column, reading.label_column),
        encoding=reading.encoding,
        corrections=kept_in,
        skip_bad_rows=None if reading.skip_bad_rows is None else Path(reading.skip_bad_rows),
        merge_case=reading.merge_case,
        outside_file=outside_file,
        outside_label=reading.outside_label,
        languages=card.languages,
        encoder=encoder or (folder if card.built_on is None else None),
        accuracy=reading.accuracy,
        outside_share=_outside_share(reading, card),
        drop_small=True,
        drop_suspects=reading.drop_suspects,
        lexical=reading.lexical,
        licence=reading.licence,
        threads=threads,
    )
    learnt = check_learnt(config, card, folder, asked)
    version = train_and_compare(config, folder, card, learnt, asked, files_of_tasks)
    new, comparison = version.trained, version.compared.comparison
    if (waits := waiting(kept_in, new.dropped_labels, several=several)) is not None:
        remark(waits)
    retrained = Retrained(asked, card, version, len(learnt.lines), config, added, left_out, not_found)
    next_keep_at = advice_for_next(asked.task, asked.name, files_of_tasks, new.card, output or folder)
    advice = advise(version, next_keep_at.advice)
    target = folder if replace_served else output
    remark_unread(chosen_policy(None))
    _show(retrained, advice, folder, target, as_json=as_json)
    if target is not None and (not replace_served or _agreed(folder, new.verdict, comparison, yes=yes)):
        _write(config, target, folder, as_json=as_json, model=asked, several=several)
        if replace_served:
            _show_replaced(advice, next_keep_at, yes=yes, write=write, as_json=as_json)
    elif target is not None and not as_json:
        say(f"nothing is replaced: {folder} stays as it is")


def _show_replaced(advice: Advice, next_keep_at: NextKeepAt, *, yes: bool, write: bool, as_json: bool) -> None:
    """Write the keep_at, if that is asked for, and print what became of it, or which one to write."""
    steps = NextSteps.of([next_keep_at], write=write)
    if as_json:
        for change in steps.written:
            say_json({"type": "keep_at_written", **change.as_json})
        steps.check()
        return
    if not advice.replace:
        say(f"replaced all the same, as {'--yes says' if yes else 'you answered'}")
    for line in [*([] if advice.expected is None else [advice.expected]), *steps.lines]:
        say(line)
    steps.check()


def _agreed(folder: Path, verdict: Verdict, comparison: Comparison, *, yes: bool) -> bool:
    """Return whether the served version is to be replaced; say before which version that throws away.

    Raises:
        SpratError: see :func:`check_replaces`.
    """
    check_replaces(folder, verdict, comparison, unasked=yes)
    if (thrown_away := previous_version(folder)) is not None:
        remark(f"{previous_folder(folder)} holds {thrown_away}: to replace {folder} throws it away")
    question = f"The new version is worse. Replace {folder}?" if comparison.is_worse else f"Replace {folder}?"
    return yes or typer.confirm(question, err=True)


def _show(retrained: Retrained, advice: Advice, folder: Path, target: Path | None, *, as_json: bool) -> None:
    if as_json:
        say_json(summary_json(retrained, advice))
        return
    for line in summary_lines(retrained):
        say(line)
    if target is None:
        say(f"nothing is replaced; write it with --output DIR, or over {folder} with --replace")
    for line in advice.lines if target != folder else advice.verdict_lines:  # the rest stands at the end then
        say(line)


def check_replaces(folder: Path, verdict: Verdict, comparison: Comparison, *, unasked: bool) -> None:
    """Check that the new version may be written over the served one.

    Raises:
        SpratError: it keeps nothing; or it is worse, and the user is not asked.
    """
    if verdict.grade == "poor":
        raise SpratError(
            f"the new version keeps nothing, so {folder} stays as it is; --output DIR writes it all the same"
        )
    if unasked and comparison.is_worse:
        raise SpratError(
            f"the new version is worse, so {folder} stays as it is; without --yes you are asked, and --output DIR "
            "writes it all the same"
        )


def _check_target(folder: Path, output: Path | None, *, replaces: bool, writes: bool) -> None:
    if writes and not replaces:
        raise UserError("--write goes with --replace: without it, no other version is served")
    if output is not None and replaces:
        raise UserError("--output and --replace exclude each other")
    if output is not None:
        check_output(output, force=False, may_force=False)
    if replaces:
        check_output(folder, force=True)


def _check_options(given: Mapping[str, Any], *, several: bool) -> None:
    """Check that no option is given that a training of several labels a text does not have.

    Raises:
        UserError: one is.
    """
    named = [option for option, value in given.items() if value is not None]
    if several and named:
        raise UserError(f"{', '.join(named)}: not for a model that gives a text several labels")


def _asked(model: str, tasks: TaskTable) -> AskedModel:
    task, separator, name = model.replace("@", "/", 1).partition("/")
    if task in tasks.added and tasks[task] in {IntentOutput, LabelsOutput}:
        return AskedModel(task, name or DEFAULT_MODEL)
    if task != "intent" or not separator or not name:
        raise UserError(f"{model}: name an intent model of your own, as intent/hr, or a task of yours with labels")
    return AskedModel(task, name)


def _folder_of(asked: AskedModel, files: TaskFiles) -> Path:
    """Return the folder of the served version: that of the file of the task, else that of the model's name."""
    named = files.artefact(asked.task) if asked.task in files and asked.name == DEFAULT_MODEL else None
    return named or Path(asked.name)


def _served_card(folder: Path, asked: AskedModel) -> Card:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name that of the served version with --served DIR")
    try:
        card = load_artefact(folder).card
    except BrokenArtefact as error:
        raise UserError(f"--served: {error}") from None
    if (card.task != "intent" and card.kind != MULTI_LABEL) or not card.labels:
        raise UserError(f"{folder}: not a model of labels, so not the one of {asked}")
    return card


def _reading(folder: Path, languages: Sequence[str], given: Mapping[str, Any]) -> Reading:
    """Return the options of the training of the served version, with what is given instead; say what was reused."""
    record = read_record(folder)
    remembered = Reading() if record is None else record.reading
    chosen = {name: value for name, value in given.items() if value is not None}
    reused = reading_options(remembered, languages, chosen)
    if reused:
        remark(f"as at the training of the served version: {printable(' '.join(reused))}")
    return replace(remembered, **chosen)


def _outside_share(reading: Reading, card: Card) -> float:
    """Return the assumed share outside every label; an artefact of an earlier version has it in its card alone."""
    default = Reading().outside_share
    return (card.calibration.outside_share or default) if reading.outside_share == default else reading.outside_share


def _files_of(card: Card, folder: Path) -> list[Path]:
    """Return the files that the card says the model was trained on.

    Raises:
        UserError: one is not found, or the card names none.
    """
    found = []
    for work in own_works(card, FITTED):
        path = _found(work, folder)
        if path is None:
            raise UserError(
                f"{work.name}, which the model was trained on, is neither here nor beside {folder}: --data FILE"
            )
        found.append(path)
    if not found:
        raise UserError(f"the card of {folder} names no file of yours; give what it was trained on with --data FILE")
    return found


def _outside_file_of(card: Card, folder: Path) -> Path | None:
    """Return the file of texts outside every label that the card names; say where it is not found."""
    work = next(own_works(card, OUTSIDE_TEXTS), None)
    path = None if work is None else _found(work, folder)
    if work is not None and path is None:
        remark(
            f"{work.name}, the texts outside every label of the served version, is neither here nor beside {folder}: "
            "this training goes without it; give it with --out-of-scope FILE"
        )
    return path


def _found(work: Work, folder: Path) -> Path | None:
    """Return where a file of the card is, and say where it has changed."""
    places = (place / work.name for place in (Path(), folder.resolve().parent))
    path = next((place for place in places if place.is_file()), None)
    if path is not None and sha256(path.read_bytes()).hexdigest() != work.sha256:
        remark(f"{path} has changed since the served version was trained on it")
    return path


def _compare_announced(kafka: KafkaSettings, asked: AskedModel, card: Card, folder: Path) -> None:
    """Print a remark where another version than that of the folder is announced, and what to do."""
    versions = {each.version for each in announced_models(kafka) if (each.task, each.model) == (asked.task, asked.name)}
    if not versions:
        remark(f"{asked} is not announced: no service has served it yet")
    elif card.version not in versions:
        remark(
            f"{asked} is announced with version {', '.join(sorted(versions))}, the folder {folder} has {card.version}: "
            "where another folder is served, stop, and name that with --served DIR; else this one is compared"
        )


def _write(
    config: TrainingConfig, target: Path, served: Path, *, as_json: bool, model: AskedModel, several: bool
) -> None:
    """Train once more into the target, which may be the served folder: the same files give the same bytes."""
    before = LaidThere.of(target)
    if several:
        with ProgressBar() as bar:
            written = train_version(replace(config, output=target), bar.show, several=True).card
        _say_written_sets(written, target, as_json=as_json, model=model, replaces=before.exists)
        for line in before.lines(written, compares=False) if not as_json else []:
            say(line)
        return
    with ProgressBar() as bar:
        result = train(replace(config, output=target), bar.show)
    page = write_report(result, show_texts=False)
    if as_json:
        say_json({"type": "written", "folder": str(target), "version": result.card.version, "report": str(page)})
        return
    say(f"{target}: {model}, version {result.card.version}, keep_at {result.card.keep_at:.2f}; {page}: the report")
    if result.verdict.grade == "poor":
        say(f"do not serve it yet: {before_serving(result)}")
    elif before.exists:
        say("a running `sprat up` of that folder notices by itself")
    else:
        pair = shlex.join(map(str, (served, target)))
        say(f"ask new texts which is better: sprat models compare {pair} FILE; serve it: sprat models replace {pair}")
    for line in before.lines(result.card, compares=False):
        say(line)


def _say_written_sets(card: Card, folder: Path, *, as_json: bool, model: AskedModel, replaces: bool) -> None:
    if as_json:
        say_json({"type": "written", "folder": str(folder), "version": card.version})
        return
    say(f"{folder}: {model}, version {card.version}, keep_at {card.keep_at:.2f}: {card.keep_at_rule}")
    if not replaces:  # else it is served already, and what to do about its keep_at stands at the end
        say(f"serve it: sprat task model {model.task} {shlex.quote(str(folder))}; then restart")


def _why(left_out: Counter[str], not_found: Sequence[Identity]) -> str:
    reasons = ", ".join(f"{code} {count:,}" for code, count in left_out.items() if count)
    named = f"; not found: {named_texts(not_found)}" if not_found else ""
    return f" (left out: {reasons}{named})" if reasons else ""
