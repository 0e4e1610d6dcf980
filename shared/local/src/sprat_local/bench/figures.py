"""The figures of one run, computed from the measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import Any, Final

from sprat_local.bench.bare_model import BareRun
from sprat_local.bench.open_loop import MAX_LATENCY_GROWTH, LatencyQuantiles
from sprat_local.bench.plan import BenchPlan
from sprat_local.bench.resources import Memory

MAX_REMAINING_SHARE: Final = 0.25
"""The share of texts that may still be in progress when the last one is due: more is a backlog …"""
MIN_BACKLOG_S: Final = 1.0
"""… unless they are the arrivals of a shorter time than this: those may be in progress on a slow machine."""


@dataclass(frozen=True, slots=True)
class BacklogResult:
    """How a backlog of texts was processed."""

    texts: int
    """Published."""
    ended: int
    seconds: float
    """From the append of the first text to the last end, by the broker's clock."""
    cached: int
    """Answered by a cache; must be 0."""
    escalated: int
    """Declined by the service; they ended with a request to a frontier."""
    cpu_s: Mapping[str, float]
    """Process → CPU seconds during that time."""

    @property
    def texts_per_s(self) -> float:
        """Texts that ended per second."""
        return self.ended / self.seconds

    def cpu_s_per_1000(self, process: str) -> float:
        """Return the CPU seconds of a process per 1,000 texts."""
        return 1000 * self.cpu_s[process] / self.ended


@dataclass(frozen=True, slots=True)
class RateResult:
    """The measurement of one rate."""

    share: float | None
    """Of saturation; None if the rate was absolute."""
    offered_per_s: float
    texts: int
    ended: int
    answered_per_s: float
    """Texts that ended per second while texts were still arriving."""
    latency: LatencyQuantiles
    latency_growth: float
    """Seconds by which latency grew per second."""
    late_s: float
    """How late this process published, 99th percentile. It counts as latency."""

    @property
    def sustained(self) -> bool:
        """Whether the backlog did not grow. If it was there from the first text on, the remaining texts show it."""
        remaining = 1 - self.answered_per_s / self.offered_per_s
        backlog = remaining > MAX_REMAINING_SHARE and remaining * self.texts / self.offered_per_s > MIN_BACKLOG_S
        return self.ended == self.texts and self.latency_growth <= MAX_LATENCY_GROWTH and not backlog


@dataclass(frozen=True, slots=True)
class BenchFigures:
    """All figures of one run."""

    plan: BenchPlan
    machine: Mapping[str, Any]
    bare_runs: Sequence[BareRun]
    """The bare model, before and after the service."""
    backlog: BacklogResult
    rates: Sequence[RateResult]
    memory: Mapping[str, Memory]
    others: float
    """Cores that other processes of the machine used during the measurement."""

    @property
    def bare_cpu_s_per_1000(self) -> float:
        """CPU seconds of the bare model per 1,000 texts: the mean of its runs."""
        return fmean(bare.cpu_s_per_1000 for bare in self.bare_runs)

    @property
    def ratio(self) -> float:
        """CPU of the service divided by that of the bare model."""
        return self.backlog.cpu_s_per_1000(self.plan.task) / self.bare_cpu_s_per_1000

    @property
    def unended(self) -> int:
        """Texts that did not end."""
        backlog = self.backlog
        return backlog.texts - backlog.ended + sum(rate.texts - rate.ended for rate in self.rates)

    def as_json(self) -> dict[str, Any]:
        """Return them for machines; null stands for the latency of a text that did not end."""
        backlog, plan = self.backlog, self.plan
        return {
            "type": "benchmark",
            "task": plan.task,
            "model": dict(self.bare_runs[0].model),
            "machine": dict(self.machine),
            "settings": {
                "seconds": plan.seconds,
                "texts": "own" if plan.file else "samples",
                "different_texts": len(self.bare_runs[0].served),
            },
            "saturation": {
                "texts": backlog.texts,
                "ended": backlog.ended,
                "seconds": round(backlog.seconds, 3),
                "texts_per_s": round(backlog.texts_per_s, 1),
                "cached": backlog.cached,
                "escalated": backlog.escalated,
            },
            "cpu_s_per_1000": {
                "service": round(backlog.cpu_s_per_1000(plan.task), 4),
                "bare": round(self.bare_cpu_s_per_1000, 4),
                "bare_runs": [round(bare.cpu_s_per_1000, 4) for bare in self.bare_runs],
                "ratio": round(self.ratio, 3),
                "all": {name: round(backlog.cpu_s_per_1000(name), 4) for name in backlog.cpu_s},
            },
            "latency": [_rate_json(rate) for rate in self.rates],
            "memory_mb": {
                name: {"rss": round(each.rss_mb), "peak": round(each.peak_mb)} for name, each in self.memory.items()
            },
            "others_cores": round(self.others, 2),
            "unended": self.unended,
        }


def _rate_json(rate: RateResult) -> dict[str, Any]:
    latency = rate.latency
    return {
        "share": rate.share,
        "offered_per_s": round(rate.offered_per_s, 2),
        "answered_per_s": round(rate.answered_per_s, 2),
        "texts": rate.texts,
        "ended": rate.ended,
        "p50_ms": _ms(latency.p50),
        "p90_ms": _ms(latency.p90),
        "p99_ms": _ms(latency.p99),
        "max_ms": _ms(latency.max),
        "falling_behind": round(rate.latency_growth, 4) if isfinite(rate.latency_growth) else None,
        "publisher_late_p99_ms": _ms(rate.late_s),
        "sustained": rate.sustained,
    }


def _ms(seconds: float) -> float | None:
    return round(seconds * 1000, 2) if isfinite(seconds) else None
