"""The corrections of one model: read from Kafka, and kept in a file beside the owner's, because texts there expire."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprat.errors import UserError
from sprat.settings import KafkaSettings
from sprat_cli.connection import explain_kafka_errors
from sprat_cli.feedback.export import LEFT_OUT_WHY, OTHER_MODEL, UNTRAINABLE, joined_corrections
from sprat_cli.feedback.training_file import rows_of, trainable, write_rows
from sprat_cli.terminal import counted, printable
from sprat_operations.feedback import requested_model
from sprat_training.data import is_held_out
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import read_labelled, split_labels
from sprat_training.datasets.rows import normalised_text


@dataclass(frozen=True, slots=True)
class AskedModel:
    """The model that is trained anew, as texts ask for it."""

    task: str
    name: str

    def __str__(self) -> str:
        return f"{self.task}/{self.name}"


@dataclass(frozen=True, slots=True)
class Added:
    """A file of corrections, after those that were read now are added."""

    total: int
    """Corrections in it, one for each text."""
    read: int
    """Of them, those that were read now."""


def new_corrections(
    kafka: KafkaSettings, asked: AskedModel, since_ms: int, outside_label: str, path: Path
) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return the rows of corrections of a model that training accepts, and why others are left out.

    Args:
        kafka: where they are.
        asked: the model, as texts ask for it.
        since_ms: corrections given since then.
        outside_label: what stands for texts outside every label.
        path: of the file they are meant for.
    """
    with explain_kafka_errors(kafka):
        examples, left_out = asyncio.run(joined_corrections(kafka, asked.task, since_ms))
    own = [each for each in examples if requested_model(each.text, asked.task) == asked.name]
    left_out[OTHER_MODEL] += len(examples) - len(own)
    rows = [
        {"text": row["text"], "labels": row["labels"]}
        if "labels" in row
        else {"text": row["text"], "label": row["label"] or outside_label}
        for row in rows_of(own)
    ]
    good = [row for row in rows if trainable(path, row)]
    left_out[UNTRAINABLE] += len(rows) - len(good)
    return good, left_out


def add_corrections(path: Path, rows: list[dict[str, Any]], *, several: bool = False) -> Added:
    """Add corrections to a file, where the last one of a text counts; return how many it holds then.

    New ones come last, and rows that say the same as before stay as they are.

    Args:
        path: of the file.
        rows: to add.
        several: whether a text may have several labels.

    Raises:
        UserError: the file cannot be read or written.
    """
    if path.suffix != ".jsonl":
        raise UserError(f"--corrections {path}: the name must end in .jsonl, which holds every text")
    kept: dict[str, dict[str, Any]] = {}
    columns = columns_of(several=several)
    label = str(columns.label)
    if path.exists():
        before = read_labelled(path, columns, several=several)
        kept = {
            normalised_text(text): {"text": text, label: own}
            for text, own in zip(before.texts, before.labels, strict=True)
        }
    given = {normalised_text(row["text"]): row for row in rows}
    changed = {text: row for text, row in given.items() if text not in kept or kept[text][label] != row[label]}
    kept |= changed
    if changed:
        write_rows(path, list(kept.values()), overwrite=True)
    return Added(len(kept), len(given))


def columns_of(*, several: bool) -> ColumnNames:
    """Return the columns of a file of corrections."""
    return ColumnNames("text", "labels" if several else "label")


def left_out_lines(left_out: Counter[str]) -> list[str]:
    """Return how many corrections are not learnt from, and why; those of other models need no line."""
    return [
        f"left out: {counted(left_out[code], 'correction')}: {why}"
        for code, why in LEFT_OUT_WHY.items()
        if left_out[code] and code != OTHER_MODEL
    ]


def divided(path: Path, dropped_labels: Iterable[str], *, several: bool = False) -> str:
    """Return how many corrections in a file are trained on, and how many test the versions.

    Args:
        path: of the file.
        dropped_labels: the labels that a training left out; a correction with one is in neither number.
        several: whether a text may have several labels.

    Raises:
        UserError: the file cannot be read.
    """
    dropped = set(dropped_labels)
    rows = read_labelled(path, columns_of(several=several), several=several)
    used = [
        text
        for text, cell in zip(rows.texts, rows.labels, strict=True)
        if not dropped.intersection(split_labels(cell) if several else (cell,))
    ]
    tested = sum(map(is_held_out, used))
    trained = len(used) - tested
    learnt, of = ("is" if trained == 1 else "are"), counted(len(rows.texts), "correction")
    held_out, them = ("is held out and tests", "it") if tested == 1 else ("are held out and test", "them")
    return (
        f"{trained:,} of {of} {learnt} trained on; {tested:,} {held_out} both versions, so the new one has not learnt "
        f"{them}"
    )


def waiting(path: Path, dropped_labels: Iterable[str], *, several: bool = False) -> str | None:
    """Return how many of the corrections in a file have a label that a training left out; None where none has.

    Args:
        path: of the file.
        dropped_labels: the labels that were left out.
        several: whether a text may have several labels.

    Raises:
        UserError: the file cannot be read.
    """
    dropped = set(dropped_labels)
    rows = read_labelled(path, columns_of(several=several), several=several)
    found = Counter(
        label for cell in rows.labels for label in (split_labels(cell) if several else (cell,)) if label in dropped
    )
    if not found:
        return None
    named = ", ".join(f"{printable(label, 60)} {count}" for label, count in found.items())
    stay = "stays" if found.total() == 1 else "stay"
    few = f"{counted(found.total(), 'correction')} with a label that has too few texts"
    return f"{few} {stay} in {path} for the next time: {named}"
