"""The rows of labelled files as models of one kind are asked them: what is right, and which of them may certify."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat.base.settings import default_language
from sprat_contracts import IntentOutput, LabelsOutput, NerOutput, Output, TranslationOutput
from sprat_contracts.languages import is_served
from sprat_contracts.thresholds import NONE, says
from sprat_inference.card import Card
from sprat_inference.converters.agreement import chrf_of_each
from sprat_inference.label_sets import MULTI_LABEL
from sprat_langid import resolved
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.distinct import OUTSIDE, with_one_outside_label
from sprat_training.datasets.reader import (
    LabelledTexts,
    columns_of_further,
    joined,
    read_column,
    read_labelled,
    read_texts,
    split_labels,
)
from sprat_training.datasets.record import SeenRows, TrainingRecord, without_seen
from sprat_training.datasets.rows import look_like_texts
from sprat_training.thresholds.rows import Flags

GOOD_CHRF: Final = 40.0
RIGHT: Final = {
    "label": "the label is right; of a text outside every label: that none is given",
    "sets": "the whole set of labels is right",
    "names": "all names and their labels are right, and none is missed",
    "judged": "a person calls the translation right",
    "reference": f"the chrF of the translation against that of a person is {GOOD_CHRF:.0f} or more",
}
"""What is called right of an answer, by the kind of the rows."""

_PICKED: Final = ("given_at", "escalated")
"""Columns that say of a row that it is a correction, or was escalated: it was not drawn at random."""
_YES: Final = frozenset({"1", "true", "yes", "right"})
_NO: Final = frozenset({"0", "false", "no", "wrong", ""})
_TEXTS_PER_BATCH: Final = 200

Progress = Callable[[int, int], None]
"""Gets how many rows are done, and all."""


@dataclass(frozen=True, slots=True)
class FileReading:
    """How a user says that files are read."""

    columns: ColumnNames = field(default_factory=ColumnNames)
    outside_labels: tuple[str, ...] = ()
    """The labels that mean "outside every label"; none: as at the training of the model."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Of whom the rows are asked: a model, or the tiers of a policy."""

    task: str
    kind: str
    """A key of `RIGHT`; of translations `judged`."""
    labels: tuple[str, ...]
    languages: tuple[str, ...] = ()
    """That are read; none: all."""
    target: str | None = None

    @classmethod
    def of(cls, task: str, *cards: Card) -> "Asked":
        """Return what models of one kind are asked: the labels are those of all.

        Raises:
            UserError: nothing is measured of such models.
        """
        card = cards[0]
        labels = dict.fromkeys(label for each in cards for label in each.labels or ())
        return cls(task, kind_of(card), tuple(labels), card.languages, next(iter(card.targets), None))


