"""Thresholds of a model that tests give it."""

from datetime import UTC, datetime
from string import ascii_lowercase
from typing import Any

from sprat_contracts.thresholds import (
    LEVELS,
    Cell,
    Certificate,
    EntityCell,
    EstimatedCell,
    Step,
    Thresholds,
    content_version,
)
from sprat_training.thresholds import Purpose, Rows, measure

MODEL_VERSION = "a" * 16


def thresholds(
    *,
    model_version: str = MODEL_VERSION,
    task: str = "intent",
    label_set: str | None = "0" * 16,
    estimated: float = 0.6,
    certified: float = 0.8,
    german: float | None = None,
    languages: int = 0,
) -> Thresholds:
    """Return thresholds whose answers are 0.97 right from `estimated` on, and certified so from `certified` on.

    Of the answers that say nothing, 0.9 are right from 0.7 on. German texts have a cell of their own where `german` is
    given, and so many other languages besides.
    """
    cells = [
        Cell(
            says="some",
            rows=400,
            estimated=(_step(0.9, estimated / 1.1), _step(0.97, estimated), _step(0.99, 0.95)),
            certified=(_step(0.97, certified),),
        ),
        Cell(says="none", rows=50, estimated=(_step(0.9, 0.7),)),
    ]
    if german is not None:
        cells.append(Cell(language="de", says="some", rows=60, estimated=(_step(0.97, german),)))
    steps = tuple(_step(level, level) for level in LEVELS[:20])
    named = [f"x{ascii_lowercase[number // 26]}{ascii_lowercase[number % 26]}" for number in range(languages)]
    cells += [Cell(language=each, says="some", rows=9, estimated=steps) for each in named]
    draft = Thresholds(
        thresholds_version="0" * 16,
        task=task,
        model="small",
        model_version=model_version,
        label_set=label_set,
        right="the label, or none",
        recommended_goal=0.97,
        cells=tuple(cells),
        certificate=Certificate(goals=(0.97,), spent=0.03, drawn="file", rows=400, outside=40),
    )
    return draft.model_copy(update={"thresholds_version": content_version(draft.model_dump(mode="json"))})


def by_name() -> Thresholds:
    """Return thresholds of names, too: persons, in German apart, places, and that nothing is missed."""
    whole = thresholds(task="ner")
    draft = whole.model_copy(
        update={
            "entities": (
                EntityCell(label="PER", rows=90, estimated=(_step(0.95, 0.85), _step(0.97, 0.95))),
                EntityCell(label="PER", language="de", rows=40, estimated=(_step(0.9, 0.85),)),
                EntityCell(label="LOC", rows=80, estimated=(_step(0.98, 0.95),)),
            ),
            "nothing_missed": (EstimatedCell(rows=70, estimated=(_step(0.96, 0.8),)),),
        }
    )
    return draft.model_copy(update={"thresholds_version": content_version(draft.model_dump(mode="json"))})


def thresholds_of(
    rows: Rows, purpose: Purpose | None, previous: Thresholds | None = None, **changed: Any
) -> Thresholds:
    """Return the thresholds that an evaluation of rows measures."""
    about: dict[str, Any] = {
        "task": "intent",
        "model": "hr",
        "model_version": MODEL_VERSION,
        "label_set": None,
        "right": "the label, or none",
        "recommended_goal": 0.97,
        "by": "evaluate",
        "at_ms": int(datetime(2026, 12, 1, tzinfo=UTC).timestamp() * 1000),
    }
    return measure(rows, purpose=purpose, previous=previous, **(about | changed))


def _step(accuracy: float, threshold: float) -> Step:
    return Step(accuracy=accuracy, threshold=threshold, kept=200, right=199)
