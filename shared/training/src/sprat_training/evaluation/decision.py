"""What an evaluation of one version of a model found at a goal, or of two: the object that every report renders."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

import numpy as np

from sprat_contracts.kept import least_kept
from sprat_contracts.thresholds import NONE, SOME, Certificate, Says, Step, Thresholds, recommended_goal, thousandths
from sprat_inference.card import Card
from sprat_training.evaluation.frontier import Routed
from sprat_training.thresholds import Kept, PairedComparison, Rows, compare_at
from sprat_training.thresholds.compared import Verdict
from sprat_training.thresholds.rows import Flags

Evidence = Literal["certified", "estimated"]
Judged = Literal["file", "card", "rows", "cross-fitted", "stated"]

_SAYS: Final[tuple[Says, ...]] = (SOME, NONE)
_LEAST_OF_LANGUAGE: Final = 8
"""Rows of a language that have a line of their own."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the owner asks of the answers that are kept."""

    accuracy: float
    evidence: Evidence = "estimated"
    of_none: float | None = None
    """For answers that name nothing, where they have a goal of their own; infinite: never kept."""
    keep_at: float | None = None
    """The fixed number of the policy, where it has one: it decides what is kept, the goal does not."""

    def of(self, says: Says) -> float:
        """Return the goal for answers that say something, or nothing."""
        return self.accuracy if says == SOME or self.of_none is None else self.of_none


@dataclass(frozen=True, slots=True)
class CellAtGoal:
    """What a version keeps of the rows of one cell."""

    language: str | None
    """Without region; None: of all languages."""
    says: Says | None
    """None: of all answers."""
    rows: float
    kept: float
    right: float
    """Of the kept ones."""
    threshold: float | None = None
    """Least confidence that is kept; None: nothing is, or it differs between the answers."""

    @property
    def kept_share(self) -> float:
        """Return the share of the rows that is kept."""
        return self.kept / self.rows if self.rows else 0.0

    @property
    def right_of_kept(self) -> float | None:
        """Return the share of the kept ones that is right; None where nothing is kept."""
        return self.right / self.kept if self.kept else None


@dataclass(frozen=True, slots=True)
class VersionAtGoal:
    """What one version keeps at the goal, and by which thresholds."""

    name: str
    """Of its folder, or of the model."""
    version: str
    thresholds: Thresholds | None
    judged: Judged
    """By the thresholds of its `file`, else by the `keep_at` of its `card`; by thresholds of these very `rows`, so a
    little too good; `cross-fitted`: each row by a model without it; `stated`: no rows, as its file states it."""
    cells: tuple[CellAtGoal, ...]
    """The first is that of all answers."""
    kept: Kept | None = None
    """Row by row, where rows were asked."""

    @property
    def all(self) -> CellAtGoal:
        """Return what it keeps of all answers."""
        return self.cells[0]

    @property
    def certificate(self) -> Certificate | None:
        """Return what its certified steps rest on."""
        return None if self.thresholds is None else self.thresholds.certificate

    def certified(self, says: Says = SOME) -> float | None:
        """Return the highest accuracy that is certified."""
        cell = None if self.thresholds is None else self.thresholds.cell(None, says)
        return cell.certified[-1].accuracy if cell is not None and cell.certified else None

    @classmethod
    def stated(cls, name: str, version: str, thresholds: Thresholds | None, goal: Goal) -> "VersionAtGoal":
        """Return what a file of thresholds states of the rows that it was measured on."""
        cells = [
            _stated_cell(thresholds, each.says, goal)
            for each in (() if thresholds is None else thresholds.cells)
            if each.language is None
        ]
        total = CellAtGoal(None, None, *(sum(getattr(each, of) for each in cells) for of in ("rows", "kept", "right")))
        return cls(name, version, thresholds, "stated", (total, *cells))

    @classmethod
    def measured(
        cls,
        name: str,
        version: str,
        rows: Rows,
        thresholds: Thresholds | None,
        goal: Goal,
        judged: Judged = "file",
        card: Card | None = None,
    ) -> "VersionAtGoal":
        """Return what a version keeps of rows by some thresholds.

        Args:
            name: of the version.
            version: of the model.
            rows: what it says of them.
            thresholds: by which is judged.
            goal: what is asked of the kept answers.
            judged: whose thresholds these are.
            card: its card, whose `keep_at` decides as in the router where there are no thresholds.
        """
        places = [*dict.fromkeys(zip(rows.languages, rows.says_none.tolist(), strict=True))]
        least = {place: _least(card, thresholds, place[0], NONE if place[1] else SOME, goal) for place in places}
        of_row = np.array([least[place] for place in zip(rows.languages, rows.says_none.tolist(), strict=True)])
        kept = rows.confidence >= of_row
        languages = np.array(rows.languages, dtype=np.str_)
        cells = [_cell(rows, kept, of_row, np.ones(len(rows), dtype=bool), None, None)]
        several = len({*rows.languages}) > 1
        for language in (None, *sorted({*rows.languages} - {""} if several else ())):
            for says in _SAYS:
                chosen = rows.says_none == (says == NONE)
                chosen = chosen if language is None else chosen & (languages == language)
                if chosen.sum() >= (1 if language is None else _LEAST_OF_LANGUAGE):
                    cells.append(_cell(rows, kept, of_row, chosen, language, says))
        judged = "card" if thresholds is None and goal.keep_at is None else judged
        return cls(name, version, thresholds, judged, tuple(cells), Kept(kept, rows.right))


