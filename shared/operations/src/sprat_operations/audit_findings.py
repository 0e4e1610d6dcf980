"""What a verification of the audit may find, what that means to the auditor, and what was seen of writers and calls."""

from dataclasses import dataclass, field
from typing import Final

from sprat.audit.chain import Checkpoint
from sprat_contracts import EgressRecord

_ADVICE: Final = {
    "unsigned": "written by something else than a frontier service, or before the upgrade (--unsigned-before TIME)",
    "bad_signature": "forged or changed: find out who may write to the topic",
    "unknown_key": "signed with a key that you do not have: give all public keys (--public-key), else it is forged",
    "unreadable": "nothing of Sprat writes such a record: find out who may write to the topic",
    "key": "the key was changed: find out who may write to the topic",
    "fork": "two records with one number: the private key is in other hands, or a process was copied",
    "copy": "somebody wrote the record a second time: find out who may write to the topic",
    "removed": "records were removed: find out who may delete records of the topic or change its settings",
    "truncated": "the end of the log was removed: find out who may delete records of the topic",
    "held_back": "what stands behind is not judged: end the transaction, verify again, find out who may write there",
    "not_judged": "they are older than --since, or were removed: give --checkpoints FOLDER, or leave --since out; "
    "or an open transaction holds them back (held_back)",
    "chain": "the record does not follow the one before: one of them was replaced",
    "order": "the record was moved to a later place",
    "late": "the clock of its writer was behind by as much, or the record was moved to a later place: it was the clock "
    "where all records of the writer of that time are late alike; run sprat doctor on its machine, it compares clocks",
    "no_attempt": "an outcome without its attempt: the attempt was removed",
    "contradiction": "the outcome says something else than the attempt: one of them is not the service's",
    "phase": "an attempt with an outcome, or an outcome without one: not written by a frontier service",
    "repeated_call": "a call has one attempt and one outcome: one of them was not written by a frontier service",
    "no_outcome": "the service went on without writing the outcome: report it, with the service's log of that time",
    "checkpoint_signature": "a checkpoint was forged or changed: find out who may write there",
    "checkpoint_removed": "checkpoints were removed: find out who may write there",
    "checkpoint_differs": "checkpoint and record differ: one of them was replaced",
    "after_end": "the writer had said that it wrote nothing more: the private key is in other hands",
    "no_call": "a text left, as its answer says, but the call is not in the audit: its records were removed",
    "answer_differs": "answer and call name different providers, regions, tenants or tasks: one of them was changed",
    "no_answer": "a call was answered, but no answer or Result names it: they were removed or changed",
    "settings": "records can be removed, or dated by their writer: set it as `sprat topics list` says, and find out "
    "who may change settings of the topic",
    "retention": "the topic keeps less than the audit needs: set retention.ms, or say --retention SPAN",
}
FINDINGS: Final = tuple(_ADVICE)
"""The kinds of findings."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that should not be: what, where, and what to do."""

    kind: str
    where: str
    """Topic, partition and offset; a writer and numbers of its records; a file and line."""
    what: str
    at_ms: int | None = None
    foreign: bool = False
    """Whether it is of a record that no given key signed, and that names neither a given key nor a place of a known
    writer at which no signed record stands: whoever may write to the topic can make one.

    It says nothing of the services' own records: where it stands in the place of one, that one is missing as well.
    """

    @property
    def advice(self) -> str:
        """What it means, and what to do."""
        return _ADVICE[self.kind]


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
