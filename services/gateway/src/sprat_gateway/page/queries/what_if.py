"""Screen 4: what another goal would keep, by retained predictions; and how often that was wrong, by reviews alone."""

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from sprat.base.binomial import upper_bound
from sprat.base.model import DEFAULT_MODEL
from sprat_contracts.results import EACH_NAME
from sprat_contracts.reviews import ERRORS, RIGHT, WRONG
from sprat_contracts.thresholds import CERTAINTY, LEVELS, Thresholds, recommended_goal, thousandths
from sprat_contracts.topics import DAY_MS
from sprat_gateway.page.queries.alarms import StandingAlarm, standing_alarms
from sprat_gateway.page.queries.overview import SPANS
from sprat_gateway.page.queries.viewer import Viewer

CERTIFIED: Final = "certified"
ESTIMATED: Final = "estimated"
FEWEST: Final = 50
"""Reviews below which no bound is shown as if it said something."""
_KEPT: Final = "kept"
_ALARM: Final = "alarm"
_MAY_MISS: Final = "may_miss"
_BY_GOAL: Final = frozenset(
    {"confident", "low_confidence", "not_certified", "not_measured", EACH_NAME, _MAY_MISS, "no_level"}
)
"""Reasons of decisions that a goal makes; any other stays, whatever the goal."""
_LOOKED_AT: Final = 5_000
"""So many of the newest Results of the task are looked at."""
_REVIEWED_MS: Final = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class WantedGoal:
    """What is asked for; None: as today."""

    of: str | None = None
    """Task and model, as `intent/hr`."""
    goal: float | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class ReviewedErrors:
    """What reviews say of the answers that a goal keeps: of draws with an equal chance each."""

    wrong: int
    undecided: int
    """Nobody answered, nobody could tell, or two answers differ: in the bound they count as wrong."""
    rows: int

    @property
    def share(self) -> float | None:
        """The share wrong of those that were decided; None where none was."""
        decided = self.rows - self.undecided
        return self.wrong / decided if decided else None

    @property
    def bound(self) -> float:
        """The exact upper bound of the share wrong, at a certainty of 95 %."""
        return upper_bound(self.wrong + self.undecided, self.rows, CERTAINTY)

    @property
    def is_enough(self) -> bool:
        """Whether there are reviews enough to look at the bound."""
        return self.rows >= FEWEST


