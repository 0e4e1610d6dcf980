"""Measure what the answers of a model are worth, and write it beside its card as `thresholds.json`."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sprat.base.thresholds import THRESHOLDS, find_thresholds, write_thresholds
from sprat_contracts.thresholds import NONE, SOME, Thresholds, recommended_goal, thousandths
from sprat_inference.card import Card
from sprat_training.thresholds import NameRows, Purpose, Rows, measure

LABEL_RIGHT: Final = "the label, or none where no label fits"
SET_RIGHT: Final = "the whole set of labels"
RIGHT: Final[Mapping[str, str]] = {
    "ner": "all names with their types, none missed",
    "translation": "chrF of 40 or more against a translation by a person",
    "language-id": "the language",
}
"""What is called right of an answer of a task; of every other task it is the label or the set of labels."""


def right_of(card: Card) -> str:
    """Return what is called right of an answer of a model."""
    return RIGHT.get(card.task, SET_RIGHT if card.kind == "multi_label" else LABEL_RIGHT)


@dataclass(frozen=True, slots=True)
class MeasuredOf:
    """Of which model thresholds are measured."""

    task: str
    model: str
    version: str
    label_set: str | None
    recommended_goal: float


def measure_now(
    rows: Rows,
    of: MeasuredOf,
    right: str,
    purpose: Purpose | None = None,
    previous: Thresholds | None = None,
    *,
    by: Literal["train", "evaluate", "reviews"],
    names: NameRows | None = None,
) -> Thresholds:
    """Measure thresholds today; see :func:`sprat_training.thresholds.measure`.

    Args:
        rows: what the model answered.
        of: the model.
        right: what is called right.
        purpose: what is to be certified, stated before labels were read; None: nothing is.
        previous: that hold until now.
        by: which command measures.
        names: what the model says of the names of these texts.
    """
    return measure(
        rows,
        task=of.task,
        model=of.model,
        model_version=of.version,
        label_set=of.label_set,
        right=right,
        recommended_goal=of.recommended_goal,
        purpose=purpose,
        previous=previous,
        by=by,
        at_ms=time.time_ns() // 1_000_000,
        names=names,
    )


def measure_levels(
    card: Card,
    rows: Rows,
    *,
    purpose: Purpose | None = None,
    previous: Thresholds | None = None,
    names: NameRows | None = None,
) -> Thresholds:
    """Return the levels of a model whose calibration was just fitted; see :func:`measure_now`."""
    of = MeasuredOf(card.task, card.name, card.version, card.label_set, recommended_goal(card.task))
    return measure_now(rows, of, right_of(card), purpose, previous, by="train", names=names)


def write_levels(
    folder: Path, card: Card, rows: Rows, *, purpose: Purpose | None = None, names: NameRows | None = None
) -> Thresholds:
    """Measure the levels of the artefact in a folder, write them beside its card, and return them.

    Raises:
        UserError: the levels in the folder cannot be read.
        OSError: they cannot be written.
    """
    previous = find_thresholds(folder, model_version=card.version, label_set=card.label_set)
    found = measure_levels(card, rows, purpose=purpose, previous=previous, names=names)
    if found is not previous:
        write_thresholds(folder / THRESHOLDS, found)
    return found


def keep_at_fields(found: Thresholds, goal: float) -> dict[str, Any]:
    """Return what the card says for routers of releases that know no levels: numbers, and how they were found.

    They are the estimated thresholds of the goal, in hundredths, rounded up; 1 where nothing reaches it.
    """
    numbers = []
    for says in (SOME, NONE):
        cell = found.cell(None, says)
        steps = () if cell is None else cell.estimated
        least = next((each.threshold for each in steps if thousandths(each.accuracy) >= thousandths(goal)), 1.0)
        numbers.append(math.ceil(round(least * 100, 6)) / 100)
    rule = f"the least confidence at which {goal:.1%} is right on average, on held-out rows; for routers without levels"
    of_none = max(numbers) if max(numbers) > numbers[0] else None
    return {"keep_at": numbers[0], "keep_at_outside": of_none, "keep_at_rule": rule}


def nothing_reaches(found: Thresholds | None, goal: float) -> str:
    """Return the sentence that says why nothing is kept at a goal, and which level is reached."""
    cells = [] if found is None else [each for each in found.cells if each.says == SOME]
    own = [
        each for each in cells if each.language is not None
    ] or cells  # by which answers in these languages are judged
    best = max((each.estimated[-1] for each in own if each.estimated), key=lambda step: step.accuracy, default=None)
    if best is None:
        return f"no threshold reaches {goal:.1%}, nor any lower level: add rows, and correct wrong labels"
    return (
        f"no threshold reaches {goal:.1%}; {best.accuracy:.1%} is reached from {best.threshold:.2f} on, with "
        f"{best.kept:,.0f} rows kept: add rows, correct wrong labels, or ask for a lower goal"
    )