@dataclass(frozen=True, slots=True)
class Doubted:
    """The rows whose answers a version doubts; the router escalates them, and no other figure leaves them out."""

    reasons: Mapping[str, int] = field(default_factory=dict)
    """Reason → rows."""
    of_kept: int = 0
    """Of these, the rows that reach what is asked of kept answers."""

    @property
    def rows(self) -> int:
        """Return how many there are."""
        return sum(self.reasons.values())


@dataclass(frozen=True, slots=True)
class Decision:
    """What was found; a single version is shown before and after its thresholds were measured anew."""

    task: str
    goal: Goal
    served: VersionAtGoal | None
    """The version that is served, or the other one; or the same one by its thresholds so far. None: there is none."""
    new: VersionAtGoal
    compared: PairedComparison | None = None
    """None where one version was evaluated."""
    rows: int = 0
    """That both were asked; 0: none."""
    outside: int = 0
    """Of these, the texts outside every label."""
    file: str = ""
    """Which rows these are, as "hr-test.csv"."""
    routed: Routed | None = None
    """What the routing to a large model gives; None where none was asked."""
    notes: tuple[str, ...] = ()
    """What else a reader must know: one sentence each, the most important first."""
    doubted: Doubted = Doubted()
    """Of the rows, by the new version."""

    @property
    def verdict(self) -> Verdict | None:
        """Return the one verdict; None where one version was evaluated."""
        return None if self.compared is None else self.compared.verdict

    @property
    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {
            "task": self.task,
            "goal": self.goal.accuracy,
            "evidence": self.goal.evidence,
            "goal_of_none": None if self.goal.of_none is None or self.goal.of_none > 1 else self.goal.of_none,
            "keeps_none": self.goal.of_none is None or self.goal.of_none <= 1,
            "keep_at": self.goal.keep_at,
            "file": self.file,
            "rows": self.rows,
            "outside": self.outside,
            "doubted": {"rows": self.doubted.rows, **asdict(self.doubted)},
            "served": None if self.served is None else _version_json(self.served),
            "new": _version_json(self.new),
            "verdict": self.verdict,
            "compared": None if self.compared is None else asdict(self.compared),
            "routed": None if self.routed is None else self.routed.as_json,
            "notes": list(self.notes),
        }


def compare(served: VersionAtGoal, new: VersionAtGoal, goal: Goal, rows: Rows) -> PairedComparison | None:
    """Return the paired comparison of two versions that were asked the same rows; None where one was not asked."""
    if served.kept is None or new.kept is None:
        return None
    asked = goal.accuracy if goal.keep_at is None else None
    return compare_at(served.kept, new.kept, goal=asked, group=rows.group)


def step_at(steps: Sequence[Step], goal: float) -> Step | None:
    """Return the step that an answer needs for a goal; None where no threshold reaches it."""
    return next((each for each in steps if thousandths(each.accuracy) >= thousandths(goal)), None)


def cell_threshold(thresholds: Thresholds, language: str | None, says: Says, goal: Goal) -> float | None:
    """Return the least confidence that reaches the goal in a cell; None where nothing does."""
    asked = goal.of(says)
    return None if asked > 1 else thresholds.threshold(asked, goal.evidence, language or "", says)


def _least(card: Card | None, thresholds: Thresholds | None, language: str, says: Says, goal: Goal) -> float:
    """Return the least confidence that is kept; infinity: none is."""
    if goal.of(says) > 1:
        return math.inf
    if goal.keep_at is not None and (says == SOME or goal.of_none is None):
        return least_kept(goal.keep_at)
    if thresholds is not None:
        found = cell_threshold(thresholds, language, says, goal)
        return math.inf if found is None else found
    if (
        card is None
        or goal.evidence == "certified"
        or thousandths(goal.of(says)) > thousandths(recommended_goal(card.task))
    ):
        return math.inf
    of_none = card.keep_at_outside or 0.0 if says == NONE else 0.0
    return least_kept(max(card.keep_at_of(language), of_none))


def _cell(rows: Rows, kept: Flags, least: Any, chosen: Flags, language: str | None, says: Says | None) -> CellAtGoal:
    """Return what is kept of the chosen rows; `least` is the least confidence of each row that is kept."""
    found = np.unique(least[chosen])
    one = float(found[0]) if len(found) == 1 and math.isfinite(found[0]) else None
    all_rows, held, right = (
        float(rows.weight[each].sum()) for each in (chosen, chosen & kept, chosen & kept & rows.right)
    )
    return CellAtGoal(language, says, all_rows, held, right, one)


def _stated_cell(thresholds: Thresholds | None, says: str, goal: Goal) -> CellAtGoal:
    kind: Says = NONE if says == NONE else SOME
    cell = None if thresholds is None else thresholds.cell(None, kind)
    if thresholds is None or cell is None:
        return CellAtGoal(None, kind, 0.0, 0.0, 0.0)
    threshold = cell_threshold(thresholds, None, kind, goal)
    # Certified steps count one row of each group of near doubles, a cell effective rows: the estimated ones fit it.
    steps = (*cell.estimated, *cell.certified)
    step = next((each for each in steps if each.threshold == threshold), None)
    fit = 1.0 if step is None else min(1.0, cell.rows / max(step.kept, 1e-9))
    kept, right = (0.0, 0.0) if step is None else (step.kept * fit, step.right * fit)
    return CellAtGoal(None, kind, cell.rows, kept, right, threshold)


def _version_json(version: VersionAtGoal) -> dict[str, Any]:
    thresholds = version.thresholds
    return {
        "name": version.name,
        "version": version.version,
        "judged": version.judged,
        "thresholds": None if thresholds is None else thresholds.model_dump(mode="json"),
        "cells": [asdict(each) for each in version.cells],
    }