@dataclass(frozen=True, slots=True)
class GoalOutcome:
    """What a goal does."""

    goal: float | None
    """None: a fixed `keep_at` decides."""
    evidence: str | None
    kept: float
    """The share of the answers."""
    escalated_a_day: float
    euro_a_day: float | None
    """None where no call of the task was paid in the last day."""
    errors: ReviewedErrors


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The screen."""

    pairs: tuple[str, ...]
    """Each task with each of its models, as `intent/hr`."""
    of: str
    task: str
    model: str
    today: GoalOutcome
    then: GoalOutcome
    rows: int
    """Predictions on which the shares rest."""
    unmoved: int
    """Of these, decided by something else than this goal: they stay as they are."""
    alarms: tuple[StandingAlarm, ...]
    """Of errors, that stand for some of the task."""
    by_alarm: int
    """Predictions that were escalated by an alarm."""
    since_ms: int
    a_day: float
    """Results in the last day."""
    lines: str
    """Of the policy."""


_PAIRS: Final = """SELECT task, asked, count(*) AS rows FROM (
    SELECT task, asked FROM results WHERE tenant = ? AND source = ? AND expires > ? ORDER BY seq DESC LIMIT 20000
) GROUP BY task, asked ORDER BY rows DESC"""
_DECIDED: Final = f"""WITH newest AS (
    SELECT text, task, asked, decision, reason, goal, evidence FROM results
    WHERE tenant = ? AND source = ? AND task = ? AND expires > ? ORDER BY seq DESC LIMIT {_LOOKED_AT}
), worth AS (
    SELECT newest.*, records.at, CAST(records.value AS TEXT) AS prediction FROM newest
    JOIN records ON records.text = newest.text AND records.task = newest.task
    AND records.kind = 'prediction' AND records.expires > ?
)
SELECT asked, decision, reason, goal, evidence, json_extract(prediction, '$.accuracy.estimated') AS estimated,
json_extract(prediction, '$.accuracy.certified') AS certified, json_extract(prediction, '$.renormalised') AS of_some,
json_extract(prediction, '$.accuracy.thresholds') IS NOT NULL AS measured,
CASE WHEN json_array_length(prediction, '$.output.entities') > 0
THEN json_extract(prediction, '$.nothing_missed.estimated') END AS none_missed, count(*) AS rows, min(at) AS since
FROM worth GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"""  # noqa: S608 - a number
_DAY: Final = """SELECT sum(kept + escalated), sum(escalated), sum(spent_eur) FROM sums
WHERE width = ? AND tenant = ? AND source = ? AND task = ? AND at >= ?"""
_SERVING: Final = """SELECT version, json_extract(CAST(value AS TEXT), '$.thresholds') AS thresholds FROM models
WHERE task = ? AND model = ?
AND json_extract(CAST(value AS TEXT), '$.owns_from') IS NOT NULL ORDER BY at DESC LIMIT 1"""
_CLOSED: Final = """SELECT language, says, confidence, goal, evidence, verdict, disputed, hash, least FROM closed
WHERE tenant = ? AND source = ? AND task = ? AND asked = ? AND version = ? AND at >= ? AND expires > ?
AND NOT full AND tier IS NULL"""


def what_if(connection: sqlite3.Connection, viewer: Viewer, wanted: WantedGoal, now_ms: int) -> WhatIf | None:
    """Return the screen; None where the viewer has no Result of the task and model yet with its prediction."""
    owner = (viewer.tenant, viewer.source)
    pairs = tuple(f"{row['task']}/{row['asked']}" for row in connection.execute(_PAIRS, (*owner, now_ms)))
    of = wanted.of if wanted.of in pairs else next(iter(pairs), "")
    task, _, model = of.partition("/")
    every = connection.execute(_DECIDED, (*owner, task, now_ms, now_ms)).fetchall()
    rows = [row for row in every if row["asked"] == model]
    count = sum(row["rows"] for row in rows)
    if not count:
        return None
    rule = _rule(rows)
    goal = wanted.goal or rule[0] or recommended_goal(task)
    goal = min(LEVELS, key=lambda each: abs(each - goal))
    evidence = wanted.evidence or rule[1] or ESTIMATED
    width, moments = SPANS["day"]
    day = connection.execute(_DAY, (width, *owner, task, now_ms - width * moments)).fetchone()
    # Sums are of a task; its models share them as they share its newest Results.
    results, escalated, spent = ((each or 0) * count / sum(row["rows"] for row in every) for each in day)
    reviews = _Reviews(connection, viewer, (task, model), now_ms)

    def outcome(goal: float | None, evidence: str | None, kept: int) -> GoalOutcome:
        a_day = results * (1 - kept / count)
        euro = a_day * spent / escalated if escalated and spent else 0.0 if not a_day else None
        return GoalOutcome(goal, evidence, kept / count, a_day, euro, reviews.errors(goal, evidence))

    moved = [row for row in rows if _is_moved(row, rule)]
    stays = sum(row["rows"] for row in rows if row["decision"] == _KEPT and not _is_moved(row, rule))
    by_names = any(row["reason"] in {EACH_NAME, _MAY_MISS} for row in rows)
    kept = sum(row["rows"] for row in moved if _reaches(row, goal, evidence, by_names=by_names))
    return WhatIf(
        pairs=pairs,
        of=of,
        task=task,
        model=model,
        today=outcome(*rule, sum(row["rows"] for row in rows if row["decision"] == _KEPT)),
        then=outcome(goal, evidence, stays + kept),
        rows=count,
        unmoved=count - sum(row["rows"] for row in moved),
        alarms=tuple(
            each for each in standing_alarms(connection, viewer) if (each.alarm.kind, each.alarm.task) == (ERRORS, task)
        ),
        by_alarm=sum(row["rows"] for row in rows if row["reason"] == _ALARM),
        since_ms=min(row["since"] for row in rows),
        a_day=results,
        lines=policy_lines(task, model, goal, evidence),
    )


def _rule(rows: Sequence[sqlite3.Row]) -> tuple[float | None, str | None]:
    """Return today's goal with its evidence: the most frequent one; of a fixed `keep_at`, None."""
    found: Counter[tuple[float | None, str | None]] = Counter()
    for row in rows:
        if _is_by_goal(row):
            found[row["goal"], row["evidence"]] += row["rows"]
    return found.most_common(1)[0][0] if found else (None, None)


