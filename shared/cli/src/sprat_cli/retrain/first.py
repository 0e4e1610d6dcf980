"""`sprat retrain` of a task without a trained model: its first one, from corrections and a large model's answers."""

import asyncio
import shlex
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat.errors import SpratError, UserError
from sprat.kafka.clients import client_arguments
from sprat.settings import KafkaSettings
from sprat_cli.connection import explain_kafka_errors
from sprat_cli.feedback.training_file import trainable
from sprat_cli.progress import ProgressBar, read_progress
from sprat_cli.retrain.corrections import (
    Added,
    AskedModel,
    add_corrections,
    columns_of,
    left_out_lines,
    new_corrections,
    rows_to_keep,
)
from sprat_cli.terminal import counted, printable, remark, say, say_json
from sprat_cli.train.options import languages_of
from sprat_encoder.zero_shot import load_zero_shot
from sprat_operations.feedback import requested_model
from sprat_operations.large_answers import read_large_answers
from sprat_policy import TaskFile
from sprat_training.config import TrainingConfig
from sprat_training.data import MIN_TEXTS, OUTSIDE
from sprat_training.datasets.reader import read_labelled, split_labels
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.label_set_train import train_label_sets
from sprat_training.model_card import check_output
from sprat_training.train import TrainingResult, train

_TEXTS_PER_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class FirstTraining:
    """What is trained, and from what."""

    asked: AskedModel
    file: TaskFile
    since_ms: int
    answers: bool
    """Whether a large model's answers are learnt from, too."""
    corrections: Path
    output: Path | None
    accuracy: float
    encoder: Path | None
    threads: int

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self.file.kind == "multi_label"

    @property
    def answered(self) -> Path:
        """The file that keeps a large model's answers, beside the corrections."""
        return self.corrections.with_name(f"{self.asked.task}-answers.jsonl")

    def check(self, *, replaces: bool) -> None:
        """Check the options before anything is read.

        Raises:
            UserError: one is for a task that has a trained model, or the output cannot be written.
        """
        if replaces:
            raise UserError(f"{self.asked.task} has no trained model yet: --replace and --data are for one that has")
        if self.output is not None:
            check_output(self.output, force=False)


def train_first(kafka: KafkaSettings, first: FirstTraining, *, as_json: bool) -> None:
    """Keep the rows, train on them where each label has enough, compare with the nearest label, and write if asked.

    Raises:
        SpratError: a label has too few texts.
        UserError: a file cannot be read or written, or Kafka cannot be reached.
    """
    rows, left_out, not_found = new_corrections(kafka, first.asked, first.since_ms, OUTSIDE, first.corrections)
    added = add_corrections(first.corrections, rows, several=first.several)
    answers = Added(0, 0, 0)
    if first.answers:
        answers = add_corrections(first.answered, _answers(kafka, first), several=first.several)
    corrected, answered = added.total, answers.total
    for line in (*added.edits, *answers.edits, *left_out_lines(left_out, not_found)):
        remark(line)
    files = tuple(path for path in (first.answered, first.corrections) if path.is_file())
    remark(
        f"{printable(str(first.corrections))}: {counted(corrected, 'correction')}; {printable(str(first.answered))}: "
        f"{counted(answered, 'answer')} of the frontier"
    )
    _check_enough(first, files)
    config = TrainingConfig(
        files=files,
        output=Path(),
        name=first.asked.task,
        columns=columns_of(several=first.several),
        corrections=first.corrections if first.corrections in files else None,
        languages=languages_of(first.file.languages, f"`languages` in the file of {first.asked.task}"),
        encoder=first.encoder,
        accuracy=first.accuracy,
        threads=first.threads,
    )
    with tempfile.TemporaryDirectory(prefix="sprat-retrain-") as scratch, ProgressBar() as bar:
        trained = replace(config, output=first.output or Path(scratch) / first.asked.task)
        if first.several:
            sets = train_label_sets(trained, bar.show)
            card, held_out, nearest = sets.card, sets.figures.exact, None
        else:
            result = train(trained, bar.show)
            card, held_out = result.card, result.figures.accuracy
            nearest = _nearest(first, result, bar)
    if as_json:
        say_json(
            {
                "type": "first_trained",
                "task": first.asked.task,
                "corrections": corrected,
                "answers": answered,
                "accuracy": _shares(held_out),
                "nearest_label_accuracy": None if nearest is None else _shares(nearest),
                "keep_at": card.keep_at,
                "version": card.version,
                "folder": None if first.output is None else str(first.output),
            }
        )
        return
    what = "all labels right" if first.several else "right"
    say(f"trained: {held_out} {what}, each text by a head that had not seen it")
    if nearest is not None:
        better = "better" if held_out.low > nearest.value else "not surely better"
        say(f"the nearest label, which answers now: {nearest} right of the same texts; the trained one is {better}")
    if first.output is None:
        say("nothing is written but the rows; write the model with --output DIR")
        return
    say(f"{first.output}: version {card.version}, keep_at {card.keep_at:.2f}: {card.keep_at_rule}")
    say(f"serve it: sprat task model {first.asked.task} {shlex.quote(str(first.output))}; then restart")


