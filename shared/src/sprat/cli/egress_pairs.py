"""Attempts and outcomes of calls, brought together by their call's id."""

from dataclasses import dataclass, field
from typing import Final

from sprat.cli.egress import SeenEgress
from sprat_contracts import EgressRecord

MAX_OPEN: Final = 100_000
"""So many records of a phase wait for the other one; then the oldest is given up. Both phases of a call have one key
and so one partition, where they stand as close as the call was long: few are open at a time, unless they are alone."""


@dataclass(frozen=True, slots=True)
class Alone:
    """A record without its counterpart: an attempt without an outcome, or an outcome without an attempt."""

    call_id: str
    phase: str
    at_ms: int
    tenant: str
    task: str
    provider: str
    region: str
    model: str

    @classmethod
    def of(cls, record: EgressRecord, at_ms: int) -> "Alone":
        """Keep of a record what names the call."""
        return cls(
            record.call_id,
            record.phase,
            at_ms,
            record.tenant,
            record.task,
            record.provider,
            record.region,
            record.model,
        )


@dataclass(slots=True)
class Pairs:
    """Matches records as they come, whichever of the two comes first; holds those alone that wait."""

    since_ms: int = 0
    """Pairs that end before it are matched, not counted."""
    paired: int = 0
    _waiting: dict[str, dict[str, Alone]] = field(default_factory=lambda: {"attempt": {}, "outcome": {}})

    def add(self, seen: SeenEgress) -> Alone | None:
        """Match one record; give one that has waited too long for its counterpart, if there is one."""
        record = seen.record
        other = "outcome" if record.phase == "attempt" else "attempt"
        if self._waiting[other].pop(record.call_id, None) is not None:
            self.paired += seen.at_ms >= self.since_ms
            return None
        waiting = self._waiting[record.phase]
        waiting[record.call_id] = Alone.of(record, seen.at_ms)
        return waiting.pop(next(iter(waiting))) if len(waiting) > MAX_OPEN else None

    def rest(self) -> list[Alone]:
        """Give what still waits, by time."""
        return sorted(
            (each for waiting in self._waiting.values() for each in waiting.values()), key=lambda each: each.at_ms
        )
