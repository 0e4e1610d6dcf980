"""The chain of a process's egress records: each has a number, the hash of the one before, and a signature.

Calls run at the same time, so records are written to several partitions at the same time, and a kill can leave record
n unwritten and n+1 written. So each record says up to which number all records were acknowledged by Kafka when it was
signed: only what is missing up to there was removed.
"""

import hashlib
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import uuid4

from pydantic import Field

from sprat.audit.keys import CHECKPOINT, RECORD, SigningKey
from sprat_contracts import ChainPlace, EgressRecord, Envelope, encode
from sprat_contracts.base import EpochMs, Part
from sprat_contracts.headers import ATTRIBUTE, header_name
from sprat_contracts.wire import SIGNATURE

_LENGTH: Final = struct.Struct(">q")


class Checkpoint(Part):
    """What a writer says about its chain, signed, at a place that whoever can change the records cannot."""

    writer: Annotated[str, Field(min_length=1, max_length=256)]
    started_at: EpochMs
    number: Annotated[int, Field(ge=0)]
    """Of the writer's checkpoints; 0 is written before its first record."""
    at: EpochMs
    """By the writer's clock."""
    sequence: Annotated[int, Field(ge=0)]
    """Number of the last record that was signed."""
    hash: str
    """Of that record; empty where there is none."""
    acknowledged: Annotated[int, Field(ge=0)]
    """Kafka has acknowledged all records up to this number."""
    attempts: Annotated[int, Field(ge=0)]
    outcomes: Annotated[int, Field(ge=0)]
    closed: bool = False
    """The last one: nothing comes after it, and every call has its outcome."""


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """A record as it goes to Kafka."""

    sequence: int
    value: bytes
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it goes to the second place."""

    writer: str
    value: bytes
    signature: bytes


def hash_of(value: bytes) -> str:
    """Return the hash of a record's value, by which the next record refers to it."""
    return hashlib.sha256(value).hexdigest()


def signed_bytes(value: bytes, headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Return what the signature of a record covers: all headers that begin with `ce_`, by name, and the value.

    Agents on the way may change those for tracing. The key is in the value, as `text_hash`.
    """
    covered = sorted(
        ((name, content) for name, content in headers if header_name(name).startswith(ATTRIBUTE)),
        key=lambda each: each[0],
    )
    parts = [part for name, content in covered for part in (name.encode(), content or b"")]
    # Lengths first, so that no two records have the same bytes.
    return b"".join(_LENGTH.pack(len(part)) + part for part in (*parts, value))


def now_ms() -> int:
    """Return epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Chain:
    """Numbers, links and signs the records of one process; not for use by several threads.

    Args:
        key: the private key.
        service: first part of the writer's name; the rest is random.
        clock: returns epoch milliseconds.
    """

    def __init__(self, key: SigningKey, service: str, clock: Callable[[], int] = now_ms) -> None:
        self.writer = f"{service}-{uuid4().hex}"
        self._key = key
        self._clock = clock
        self._started_at = clock()
        self._sequence = 0
        self._hash = ""
        self._acknowledged = 0
        self._out_of_order: set[int] = set()
        self._phases = {"attempt": 0, "outcome": 0}
        self._checkpoints = 0

    @property
    def state(self) -> tuple[int, int]:
        """Numbers of the last record and of the last one up to which all are acknowledged."""
        return self._sequence, self._acknowledged

    def add(self, record: EgressRecord, envelope: Envelope) -> SignedRecord:
        """Return the record as it is to be written; whoever repeats the write repeats these bytes."""
        place = ChainPlace(
            writer=self.writer,
            started_at=self._started_at,
            sequence=self._sequence + 1,
            previous=self._hash,
            acknowledged=self._acknowledged,
            signed_at=self._clock(),
            checkpoint=self._checkpoints - 1 if self._checkpoints else None,
        )
        value, headers = encode(record.model_copy(update={"chain": place}), envelope)
        headers.append((SIGNATURE, self._key.sign(RECORD, signed_bytes(value, headers))))
        self._sequence += 1
        self._hash = hash_of(value)
        self._phases[record.phase] += 1
        return SignedRecord(self._sequence, value, headers)

    def acknowledge(self, sequence: int) -> None:
        """Note that Kafka has acknowledged a record."""
        self._out_of_order.add(sequence)
        while self._acknowledged + 1 in self._out_of_order:
            self._acknowledged += 1
            self._out_of_order.remove(self._acknowledged)

    def checkpoint(self, *, closing: bool = False) -> SignedCheckpoint:
        """Return what the second place is to hold now; call `checkpoint_written` when it does."""
        attempts, outcomes = self._phases["attempt"], self._phases["outcome"]
        complete = self._acknowledged == self._sequence and attempts == outcomes
        checkpoint = Checkpoint(
            writer=self.writer,
            started_at=self._started_at,
            number=self._checkpoints,
            at=self._clock(),
            sequence=self._sequence,
            hash=self._hash,
            acknowledged=self._acknowledged,
            attempts=attempts,
            outcomes=outcomes,
            closed=closing and complete,
        )
        value = checkpoint.model_dump_json().encode()
        return SignedCheckpoint(self.writer, value, self._key.sign(CHECKPOINT, value))

    def checkpoint_written(self) -> None:
        """Note that the second place holds the last checkpoint: later records say so."""
        self._checkpoints += 1
