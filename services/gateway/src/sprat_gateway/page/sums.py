"""Counts of texts and Results by time, tenant, source and task: they stay exact when single rows have gone."""

import math
import sqlite3
from collections import defaultdict
from typing import Final

from sprat_gateway.page.records import ResultRow, TextRef

_NARROWEST: Final = 10_000
WIDTHS: Final = {10_000: 600_000, 60_000: 2 * 3_600_000, 900_000: 25 * 3_600_000}
"""Width of a step → how long steps of this width stand: milliseconds."""
_STEP: Final = math.log(1.05)
_SUM = """INSERT INTO sums (width, tenant, source, at, task, texts, kept, escalated, degraded, unanswered, spent_eur,
has_left) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (width, tenant, source, at, task) DO UPDATE SET
texts = texts + excluded.texts, kept = kept + excluded.kept, escalated = escalated + excluded.escalated,
degraded = degraded + excluded.degraded, unanswered = unanswered + excluded.unanswered,
spent_eur = spent_eur + excluded.spent_eur, has_left = has_left + excluded.has_left"""
_LATENCY = """INSERT INTO latencies (width, tenant, source, at, bucket, results) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (width, tenant, source, at, bucket) DO UPDATE SET results = results + excluded.results"""

_DENIAL = """INSERT INTO denials (width, tenant, source, at, code, pairs) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (width, tenant, source, at, code) DO UPDATE SET pairs = pairs + excluded.pairs"""


def bucket_of(ms: int) -> int:
    """Return the bucket of a latency: each is 5 % wider than the one before."""
    return round(math.log(max(1, ms)) / _STEP)


def ms_of(bucket: int) -> int:
    """Return the latency that a bucket stands for."""
    return round(math.exp(bucket * _STEP))


class Sums:
    """What a batch adds."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str, int, str], list[float]] = defaultdict(lambda: [0] * 7)
        self._latencies: defaultdict[tuple[str, str, int, int], int] = defaultdict(int)
        self._denials: defaultdict[tuple[str, str, int, str], int] = defaultdict(int)

    def add_text(self, text: TextRef, at: int) -> None:
        """Count a text that came."""
        self._counts[text.tenant, text.source, at - at % _NARROWEST, ""][0] += 1

    def add_result(self, row: ResultRow) -> None:
        """Count a Result."""
        step, at, bucket = row.step, row.step.place.at, bucket_of(row.total_ms)
        tenant, source, at = step.text.tenant, step.text.source, at - at % _NARROWEST
        counts = self._counts[tenant, source, at, step.task or ""]
        counts[1 if row.decision == "kept" else 2] += 1
        counts[3] += row.status == "degraded"
        counts[4] += row.status == "unanswered"
        counts[5] += row.cost_eur
        counts[6] += row.left
        if row.decision != "kept" and row.declined is not None and not row.left:
            self._denials[tenant, source, at, row.declined] += 1
        self._latencies[tenant, source, at, bucket] += 1

    def write(self, connection: sqlite3.Connection) -> None:
        """Add them to those in the store; in a transaction."""
        for width in WIDTHS:
            for statement, counts in (
                (_SUM, self._counts),
                (_LATENCY, {place: (count,) for place, count in self._latencies.items()}),
                (_DENIAL, {place: (count,) for place, count in self._denials.items()}),
            ):
                rows = [
                    (width, tenant, source, at - at % width, of, *added)
                    for (tenant, source, at, of), added in counts.items()
                ]
                connection.executemany(statement, rows)