@dataclass(frozen=True, slots=True)
class Cases:
    """What models are asked, and what is right: one entry per row."""

    kind: str
    """A key of `RIGHT`."""
    texts: LabelledTexts
    """With file and row of each."""
    questions: tuple[Question, ...]
    gold: tuple[Any, ...]
    """What `said_of` returns of the right output; of `judged` translations: which, and whether it is right."""
    outside: Flags
    """A text outside every label."""
    picked: Flags
    """The row is a correction or was escalated."""
    outside_label: str = OUTSIDE
    seen: SeenRows | None = None
    """Rows that were left out, as a model was trained on them."""

    def __len__(self) -> int:
        return len(self.questions)


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model says to the rows."""

    said: tuple[Hashable, ...]
    """As `said_of` returns it."""
    confidence: NDArray[np.float64]
    right: Flags
    says_none: Flags
    counted: Flags
    """False where nobody has judged this very translation."""
    doubts: tuple[str | None, ...] = ()
    """Why each is escalated whatever its confidence is."""


def kind_of(card: Card) -> str:
    """Return the kind of the rows that a model is evaluated on; of a translation model `judged`.

    Raises:
        UserError: nothing is measured of such a model.
    """
    if card.kind == MULTI_LABEL:
        return "sets"
    if card.task in {"ner", "translation"}:
        return "names" if card.task == "ner" else "judged"
    if not card.labels:
        raise UserError(f"{card.name}: answers to the task {card.task} are judged without levels: nothing is measured")
    return "label"


def said_of(output: Output) -> Hashable:
    """Return what an output says, so that equal answers are equal."""
    match output:
        case IntentOutput(label=label):
            return label
        case LabelsOutput(labels=labels):
            return frozenset(each.label for each in labels)
        case NerOutput(entities=entities):
            return frozenset((each.start, each.end, each.label) for each in entities)
        case TranslationOutput(text=text):
            return text
    raise ValueError(f"an output of an unknown form: {type(output).__name__}")


def ask(model: Any, cases: Cases, progress: Progress) -> Answers:
    """Let a loaded model answer all rows."""
    answers: list[Any] = []
    for start in range(0, len(cases), _TEXTS_PER_BATCH):
        answers += model.answer(cases.questions[start : start + _TEXTS_PER_BATCH])
        progress(len(answers), len(cases))
    said = tuple(said_of(each.output) for each in answers)
    counted = np.ones(len(cases), dtype=bool)
    if cases.kind == "reference":
        right = np.array(chrf_of_each([str(each) for each in said], cases.gold), np.float64) >= GOOD_CHRF
    elif cases.kind == "judged":
        right = np.array([is_right for _, is_right in cases.gold], dtype=bool)
        counted = np.array([text == judged for text, (judged, _) in zip(said, cases.gold, strict=True)], dtype=bool)
    else:
        right = np.array([one == gold for one, gold in zip(said, cases.gold, strict=True)], dtype=bool)
    return Answers(
        said,
        np.array([each.confidence for each in answers], dtype=np.float64),
        right,
        np.array([says(each.output) == NONE for each in answers], dtype=bool),
        counted,
        tuple(each.doubt for each in answers),
    )


def read_cases(
    paths: Sequence[Path], asked: Asked, records: Sequence[TrainingRecord | None], reading: FileReading
) -> Cases:
    """Read labelled files, without the rows that a model was trained on.

    Columns are text and label (several labels: separated by |), and may be `language` and `outside`. Rows with a value
    in `given_at` or `escalated` are corrections or were escalated. Names are JSON Lines with
    `entities`; translations have `translation` and `right`, or `reference`.

    Args:
        paths: of the files, at least one.
        asked: of whom they are asked.
        records: what each model remembers of its training; the files are read as those of the first one.
        reading: as the user says.

    Raises:
        UserError: a file cannot be read, has a label that no model knows, or no row is left.
    """
    kind, outside_label = asked.kind, OUTSIDE
    gold: list[Any]
    if kind in {"label", "sets"}:
        texts, outside_label = _labelled(paths, next(iter(records), None), reading, several=kind == "sets")
        _check_labels(texts, asked, outside_label)
        gold = [gold_of(cell, outside_label, several=kind == "sets") for cell in texts.labels]
    else:
        texts = joined([read_texts(path, reading.columns.text) for path in paths])
        kind, gold = _names(texts, asked) if kind == "names" else _translations(texts)
    picked = [any(cells) for cells in zip(*(_column(texts, name) for name in _PICKED), strict=True)]
    if kind in {"label", "sets"}:
        none = gold_of(outside_label, outside_label, several=kind == "sets")
        marked = _flags(texts, "outside", default=False)
        gold = [none if out else each for each, out in zip(gold, marked, strict=True)]
    by = "this model" if len(records) == 1 else "one of both models"
    left, seen = without_seen(records, texts, by)
    if not len(left):
        raise UserError(f"{seen.named if seen else texts.name}: no row is left; take rows that it has not seen")
    there = {*zip(left.paths, left.rows, strict=True)}
    kept = [place for place, at in enumerate(zip(texts.paths, texts.rows, strict=True)) if at in there]
    languages = _languages(texts, asked.languages)
    return Cases(
        kind,
        left,
        tuple(Question(texts.texts[place], languages[place], asked.target) for place in kept),
        tuple(gold[place] for place in kept),
        np.array([kind in {"label", "sets"} and not gold[place] for place in kept], dtype=bool),
        np.array([picked[place] for place in kept], dtype=bool),
        outside_label,
        seen,
    )


def _labelled(
    paths: Sequence[Path], record: TrainingRecord | None, reading: FileReading, *, several: bool
) -> tuple[LabelledTexts, str]:
    """Return the rows of files, and the label of texts outside: as at the training where the user does not say."""
    outside = next(iter(reading.outside_labels), None) or (OUTSIDE if record is None else record.reading.outside_label)
    read = []
    for path in paths:
        columns = reading.columns
        if record is not None:
            trained = columns_of_further(path, ColumnNames(record.reading.text_column, record.reading.label_column))
            columns = ColumnNames(columns.text or trained.text, columns.label or trained.label)
        read.append(read_labelled(path, columns, several=several))
    rows = joined(read)
    return rows if several else with_one_outside_label(rows, outside, (*reading.outside_labels, OUTSIDE)), outside


def _check_labels(texts: LabelledTexts, asked: Asked, outside_label: str) -> None:
    known = {outside_label, OUTSIDE, *asked.labels}
    for place, cell in enumerate(texts.labels):
        for label in {*(split_labels(cell) if asked.kind == "sets" else (cell,))} - known:
            shown = "no such label" if look_like_texts(texts.labels) else f'no label "{label}"'
            raise UserError(
                f"{texts.place(place)}: the model has {shown}; correct it, or name it with --outside-label where it "
                "means: outside every label"
            )


def gold_of(cell: str, outside_label: str, *, several: bool) -> Hashable:
    """Return the right answer of a cell of labels, as `said_of` returns it."""
    if several:
        return frozenset(split_labels(cell)) - {outside_label, OUTSIDE}
    return None if cell == outside_label else cell


def _names(texts: LabelledTexts, asked: Asked) -> tuple[str, list[Any]]:
    known = {*asked.labels}
    gold = []
    for place, (cell, text) in enumerate(zip(_cells(texts, "entities"), texts.texts, strict=True)):
        try:
            spans = frozenset((each["start"], each["end"], each["label"]) for each in cell)
            fits = all(0 <= start < end <= len(text) and label in known for start, end, label in spans)
        except (KeyError, TypeError):
            fits = False
        if not fits:
            raise UserError(
                f'{texts.place(place)}: needs "entities": [{{"start": 0, "end": 4, "label": "…"}}], with offsets in '
                f"code points inside the text, and labels of {', '.join(sorted(known))}"
            )
        gold.append(spans)
    return "names", gold


def _translations(texts: LabelledTexts) -> tuple[str, list[Any]]:
    judged = _column(texts, "translation")
    if any(judged) and any(each is not None for each in _cells(texts, "right")):
        return "judged", list(zip(judged, _flags(texts, "right", default=None), strict=True))
    references = _column(texts, "reference")
    if all(references):
        return "reference", references
    raise UserError(
        f"{texts.path}: translations need the columns `translation` and `right` (yes or no, by a person), or "
        "`reference`, a translation by a person, in each row"
    )


def _cells(texts: LabelledTexts, name: str) -> list[Any]:
    """Return a further column of the files; None where a row has none."""
    by_path = {path: read_column(path, name) for path in dict.fromkeys(texts.paths)}
    return [by_path[path].get(row) for path, row in zip(texts.paths, texts.rows, strict=True)]


def _column(texts: LabelledTexts, name: str) -> list[str]:
    return ["" if each is None else str(each).strip() for each in _cells(texts, name)]


def _flags(texts: LabelledTexts, name: str, *, default: bool | None) -> Iterator[bool]:
    """Yield what a column of yes and no says; a default of None: each row needs one.

    Raises:
        UserError: a cell says something else.
    """
    for place, cell in enumerate(_column(texts, name)):
        word = cell.lower()
        if word not in _YES | _NO or (default is None and not word):
            raise UserError(f'{texts.place(place)}, column "{name}": write yes or no')
        yield word in _YES


def _languages(texts: LabelledTexts, served: Sequence[str]) -> list[str]:
    """Return the language of each row: its own, else that of the model, else as services find it."""
    usual = default_language()
    languages = []
    for place, (named, text) in enumerate(zip(_column(texts, "language"), texts.texts, strict=True)):
        found = named or (served[0] if len(served) == 1 else resolved(usual, text, usual))
        if served and not is_served(found, served):
            if named:
                raise UserError(
                    f"{texts.place(place)}: the model serves {', '.join(served)}, not {named}: correct it, or "
                    "leave the row out"
                )
            found = served[0]
        languages.append(found)
    return languages
