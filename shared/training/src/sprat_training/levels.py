"""Measure what the answers of a model are worth, and write it beside its card as `thresholds.json`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sprat.thresholds import THRESHOLDS, find_thresholds, write_thresholds
from sprat_contracts.thresholds import Thresholds, recommended_goal
from sprat_inference.card import Card
from sprat_training.thresholds import Purpose, Rows, measure

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


def write_levels(folder: Path, card: Card, rows: Rows, *, purpose: Purpose | None = None) -> Thresholds:
    """Measure the levels of the artefact in a folder, write them beside its card, and return them.

    Args:
        folder: of the artefact.
        card: its card, with the version that was measured.
        rows: what it answered.
        purpose: what is to be certified, stated before labels were read; None: nothing is.

    Raises:
        UserError: the levels in the folder cannot be read, or the folder cannot be written.
    """
    path = folder / THRESHOLDS
    thresholds = measure(
        rows,
        task=card.task,
        model=card.name,
        model_version=card.version,
        label_set=card.label_set,
        right=right_of(card),
        recommended_goal=recommended_goal(card.task),
        purpose=purpose,
        previous=find_thresholds(path.parent, model_version=card.version, label_set=card.label_set),
        by="train",
        at=datetime.now(UTC).date(),
    )
    write_thresholds(path, thresholds)
    return thresholds