def _answers(kafka: KafkaSettings, first: FirstTraining) -> list[dict[str, Any]]:
    """Return the rows of a large model's answers that training accepts."""
    task = first.asked.task
    with explain_kafka_errors(kafka), read_progress("answers") as progress:
        found = asyncio.run(
            read_large_answers(client_arguments(kafka), kafka.topics, task, first.since_ms, progress=progress)
        )
    own = [each for each in found if requested_model(each.text, task) == first.asked.name]
    return [row for row in rows_to_keep(own, OUTSIDE) if trainable(first.answered, row)]


def _check_enough(first: FirstTraining, files: tuple[Path, ...]) -> None:
    """Check that each label of the file has enough texts: the model must know all of them.

    Raises:
        SpratError: one has not, or rows have a label that the file does not have.
    """
    columns = columns_of(several=first.several)
    counts: Counter[str] = Counter()
    for path in files:
        rows = read_labelled(path, columns, several=first.several)
        for cell in rows.labels:
            counts.update(split_labels(cell) if first.several else (cell,))
    if unknown := sorted(set(counts) - {*first.file.labels, OUTSIDE}):
        raise UserError(
            f"rows have the label {printable(unknown[0])!r}, which the file of {first.asked.task} does not have: add "
            f"it there, or correct it in {' or '.join(map(str, files))}"
        )
    if few := {label: counts[label] for label in first.file.labels if counts[label] < MIN_TEXTS}:
        shown = ", ".join(f"{printable(label)} {count}" for label, count in few.items())
        goes_on = "the frontier answers" if first.several else "the nearest label goes on answering"
        raise SpratError(
            f"{first.asked.task} needs {MIN_TEXTS} texts for each label, and has too few of: {shown}; {goes_on}. "
            "Correct more texts, or send some whose hard cases the frontier answers, and try again"
        )


def _nearest(first: FirstTraining, result: TrainingResult, bar: ProgressBar) -> Interval:
    """Return how many of the same texts the nearest label is right about; it has seen none of them."""
    model = load_zero_shot(first.asked.task, first.file.labels, first.file.languages, threads=first.threads)
    labels, texts = model.card.labels or (), result.data.texts
    language = result.config.languages[0]
    right = 0
    for start in range(0, len(texts), _TEXTS_PER_BATCH):
        batch = texts[start : start + _TEXTS_PER_BATCH]
        best = model.classify(batch, [language] * len(batch)).best
        gold = result.data.gold[start : start + _TEXTS_PER_BATCH]
        right += int(np.sum([labels[one] == result.data.labels[other] for one, other in zip(best, gold, strict=True)]))
        bar.show("the nearest label", start + len(batch), len(texts))
    return wilson(right, len(texts))


def _shares(interval: Interval) -> list[float]:
    return [round(each, 4) for each in (interval.value, interval.low, interval.high)]
