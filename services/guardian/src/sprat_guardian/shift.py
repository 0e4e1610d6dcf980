"""Whether services answer as they did on the rows that thresholds were measured on: a warning, never a proof.

Of each task, model and language, the last answers are compared with the announced thresholds: how many reach each of
their confidences, and how many are escalated. That needs no labels, and says nothing of errors: a label that was
renamed upstream changes neither.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field, TypeAdapter
from pydantic_core import from_json

from sprat.base.model import DEFAULT_MODEL
from sprat.base.review_tokens import language_of_cell
from sprat.registry.model_table import ModelTable
from sprat_contracts import AlarmRaised, ModelRef, ReviewCell, Thresholds
from sprat_contracts.base import Probability
from sprat_contracts.predictions import DOUBTS, UNCHANGED
from sprat_contracts.results import EACH_NAME
from sprat_contracts.reviews import SHIFT
from sprat_contracts.thresholds import NONE, SOME, Cell, Says

WINDOW: Final = 500
"""So many answers are compared at a time."""
LEAST_ROWS: Final = 100
"""Fewer rows or answers are compared with nothing."""
LEAST_DIFFERENCE: Final = 0.1
"""A share that differs by less is no shift, however sure it is."""
LEAST_DEVIATIONS: Final = 4.0
"""Nor is a difference of fewer standard deviations: it may be chance."""
_BY_POLICY: Final = frozenset({"out_of_scope", "uncalibrated", "unknown_label", "no_service", "alarm"})
"""Reasons of an escalation that say nothing of the confidence."""
_END_OF_TIME: Final = 1 << 62
_MOST_WINDOWS: Final = 1_000
"""Whoever writes texts names their languages: with more of them, the oldest window begins anew."""


class SeenAnswer(NamedTuple):
    """What a Result says of the small model's answer."""

    task: str
    asked_model: str
    language: Annotated[str, Field(pattern=r"^[a-z]{2,8}$")]
    version: str | None
    """Of the model; None where it gave no answer."""
    said: Says | None
    """None where the Result does not tell."""
    confidence: Probability | None
    escalated: bool
    """Also of what is kept by its names: thresholds say what is kept as a whole."""
    kept_from: tuple[Probability | None, str | None, Probability | None]
    """Goal and evidence, or the confidence from which on an answer is kept."""
    reason: str


_SEEN: Final = TypeAdapter(SeenAnswer)


def seen_in(value: bytes) -> SeenAnswer | None:
    """Return what a Result says; None where it is none, or its confidence is not that of a model over all labels.

    Of a Result little is needed: the rest is not validated, which would take most of the guardian's time. What is
    needed is: Results are not signed, and whoever writes to their topics could otherwise end the process.
    """
    try:
        result = from_json(value)
        route, detected = result["route"], result.get("language_detected")
        language = result["language"] if detected is None else detected["language"]
        escalated = route["decision"] == "escalated"
        small = result.get("small") if escalated else result
        model = None if small is None else small["model"]
        if result.get("renormalised") or (model is not None and model.get("stage") == UNCHANGED):
            return None
        seen = (
            result["task"],
            result.get("asked_model") or DEFAULT_MODEL,
            language_of_cell(language),
            None if model is None else model["version"],
            None if small is None else _said(result, small),
            None if small is None else small["confidence"],
            escalated or route["reason"] == EACH_NAME,
            (route.get("goal"), route.get("evidence"), route.get("threshold")),
            route["reason"],
        )
        return _SEEN.validate_python(seen)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _said(result: Mapping[str, Any], small: Mapping[str, Any]) -> Says | None:
    output = small.get("output")
    if output is None:  # of an escalated text, the labels alone are told, which are those of tasks with labels
        return None if result["task"] == "ner" else SOME if small["labels"] else NONE
    if "label" in output:
        return NONE if output["label"] is None else SOME
    if "labels" in output:
        return SOME if output["labels"] else NONE
    return None if "entities" in output else SOME


