"""The figures of one run, and how they follow from what was seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import Any, Final

from sprat_local.bench.bare_process import Bare
from sprat_local.bench.latency import MAY_FALL_BEHIND, Latency
from sprat_local.bench.plan import Plan
from sprat_local.bench.resources import Memory

MAY_BE_LEFT: Final = 0.25
"""The share of a rung's texts that may be in hand when the last is due: more is a backlog …"""
IN_HAND_S: Final = 1.0
"""… unless it is what comes in so short a time: then a slow machine has but just begun."""


@dataclass(frozen=True, slots=True)
class Drained:
    """A backlog of texts, worked off."""

    texts: int
    """Published."""
    ended: int
    seconds: float
    """From the first text's arrival to the last end, by the broker's clock."""
    cached: int
    """Answered by a cache; must be 0."""
    escalated: int
    """Declined by the service; they ended on the way to a frontier."""
    cpu_s: Mapping[str, float]
    """Process → CPU seconds meanwhile."""

    @property
    def texts_per_s(self) -> float:
        """Texts that ended a second."""
        return self.ended / self.seconds

    def cpu_s_per_1000(self, process: str) -> float:
        """CPU seconds of a process for 1,000 texts."""
        return 1000 * self.cpu_s[process] / self.ended


@dataclass(frozen=True, slots=True)
class Rung:
    """One rate of the ladder."""

    share: float | None
    """Of saturation, where the rate was given so."""
    offered_per_s: float
    texts: int
    ended: int
    answered_per_s: float
    """Texts that ended a second while texts were still arriving."""
    latency: Latency
    falling_behind: float
    """Seconds by which latency grew with every second."""
    late_s: float
    """By how much our own publishing was late, 99th percentile. It counts as latency."""

    @property
    def sustained(self) -> bool:
        """Did the backlog not grow? Where it was there from the first text on, no trend shows it: what is left does."""
        left = 1 - self.answered_per_s / self.offered_per_s
        heaped = left > MAY_BE_LEFT and left * self.texts / self.offered_per_s > IN_HAND_S
        return self.ended == self.texts and self.falling_behind <= MAY_FALL_BEHIND and not heaped


@dataclass(frozen=True, slots=True)
class BenchFigures:
    """All of them."""

    plan: Plan
    machine: Mapping[str, Any]
    bares: Sequence[Bare]
    """The bare model, before and after the service."""
    drained: Drained
    rungs: Sequence[Rung]
    memory: Mapping[str, Memory]
    others: float
    """Cores that other processes of the machine took while the service was measured."""

    @property
    def bare_cpu_s_per_1000(self) -> float:
        """CPU seconds of the bare model for 1,000 texts: the mean of its runs."""
        return fmean(bare.cpu_s_per_1000 for bare in self.bares)

    @property
    def ratio(self) -> float:
        """CPU of the service against that of the bare model."""
        return self.drained.cpu_s_per_1000(self.plan.task) / self.bare_cpu_s_per_1000

    @property
    def unended(self) -> int:
        """Texts that did not end."""
        drained = self.drained
        return drained.texts - drained.ended + sum(rung.texts - rung.ended for rung in self.rungs)

    def as_json(self) -> dict[str, Any]:
        """Give them for machines; null stands for the latency of a text that did not end."""
        drained, plan = self.drained, self.plan
        return {
            "type": "benchmark",
            "task": plan.task,
            "model": dict(self.bares[0].model),
            "machine": dict(self.machine),
            "settings": {
                "seconds": plan.seconds,
                "texts": "own" if plan.file else "samples",
                "different_texts": len(self.bares[0].served),
            },
            "saturation": {
                "texts": drained.texts,
                "ended": drained.ended,
                "seconds": round(drained.seconds, 3),
                "texts_per_s": round(drained.texts_per_s, 1),
                "cached": drained.cached,
                "escalated": drained.escalated,
            },
            "cpu_s_per_1000": {
                "service": round(drained.cpu_s_per_1000(plan.task), 4),
                "bare": round(self.bare_cpu_s_per_1000, 4),
                "bare_runs": [round(bare.cpu_s_per_1000, 4) for bare in self.bares],
                "ratio": round(self.ratio, 3),
                "all": {name: round(drained.cpu_s_per_1000(name), 4) for name in drained.cpu_s},
            },
            "latency": [_rung(rung) for rung in self.rungs],
            "memory_mb": {
                name: {"rss": round(each.rss_mb), "peak": round(each.peak_mb)} for name, each in self.memory.items()
            },
            "others_cores": round(self.others, 2),
            "unended": self.unended,
        }


def _rung(rung: Rung) -> dict[str, Any]:
    latency = rung.latency
    return {
        "share": rung.share,
        "offered_per_s": round(rung.offered_per_s, 2),
        "answered_per_s": round(rung.answered_per_s, 2),
        "texts": rung.texts,
        "ended": rung.ended,
        "p50_ms": _ms(latency.p50),
        "p90_ms": _ms(latency.p90),
        "p99_ms": _ms(latency.p99),
        "max_ms": _ms(latency.max),
        "falling_behind": round(rung.falling_behind, 4) if isfinite(rung.falling_behind) else None,
        "publisher_late_p99_ms": _ms(rung.late_s),
        "sustained": rung.sustained,
    }


def _ms(seconds: float) -> float | None:
    return round(seconds * 1000, 2) if isfinite(seconds) else None
