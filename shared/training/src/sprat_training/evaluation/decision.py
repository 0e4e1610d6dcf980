"""What an evaluation of one version of a model found at a goal, or of two: the object that every report renders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sprat_contracts.thresholds import NONE, SOME, Certificate, Says, Step, Thresholds, thousandths

Evidence = Literal["certified", "estimated"]
Verdict = Literal["better", "worse", "not shown"]
Judged = Literal["file", "rows", "cross-fitted", "stated"]

_SAYS: Final[tuple[Says, ...]] = (SOME, NONE)


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
    """By the thresholds of its `file`, on rows that did not choose them; by those of these very `rows`, a little too
    good; `cross-fitted`: each row by thresholds without it; `stated`: no rows, as its file states it."""
    cells: tuple[CellAtGoal, ...]
    """The first is that of all answers."""

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


@dataclass(frozen=True, slots=True)
class Paired:
    """Two versions on the same rows, at the goal."""

    verdict: Verdict
    """Of the new one; `not shown` is no proof that both are alike."""
    only_new: int
    """Rows that the new version alone keeps and gets right."""
    only_served: int
    p: float
    """Of the exact McNemar test."""
    difference: tuple[float, float, float]
    """Of the shares kept and right, new minus served, with the ends of its 95 % interval (Tango)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was found; a single version is shown before and after its thresholds were measured anew."""

    task: str
    goal: Goal
    served: VersionAtGoal | None
    """The version that is served, or the other one; or the same one by its thresholds so far. None: there is none."""
    new: VersionAtGoal
    paired: Paired | None = None
    """None where one version was evaluated."""
    rows: int = 0
    """That both were asked; 0: none."""
    outside: int = 0
    """Of these, the texts outside every label."""
    file: str = ""
    """Which rows these are, as "hr-test.csv"."""
    notes: tuple[str, ...] = ()
    """What else a reader must know: one sentence each, the most important first."""

    @property
    def verdict(self) -> Verdict | None:
        """Return the one verdict; None where one version was evaluated."""
        return None if self.paired is None else self.paired.verdict

    @property
    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        paired = self.paired
        return {
            "task": self.task,
            "goal": self.goal.accuracy,
            "evidence": self.goal.evidence,
            "goal_of_none": None if self.goal.of_none in {None, float("inf")} else self.goal.of_none,
            "keep_at": self.goal.keep_at,
            "file": self.file,
            "rows": self.rows,
            "outside": self.outside,
            "served": None if self.served is None else _version_json(self.served),
            "new": _version_json(self.new),
            "verdict": self.verdict,
            "paired": None
            if paired is None
            else {
                "only_new": paired.only_new,
                "only_served": paired.only_served,
                "p": paired.p,
                "difference": [round(each, 4) for each in paired.difference],
            },
            "notes": list(self.notes),
        }


def step_at(steps: Sequence[Step], goal: float) -> Step | None:
    """Return the step that an answer needs for a goal; None where no threshold reaches it."""
    return next((each for each in steps if thousandths(each.accuracy) >= thousandths(goal)), None)


def cell_threshold(thresholds: Thresholds, language: str | None, says: Says, goal: Goal) -> float | None:
    """Return the least confidence that reaches the goal in a cell; None where nothing does."""
    asked, pooled = goal.of(says), thresholds.cell(None, says)
    if asked > 1:
        return None
    certified = None if pooled is None else step_at(pooled.certified, asked)
    found = [] if certified is None else [certified.threshold]
    own = thresholds.cell(language, says) or pooled
    if goal.evidence == "estimated" and own is not None:
        estimated = step_at(own.estimated, asked)
        found += [] if estimated is None else [estimated.threshold]
    return min(found, default=None)


def _stated_cell(thresholds: Thresholds | None, says: str, goal: Goal) -> CellAtGoal:
    kind: Says = NONE if says == NONE else SOME
    cell = None if thresholds is None else thresholds.cell(None, kind)
    if thresholds is None or cell is None:
        return CellAtGoal(None, kind, 0.0, 0.0, 0.0)
    threshold = cell_threshold(thresholds, None, kind, goal)
    steps = (*cell.certified, *cell.estimated)
    step = next((each for each in steps if each.threshold == threshold), None)
    kept, right = (0.0, 0.0) if step is None else (step.kept, step.right)
    return CellAtGoal(None, kind, cell.rows, kept, right, threshold)


def _version_json(version: VersionAtGoal) -> dict[str, Any]:
    thresholds = version.thresholds
    return {
        "name": version.name,
        "version": version.version,
        "judged": version.judged,
        "thresholds": None if thresholds is None else thresholds.model_dump(mode="json"),
        "cells": [
            {
                "language": each.language,
                "says": each.says,
                "rows": each.rows,
                "kept": each.kept,
                "right": each.right,
                "threshold": each.threshold,
            }
            for each in version.cells
        ],
    }