@dataclass(slots=True)
class AnswerWindow:
    """The last answers of a model in one language."""

    thresholds: Thresholds
    language: str
    since: int
    count: int = 0
    escalated: int = 0
    expected: float | None = 0.0
    """How many would have been escalated of the measured rows; None where that is not known."""
    reached: dict[Says, list[int]] = field(default_factory=dict)
    """By what was said: how many answers reach none of the measured confidences, the lowest alone, and so on."""
    _shares: dict[tuple[Any, ...], float | None] = field(default_factory=dict)

    def add(self, seen: SeenAnswer) -> None:
        """Add an answer of the model."""
        self.count += 1
        self.escalated += seen.escalated
        kept = None if seen.reason in _BY_POLICY else self._kept(seen)
        if seen.reason in DOUBTS:  # escalated by its wording alone; unknown instead, most windows would compare nothing
            kept = 0.0
        self.expected = None if kept is None or self.expected is None else self.expected + 1 - kept
        if seen.said is None or seen.confidence is None or (cell := self._cell(seen.said)) is None:
            return
        steps = self.reached.setdefault(seen.said, [0] * (len(cell.estimated) + 1))
        steps[bisect_right(cell.estimated, seen.confidence, key=lambda step: step.threshold)] += 1

    def shift(self) -> str | None:
        """Return how the answers differ from the measured rows; None where they do not."""
        for said, steps in self.reached.items():
            cell = self._cell(said)
            for place, step in enumerate(cell.estimated if cell is not None else ()):
                if cell is None:
                    continue
                share = step.kept / cell.rows
                found = differs(sum(steps[place + 1 :]), sum(steps), share, cell.rows)
                if found is not None:
                    what = "that name something" if said == SOME else "that name nothing"
                    return (
                        f"of the last {sum(steps)} answers {what}, {100 * found:.0f} % have a confidence of "
                        f"{step.threshold:.3f} or more, of the measured rows {100 * share:.0f} %"
                    )
        if self.expected is None:
            return None
        share = self.expected / self.count
        rows = sum(cell.rows for said in (SOME, NONE) if (cell := self._cell(said)) is not None)
        found = differs(self.escalated, self.count, share, rows)
        if found is None:
            return None
        return (
            f"{100 * found:.0f} % of the last {self.count} texts are escalated, of the measured rows "
            f"{100 * share:.0f} % would be"
        )

    def _cell(self, said: Says) -> Cell | None:
        own = self.thresholds.cell(self.language, said) or self.thresholds.cell(None, said)
        return own if own is not None and own.rows > 0 else None

    def _kept(self, seen: SeenAnswer) -> float | None:
        """Return which share of the measured rows that say the same would have been kept; None: not known."""
        asked = (seen.said, *seen.kept_from)
        if asked not in self._shares:
            cells = [(said, cell) for said in (SOME, NONE) if (cell := self._cell(said)) is not None]
            if seen.said is not None:
                cells = [(said, cell) for said, cell in cells if said == seen.said]
            shares = [(self._kept_of(cell, said, *seen.kept_from), cell.rows) for said, cell in cells]
            rows = sum(weight for _, weight in shares)
            known = rows > 0 and all(share is not None for share, _ in shares)
            self._shares[asked] = sum((share or 0) * weight for share, weight in shares) / rows if known else None
        return self._shares[asked]

    def _kept_of(
        self, cell: Cell, said: Says, goal: float | None, evidence: str | None, keep_at: float | None
    ) -> float | None:
        if goal is None:
            return None if keep_at is None else share_from(cell, keep_at)
        threshold = self.thresholds.threshold(goal, evidence or "", self.language, said)
        return 0.0 if threshold is None else share_from(cell, threshold)


class ShiftWatch:
    """Compares the answers of all models, window by window.

    Args:
        models: as they are announced.
    """

    def __init__(self, models: ModelTable) -> None:
        self._models = models
        self._windows: dict[tuple[str, str, str], AnswerWindow] = {}

    def take(self, value: bytes, at: int) -> AlarmRaised | None:
        """Take a Result that was appended at `at`, epoch milliseconds; return the alarm of a window that shows a shift.

        Answers of a model that was not measured, or of another version than the announced one, are left out.
        """
        seen = seen_in(value)
        if seen is None:
            return None
        announced = self._models.served(seen.task, seen.asked_model, _END_OF_TIME)
        thresholds = None if announced is None else announced.thresholds
        if thresholds is None or seen.version not in {None, thresholds.model_version}:
            return None
        key = (seen.task, seen.asked_model, seen.language)
        window = self._windows.get(key)
        if window is None or window.thresholds.thresholds_version != thresholds.thresholds_version:
            if len(self._windows) >= _MOST_WINDOWS:
                del self._windows[next(iter(self._windows))]
            window = self._windows[key] = AnswerWindow(thresholds, seen.language, at)
        window.add(seen)
        if window.count < WINDOW:
            return None
        del self._windows[key]
        detail = window.shift()
        return None if detail is None else _alarm(seen, window, detail, at)


def differs(count: int, of: int, share: float, rows: float) -> float | None:
    """Return the share of answers where it differs from that of the measured rows by more than chance; None: not so."""
    if of < LEAST_ROWS or rows < LEAST_ROWS:
        return None
    found = count / of
    together = (count + share * rows) / (of + rows)
    deviation = math.sqrt(together * (1 - together) * (1 / of + 1 / rows))
    is_large = abs(found - share) >= LEAST_DIFFERENCE and abs(found - share) >= LEAST_DEVIATIONS * deviation
    return found if is_large else None


def share_from(cell: Cell, threshold: float) -> float | None:
    """Return which share of a cell's rows has this confidence or more, between the measured ones on a line.

    Returns:
        None below the lowest and above the highest measured confidence.
    """
    steps = cell.estimated
    place = bisect_right(steps, threshold, key=lambda step: step.threshold)
    if place == 0:
        return None
    lower = steps[place - 1]
    if lower.threshold == threshold:
        return lower.kept / cell.rows
    if place == len(steps):
        return None
    upper = steps[place]
    part = (threshold - lower.threshold) / (upper.threshold - lower.threshold)
    return (lower.kept + part * (upper.kept - lower.kept)) / cell.rows


def _alarm(seen: SeenAnswer, window: AnswerWindow, detail: str, at: int) -> AlarmRaised:
    thresholds = window.thresholds
    return AlarmRaised(
        kind=SHIFT,
        task=seen.task,
        cell=ReviewCell(language=seen.language),
        number=1,
        model=ModelRef(name=thresholds.model, version=thresholds.model_version),
        since=window.since,
        raised_at=at,
        detail=f"{detail}; it is no proof that more is wrong",
    )
