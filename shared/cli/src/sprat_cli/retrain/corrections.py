"""The corrections of one model: read from Kafka, and kept in a file beside the owner's, because texts there expire."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sprat.errors import UserError
from sprat.settings import KafkaSettings
from sprat_cli.connection import explain_kafka_errors
from sprat_cli.feedback.export import OTHER_MODEL, UNTRAINABLE, joined_corrections, left_out_reasons
from sprat_cli.feedback.training_file import rows_of, trainable, write_rows
from sprat_cli.terminal import counted, printable
from sprat_operations.dead_letters import Identity
from sprat_operations.feedback import CorrectedText, requested_model
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import GIVEN, ORIGIN_FIELDS, LabelledTexts, read_labelled, split_labels
from sprat_training.datasets.rows import normalised_text
from sprat_training.datasets.tables import read_text


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
    """Of them, those that Kafka holds."""
    new: int
    """Of these, those that the file did not have, or had with another label."""
    edits: tuple[str, ...] = ()
    """What became of labels that somebody changed in the file, a sentence each."""


def new_corrections(
    kafka: KafkaSettings, asked: AskedModel, since_ms: int, outside_label: str, path: Path
) -> tuple[list[dict[str, Any]], Counter[str], list[Identity]]:
    """Return the rows of corrections of a model that training accepts, why others are left out, and texts not found.

    Args:
        kafka: where they are.
        asked: the model, as texts ask for it.
        since_ms: corrections given since then.
        outside_label: what stands for texts outside every label.
        path: of the file they are meant for.
    """
    with explain_kafka_errors(kafka):
        examples, left_out, not_found = asyncio.run(joined_corrections(kafka, asked.task, since_ms))
    own = [each for each in examples if requested_model(each.text, asked.task) == asked.name]
    left_out[OTHER_MODEL] += len(examples) - len(own)
    rows = rows_to_keep(own, outside_label)
    good = [row for row in rows if trainable(path, row)]
    left_out[UNTRAINABLE] += len(rows) - len(good)
    return good, left_out, not_found


def rows_to_keep(examples: Iterable[CorrectedText], outside_label: str) -> list[dict[str, Any]]:
    """Return the rows: text, label or labels, and by which correction of which text they came."""
    examples, rows = tuple(examples), []
    for example, row in zip(examples, rows_of(examples), strict=True):
        name = "labels" if "labels" in row else "label"
        label = row[name] if name == "labels" else row[name] or outside_label
        source, text_id = example.identity
        origin = dict(zip(ORIGIN_FIELDS, (label, text_id, source), strict=True))
        rows.append({"text": row["text"], name: label, **origin})
    return rows


def add_corrections(path: Path, rows: list[dict[str, Any]], *, several: bool = False) -> Added:
    """Add corrections to a file, where the last one of a text counts; return how many it holds then.

    New ones come last, and rows that say the same as before stay as they are. So does a row whose label was changed in
    the file, until another correction of its text is given.

    Args:
        path: of the file.
        rows: to add.
        several: whether a text may have several labels.

    Raises:
        UserError: the file cannot be read or written.
    """
    if path.suffix != ".jsonl":
        raise UserError(f"--corrections {path}: the name must end in .jsonl, which holds every text")
    kept: dict[str, _KeptRow] = {}
    columns = columns_of(several=several)
    label = str(columns.label)
    if path.exists():
        kept = _kept_rows(path, read_labelled(path, columns, several=several))
    given = {normalised_text(row["text"]): row for row in rows}
    other = {text: row for text, row in given.items() if text not in kept or kept[text].label != row[label]}
    edited = [kept[text].row for text, row in other.items() if text in kept and kept[text].is_edit_of(row[label])]
    changed = {text: row for text, row in other.items() if text not in kept or not kept[text].is_edit_of(row[label])}
    edits = [_replaced(path, kept[text], row, label) for text, row in changed.items() if text in kept]
    # A label that was changed in the file and then given as a correction, too, is no edit any more.
    confirmed = {
        text: kept[text].fields | row
        for text, row in given.items()
        if text in kept and kept[text].is_confirmed_by(row[label])
    }
    if changed or confirmed:
        fields = {text: row.fields for text, row in kept.items()} | changed | confirmed
        write_rows(path, list(fields.values()), overwrite=True)
    lines = (*_edited(path, edited), *filter(None, edits))
    return Added(len(kept.keys() | changed.keys()), len(given), len(changed), lines)


@dataclass(frozen=True, slots=True)
class _KeptRow:
    """A row of the file, as it was found."""

    row: int
    label: str
    fields: dict[str, Any]

    def is_edit_of(self, given: str) -> bool:
        """Return whether somebody changed the label in the file after it was given so."""
        return self.fields.get(GIVEN) == given != self.label

    def is_confirmed_by(self, given: str) -> bool:
        """Return whether a correction says what somebody had changed in the file."""
        before: str = self.fields.get(GIVEN, given)
        return before != given == self.label


def _kept_rows(path: Path, before: LabelledTexts) -> dict[str, _KeptRow]:
    """Return the rows of a file of corrections by their text, each with all of its fields; the last of equal texts."""
    lines = read_text(path).text.split("\n")
    return {
        normalised_text(text): _KeptRow(row, label, json.loads(lines[row - 1]))
        for text, label, row in zip(before.texts, before.labels, before.rows, strict=True)
    }


def _edited(path: Path, rows: list[int]) -> Iterator[str]:
    """Yield that labels stay which were changed in the file."""
    if rows:
        one, named = len(rows) == 1, ", ".join(map(str, sorted(rows)))
        rows_stay = (
            f"row {named} keeps the label that it was" if one else f"rows {named} keep the labels that they were"
        )
        yield f"{path}: {rows_stay} given in this file, not that of the correction on Kafka"


def _replaced(path: Path, kept: _KeptRow, row: dict[str, Any], label: str) -> str | None:
    """Return that a label is replaced that may have been changed in the file; None where it was not."""
    if kept.fields.get(GIVEN) == kept.label:
        return None
    text_id, source = (printable(repr(row.get(name))) for name in ORIGIN_FIELDS[1:])
    now, was = (printable(repr(each), 60) for each in (row[label], kept.label))
    return (
        f"{path}: row {kept.row} had the label {was} and has {now} now, as the last correction of its text says "
        f"(text_id {text_id}, text_source {source}); if {was} is right, give it again by `sprat feedback`"
    )


def columns_of(*, several: bool) -> ColumnNames:
    """Return the columns of a file of corrections."""
    return ColumnNames("text", "labels" if several else "label")


def left_out_lines(left_out: Counter[str], not_found: Sequence[Identity]) -> list[str]:
    """Return how many corrections are not learnt from, and why; those of other models need no line."""
    return [
        f"left out: {counted(count, 'correction')}: {why}"
        for code, count, why in left_out_reasons(left_out, not_found)
        if code != OTHER_MODEL
    ]


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