def _is_by_goal(row: sqlite3.Row) -> bool:
    return row["reason"] in _BY_GOAL or row["decision"] == _KEPT


def _is_moved(row: sqlite3.Row, rule: tuple[float | None, str | None]) -> bool:
    """Return whether another goal decides.

    Not where a language, or an answer without a label, has its own, and not where names may be missed.
    """
    if row["reason"] == EACH_NAME and not _at_least(row["none_missed"], row["goal"]):
        return False
    return _is_by_goal(row) and (row["goal"], row["evidence"]) == rule and row["measured"] and not row["of_some"]


def _reaches(row: sqlite3.Row, goal: float, evidence: str, *, by_names: bool) -> bool:
    if _at_least(row[CERTIFIED] if evidence == CERTIFIED else row[ESTIMATED], goal):
        return True
    return by_names and evidence == ESTIMATED and _at_least(row["none_missed"], goal)


def _at_least(level: float | None, goal: float) -> bool:
    return level is not None and thousandths(level) >= thousandths(goal)


class _Reviews:
    """The reviews of the version that serves, of the last 30 days."""

    def __init__(self, connection: sqlite3.Connection, viewer: Viewer, of: tuple[str, str], now_ms: int) -> None:
        row = connection.execute(_SERVING, of).fetchone()
        self._thresholds = None if row is None else _thresholds(row["thresholds"])
        version = "" if row is None else row["version"]
        asked = (viewer.tenant, viewer.source, *of, version, now_ms - _REVIEWED_MS, now_ms)
        drawn = connection.execute(_CLOSED, asked).fetchall()
        # Below the smallest share that was applied, each text had the same chance to be drawn.
        least = min((row["least"] for row in drawn), default=0.0)
        self._rows = [row for row in drawn if row["hash"] < least]

    def errors(self, goal: float | None, evidence: str | None) -> ReviewedErrors:
        """Return what they say of the answers that a goal keeps; None: those of a fixed `keep_at`."""
        rows = [row for row in self._rows if self._covers(row, goal, evidence)]
        disputed = [row for row in rows if row["disputed"] or row["verdict"] not in {RIGHT, WRONG}]
        wrong = sum(row["verdict"] == WRONG and not row["disputed"] for row in rows)
        return ReviewedErrors(wrong, len(disputed), len(rows))

    def _covers(self, row: sqlite3.Row, goal: float | None, evidence: str | None) -> bool:
        """Return whether a draw is a fair one of what the goal keeps: all of that could be drawn at the time."""
        if goal is None or row["goal"] is None:
            return goal is None and row["goal"] is None
        if thousandths(row["goal"]) > thousandths(goal) or row["evidence"] not in {evidence, ESTIMATED}:
            return False
        if self._thresholds is None:
            return False
        worth = self._thresholds.accuracy(row["confidence"], row["language"] or "und", row["says"])
        level = worth.certified if evidence == CERTIFIED else worth.estimated
        return _at_least(level, goal)


def _thresholds(value: str | None) -> Thresholds | None:
    try:
        return None if value is None else Thresholds.model_validate_json(value)
    except ValidationError:  # of another version of the contract
        return None


def policy_lines(task: str, model: str, goal: float, evidence: str) -> str:
    """Return the lines of the policy for a goal."""
    keys = ["tasks", task, *(["models", json.dumps(model)] if model != DEFAULT_MODEL else [])]
    lines = [f"{'  ' * depth}{key}:" for depth, key in enumerate(keys)]
    indent = "  " * len(keys)
    lines += [f"{indent}goal: {goal:g}", f"{indent}evidence: {evidence}"]
    return "\n".join(lines)
