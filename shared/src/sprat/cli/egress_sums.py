"""What left the house, summed up by tenant, provider and region."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sprat_contracts import EgressRecord

Way = tuple[str, str, str]
"""Tenant, provider, region."""

ANSWERED = "answered"


@dataclass(slots=True)
class Sum:
    """Calls of one way. An attempt counts a call and what it carried; an outcome, what it cost and how it ended."""

    calls: int = 0
    bytes_out: int = 0
    masked: Counter[str] = field(default_factory=Counter)
    cost_eur: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, record: EgressRecord) -> None:
        """Count one record."""
        if record.phase == "attempt":
            self.calls += 1
            self.bytes_out += record.bytes_out
            self.masked.update(record.masked)
        else:
            self.cost_eur += record.cost_eur
            self.outcomes[record.outcome or "unknown"] += 1

    @property
    def failures(self) -> dict[str, int]:
        """Give how often each way to fail came about, the most frequent first."""
        return {name: count for name, count in self.outcomes.most_common() if name != ANSWERED}

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(
            self.calls + other.calls,
            self.bytes_out + other.bytes_out,
            self.masked + other.masked,
            self.cost_eur + other.cost_eur,
            self.outcomes + other.outcomes,
        )

    def as_json(self) -> dict[str, Any]:
        """Give all for machines."""
        return {
            "calls": self.calls,
            "bytes_out": self.bytes_out,
            "masked": dict(sorted(self.masked.items())),
            "cost_eur": round(self.cost_eur, 9),
            "answered": self.outcomes[ANSWERED],
            "failures": self.failures,
        }


@dataclass(slots=True)
class Sums:
    """Holds a sum for each way, and no record."""

    by_way: dict[Way, Sum] = field(default_factory=dict)

    def add(self, record: EgressRecord) -> None:
        """Count one record."""
        self.by_way.setdefault((record.tenant, record.provider, record.region), Sum()).add(record)

    @property
    def total(self) -> Sum:
        """Give the sum of all."""
        return sum(self.by_way.values(), Sum())
