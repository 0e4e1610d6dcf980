"""What a verification has seen of a writer of the audit, and of a call."""

from dataclasses import dataclass, field

from sprat.audit.chain import Checkpoint
from sprat_contracts import EgressRecord


@dataclass(slots=True)
class WriterSummary:
    """What was seen of one writer."""

    writer: str
    key_id: str
    records: int = 0
    first_ms: int = 0
    last_ms: int = 0
    checkpoints: int = 0
    closed: bool = False


@dataclass(slots=True)
class Link:
    """A record in the chain of its writer."""

    hash: str
    previous: str
    signed_at: int
    appended_at: int
    where: str
    partition: int
    repeats: int = 0
    """How often it stands there again."""


@dataclass(slots=True)
class Call:
    """The records of a call."""

    attempt: EgressRecord | None = None
    outcome: EgressRecord | None = None
    where: str = ""
    at_ms: int = 0

    @property
    def record(self) -> EgressRecord:
        """The attempt, else the outcome."""
        (record, *_) = filter(None, (self.attempt, self.outcome))
        return record


@dataclass(slots=True)
class Writer:
    """A writer with its records and checkpoints."""

    summary: WriterSummary
    started_at: int
    links: dict[int, Link] = field(default_factory=dict)
    acknowledged: int = 0
    claimed_checkpoint: int = -1
    behind: dict[int, int] = field(default_factory=dict)
    """Partition → the highest `acknowledged` of its records so far."""
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)
    checkpoint_places: dict[int, str] = field(default_factory=dict)
    later_checkpoints: set[int] = field(default_factory=set)
    """Numbers of those that were written during the verification."""

    @property
    def alive_until(self) -> int:
        """The last time that it signed something."""
        return max(
            [self.summary.last_ms, self.started_at, *(checkpoint.at for checkpoint in self.checkpoints.values())]
        )
