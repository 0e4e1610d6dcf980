"""Read the rows from which a model of others is calibrated. No text is quoted in an error."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from sprat.base.errors import UserError
from sprat.base.model import Model, Question
from sprat_contracts import TranslationOutput
from sprat_contracts.languages import is_served
from sprat_inference.card import Card
from sprat_inference.classifier import Classifier
from sprat_inference.converters.agreement import chrf_of_each
from sprat_inference.heads import Floats
from sprat_training.datasets.columns import safe_listing
from sprat_training.datasets.config import OnTrainingProgress
from sprat_training.datasets.distinct import OUTSIDE
from sprat_training.datasets.reader import LabelledTexts, split_labels
from sprat_training.datasets.rows import numbered_lines

LEAST_ROWS: Final = 50
"""With fewer, a calibration says nothing."""
READING: Final = "reading the rows to calibrate on"
"""What is said of the progress."""
_TEXTS_PER_BATCH: Final = 100

T = TypeVar("T")
Marked = frozenset[tuple[int, int, str]]
"""Start, end and type of each span of a text."""


@dataclass(frozen=True, slots=True)
class ClassRows:
    """Texts with one label each, and texts outside every label."""

    name: str
    """Of the file."""
    texts: tuple[str, ...]
    gold: NDArray[np.int64]
    """Index of the label of each."""
    outside: tuple[str, ...]

    @classmethod
    def of(cls, rows: LabelledTexts, labels: Sequence[str], outside_label: str) -> "ClassRows":
        """Take them from rows.

        Raises:
            UserError: the rows are too few, or have labels that the model does not have.
        """
        numbers = {label: number for number, label in enumerate(labels)}
        check_labels_of(rows, rows.labels, {*labels, outside_label})
        pairs = list(zip(rows.texts, rows.labels, strict=True))
        inside = [(text, numbers[label]) for text, label in pairs if label in numbers]
        if (count := len(inside)) < LEAST_ROWS:
            raise UserError(
                f"{rows.path}: has {count} rows with a label of the model; {LEAST_ROWS} are needed to calibrate"
            )
        texts, gold = zip(*inside, strict=True)
        outside = tuple(text for text, label in pairs if label not in numbers)
        return cls(rows.path.name, texts, np.array(gold, dtype=np.int64), outside)


@dataclass(frozen=True, slots=True)
class SetRows:
    """Texts with the set of labels of each."""

    name: str
    texts: tuple[str, ...]
    gold: NDArray[np.bool_]
    """Texts × labels."""

    @classmethod
    def of(cls, rows: LabelledTexts, labels: Sequence[str]) -> "SetRows":
        """Take them from rows; see :meth:`ClassRows.of`."""
        sets = [set(split_labels(cell)) - {OUTSIDE} for cell in rows.labels]
        check_labels_of(rows, (label for each in sets for label in each), labels)
        _check_count(rows.path, len(rows.texts))
        gold = np.array([[label in each for label in labels] for each in sets], dtype=bool)
        return cls(rows.path.name, rows.texts, gold)


@dataclass(frozen=True, slots=True)
class SpanRows:
    """Texts with their spans."""

    name: str
    texts: tuple[str, ...]
    spans: tuple[Marked, ...]


@dataclass(frozen=True, slots=True)
class TranslatedRows:
    """What a model says of texts whose translation by people is known."""

    name: str
    languages: tuple[str, ...]
    """Of the texts."""
    stated: NDArray[np.float64]
    """By the model, of each translation."""
    chrf: NDArray[np.float64]
    """Of the translation against that of people."""


@dataclass(frozen=True, slots=True)
class TranslationRows:
    """Texts with their translations by people."""

    name: str
    questions: tuple[Question, ...]
    references: tuple[str, ...]

    def translated_by(self, model: Model, progress: OnTrainingProgress) -> TranslatedRows:
        """Return what a model says of them.

        Raises:
            ModelError: when the model fails.
        """
        stated: list[float] = []
        texts: list[str] = []
        for start in range(0, len(self.questions), _TEXTS_PER_BATCH):
            for answer in model.answer(self.questions[start : start + _TEXTS_PER_BATCH]):
                stated.append(answer.confidence)
                texts.append(answer.output.text if isinstance(answer.output, TranslationOutput) else "")
            progress("translating the rows to calibrate on", len(stated), len(self.questions))
        languages = tuple(question.language for question in self.questions)
        return TranslatedRows(self.name, languages, np.array(stated), np.array(chrf_of_each(texts, self.references)))


def read_span_rows(path: Path, types: Sequence[str]) -> SpanRows:
    """Read JSON Lines: `{"text": "…", "entities": [{"start": 0, "end": 4, "label": "PER"}]}`; offsets are code points.

    Raises:
        UserError: a row is of another form, has a type that is none of `types`, or the rows are too few.
    """

    def of_row(row: Any) -> tuple[str, Marked] | None:
        text, marked = row["text"], frozenset((e["start"], e["end"], e["label"]) for e in row["entities"])
        fits = isinstance(text, str) and all(0 <= start < end <= len(text) for start, end, _ in marked)
        return (text, marked) if fits else None

    form = (
        '{"text": "…", "entities": [{"start": 0, "end": 4, "label": "…"}]}, with offsets in code points inside the text'
    )
    found = [row for _, row in _rows(path, of_row, form)]
    if unknown := sorted({label for _, marked in found for _, _, label in marked} - set(types)):
        raise UserError(
            f"{path}: {len(unknown)} labels are none of the model's: {safe_listing(unknown[:8])}; it has "
            f"{', '.join(types)}"
        )
    _check_count(path, len(found))
    texts, spans = zip(*found, strict=True)
    return SpanRows(path.name, texts, spans)


def read_translation_rows(path: Path, card: Card) -> TranslationRows:
    """Read JSON Lines: `{"text": "…", "reference": "…"}`, with `language` and `target` where the model has several.

    Raises:
        UserError: a row is of another form, the model does not know its languages, or the rows are too few.
    """

    def of_row(row: Any) -> tuple[Question, str] | None:
        text, reference = row["text"], row["reference"]
        language, target = row.get("language", card.languages[0]), row.get("target", card.targets[0])
        fits = all(isinstance(each, str) and each.strip() for each in (text, reference, language, target))
        return (Question(text, language, target), reference) if fits else None

    found = list(_rows(path, of_row, '{"text": "…", "reference": "…"}'))
    for number, (question, _) in found:
        if not is_served(question.language, card.languages) or not is_served(question.target or "", card.targets):
            raise UserError(f"{path}: row {number}: the model does not translate from its language into its target")
    _check_count(path, len(found))
    questions, references = zip(*(row for _, row in found), strict=True)
    return TranslationRows(path.name, questions, references)


def check_labels_of(rows: LabelledTexts, named: Iterable[str], known: Collection[str]) -> None:
    """Check that the rows name no label but those of the model.

    Raises:
        UserError: they do.
    """
    if unknown := sorted(set(named) - set(known)):
        listed = safe_listing(unknown[:8])
        raise UserError(
            f"{rows.path}: {len(unknown)} labels are none of the model's{f': {listed}' if listed else ''}; rename them "
            "as the model does, or name the label of texts outside all others with --outside-label"
        )


def read_logits(classifier: Classifier, texts: Sequence[str], progress: OnTrainingProgress, doing: str) -> Floats:
    """Return the logits of at least one text, float32, texts × classes."""
    parts = []
    for start in range(0, len(texts), _TEXTS_PER_BATCH):
        parts.append(classifier.read(texts[start : start + _TEXTS_PER_BATCH]).logits)
        progress(doing, min(start + _TEXTS_PER_BATCH, len(texts)), len(texts))
    return np.concatenate(parts)


def _rows(path: Path, of_row: Callable[[Any], T | None], form: str) -> Iterator[tuple[int, T]]:
    """Yield the number and the content of each line.

    Raises:
        UserError: a row is of another form.
    """
    for number, line in numbered_lines(path):
        try:
            found = of_row(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            found = None
        if found is None:
            raise UserError(f"{path}: row {number}: not of the form {form}")
        yield number, found


def _check_count(path: Path, count: int) -> None:
    if count < LEAST_ROWS:
        raise UserError(f"{path}: has {count} rows; {LEAST_ROWS} are needed to calibrate")
