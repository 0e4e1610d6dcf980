"""Screen 1: what came in a span of time, how it was answered, how fast, and what it cost."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from sprat_gateway.page.notes import state_of
from sprat_gateway.page.queries.alarms import ReviewCounts, StandingAlarm, reviews_by_task, standing_alarms
from sprat_gateway.page.queries.viewer import Viewer
from sprat_gateway.page.sums import ms_of

Span = Literal["minute", "hour", "day"]
SPANS: Final[Mapping[Span, tuple[int, int]]] = {"minute": (10_000, 6), "hour": (60_000, 60), "day": (900_000, 96)}
"""Milliseconds of a moment, and how many there are."""
_CALLS: Final = 2_000
"""From so many of the last calls the median is taken."""


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Results of pairs of a text and a task. `kept + escalated` is all; degraded and unanswered are escalated ones."""

    kept: int = 0
    escalated: int = 0
    degraded: int = 0
    unanswered: int = 0
    spent_eur: float = 0.0
    saved_eur: float | None = None
    """For each kept pair, what the call with the median number of tokens has cost for this tenant and task; None
    where no call for it was seen."""

    @property
    def results(self) -> int:
        """How many pairs have a Result."""
        return self.kept + self.escalated


@dataclass(frozen=True, slots=True)
class Moment:
    """A part of the span, for the chart."""

    at_ms: int
    """Its beginning."""
    texts: int
    counted: PairCounts


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest text that has not got all its Results."""

    uuid: str
    id: str
    at_ms: int
    """When the broker appended it."""
    for_ms: int
    """Since then."""
    tasks: tuple[str, ...]
    """Tasks without a Result."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The screen."""

    span: Span
    begin_ms: int
    end_ms: int
    texts: int
    counted: PairCounts
    tasks: dict[str, PairCounts]
    p50_ms: int | None
    """From a text's arrival to its Result, by the broker's clock; None where there is none."""
    p99_ms: int | None
    timed: int
    """On how many Results the two rest."""
    waiting: int
    """Texts that have not got all their Results."""
    oldest: Waiting | None
    moments: tuple[Moment, ...]
    """6 of a minute, 60 of an hour, 96 of a day; those without a text, too."""
    reviewed: ReviewCounts
    """What the reviews found that ended in the span."""
    reviewed_tasks: Mapping[str, ReviewCounts]
    alarms: tuple[StandingAlarm, ...]
    one_in: int
    """Of the texts that came, one in so many was read whole: 1 is every one. Counts and euro are of all."""


_SUMS: Final = """SELECT at, task, texts, kept, escalated, degraded, unanswered, spent_eur FROM sums
WHERE width = ? AND tenant = ? AND source = ? AND at >= ? AND at < ?"""
_LATENCIES: Final = """SELECT bucket, sum(results) FROM latencies
WHERE width = ? AND tenant = ? AND source = ? AND at >= ? AND at < ? GROUP BY bucket ORDER BY bucket"""
_PRICES: Final = """SELECT task, provider, model, input_tokens + output_tokens AS tokens, cost_eur FROM calls
WHERE tenant = ? AND source = ? AND outcome = 'answered' AND input_tokens IS NOT NULL ORDER BY at DESC LIMIT ?"""
_OLDEST: Final = """SELECT id, uuid, text_id, at, tasks FROM texts
WHERE tenant = ? AND source = ? AND open > 0 ORDER BY at LIMIT 1"""
_WAITING: Final = "SELECT count(*) FROM texts WHERE tenant = ? AND source = ? AND open > 0"


def overview(connection: sqlite3.Connection, viewer: Viewer, span: Span, now_ms: int) -> Overview:
    """Return the screen of a span that ends now."""
    width, count = SPANS[span]
    end = now_ms - now_ms % width + width
    begin = end - width * count
    owner = (viewer.tenant, viewer.source)
    rows = connection.execute(_SUMS, (width, *owner, begin, end)).fetchall()
    prices = _median_costs(connection.execute(_PRICES, (*owner, _CALLS)))
    buckets = [(bucket, results) for bucket, results in connection.execute(_LATENCIES, (width, *owner, begin, end))]
    reviews = reviews_by_task(connection, viewer, begin, end)
    by_task: defaultdict[str, list[sqlite3.Row]] = defaultdict(list)
    by_moment: defaultdict[int, list[sqlite3.Row]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
        by_moment[row["at"]].append(row)
    return Overview(
        span=span,
        begin_ms=begin,
        end_ms=end,
        texts=_texts(rows),
        counted=_counted(rows, prices),
        tasks={task: _counted(by_task[task], prices) for task in sorted({*by_task, *reviews}) if task},
        p50_ms=_percentile(buckets, 0.50),
        p99_ms=_percentile(buckets, 0.99),
        timed=sum(results for _, results in buckets),
        waiting=connection.execute(_WAITING, owner).fetchone()[0],
        oldest=_oldest(connection, owner, now_ms),
        moments=tuple(
            Moment(at, _texts(by_moment[at]), _counted(by_moment[at], prices)) for at in range(begin, end, width)
        ),
        reviewed=sum(reviews.values(), ReviewCounts()),
        reviewed_tasks=dict(reviews),
        alarms=standing_alarms(connection, viewer),
        one_in=state_of(connection).one_in,
    )


def _texts(rows: Iterable[sqlite3.Row]) -> int:
    return sum(row["texts"] for row in rows)


def _counted(rows: Sequence[sqlite3.Row], prices: Mapping[str, float]) -> PairCounts:
    kept = [(row["task"], row["kept"]) for row in rows if row["kept"]]
    priced = [count * prices[task] for task, count in kept if task in prices]
    return PairCounts(
        kept=sum(row["kept"] for row in rows),
        escalated=sum(row["escalated"] for row in rows),
        degraded=sum(row["degraded"] for row in rows),
        unanswered=sum(row["unanswered"] for row in rows),
        spent_eur=sum(row["spent_eur"] for row in rows),
        saved_eur=sum(priced) if priced else None,
    )


def _median_costs(calls: Iterable[sqlite3.Row]) -> dict[str, float]:
    """Return by task what its tier charges for the median tokens: of the tier that is asked most."""
    by_task: defaultdict[str, defaultdict[tuple[str, str], list[tuple[int, float]]]]
    by_task = defaultdict(lambda: defaultdict(list))
    for call in calls:
        by_task[call["task"]][call["provider"], call["model"]].append((call["tokens"], call["cost_eur"]))
    costs = {}
    for task, tiers in by_task.items():
        most = max(len(each) for each in tiers.values())
        asked = next(sorted(each) for each in tiers.values() if len(each) == most)
        costs[task] = asked[len(asked) // 2][1]
    return costs


def _percentile(buckets: Sequence[tuple[int, int]], share: float) -> int | None:
    """Return the latency that a share of the Results does not exceed."""
    wanted = share * sum(results for _, results in buckets)
    seen = 0
    for bucket, results in buckets:
        seen += results
        if seen >= wanted:
            return ms_of(bucket)
    return None


def _oldest(connection: sqlite3.Connection, owner: tuple[str, str], now_ms: int) -> Waiting | None:
    row = connection.execute(_OLDEST, owner).fetchone()
    if row is None:
        return None
    done = {task for (task,) in connection.execute("SELECT task FROM results WHERE text = ?", (row["id"],))}
    tasks = tuple(task for task in json.loads(row["tasks"] or "[]") if task not in done)
    return Waiting(str(UUID(bytes=row["uuid"])), row["text_id"], row["at"], max(0, now_ms - row["at"]), tasks)
