"""The retirement of a model: two tombstones, and offsets up to which texts are still the model's.

`sprat models retire` writes both tombstones under the model's key, the router follows the first, the model's service
the second::

    retire                     models topic                 router                     the model's service
      |  tombstone                  |                          |                               |
      |---------------------------->|------------------------->|                               |
      |  acknowledged               |   from here on it escalates every text that it reads     |
      |<----------------------------|                          |                               |
      |  read the ends of the texts |                          |                               |
      |  tombstone, header          |                          |                               |
      |  sprat_owned_until: ends    |                          |                               |
      |---------------------------->|--------------------------------------------------------->|
      |                             |                          |  it answers the texts before  |
      |                             |                          |  the ends, and skips the rest |
      |  lag up to the ends is 0: the service may be stopped                                   |

Every text at or after the ends was appended after the first tombstone, so the router escalates it for sure; the service
may skip it by its offset, whatever the clocks say. The texts before the ends stay the model's, also where its service
is started again after the retirement: the new announcement carries the ends in the same header, because compaction
removes the tombstone.

Each tombstone names the announcement that it withdraws, by its `owns_from` (the header `sprat_withdraws`), and is
ignored where another one has followed: a signature says who wrote a record, not when, and whoever may write to the
topic could write an old withdrawal once more. So where the model was announced between the two tombstones, which leaves
texts after these ends to it, two others must follow.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from sprat.base.errors import Fatal, Retryable
from sprat_contracts import KafkaRecord, ModelAnnounced

log = logging.getLogger(__name__)

OWNED_UNTIL: Final = "sprat_owned_until"
"""The header of the second tombstone, and of an announcement after it: a JSON object, partition → offset."""

WITHDRAWS: Final = "sprat_withdraws"
"""The header of a tombstone: the `owns_from` of the announcement that it withdraws, as JSON."""

Ends = Mapping[int, int]
"""Partition of the texts → the first offset that is no longer the model's."""

READ_EVERY_S: Final = 1.0
"""How often a service reads the models topic; until then a withdrawn model answers texts that are escalated too."""

_READ_WITHIN_S: Final = 2.0
_READ_AGAIN_S: Final = 10.0
"""After a read that failed, so that an unreadable topic slows the service down and does not stop it."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """The state of one model that the records under its key add up to, in the topic's order.

    Compaction may have removed all records but the last, so the last must be enough by itself: a second tombstone
    applies where nothing precedes it, an announcement carries what was left, and a tombstone without ends revokes the
    ends of one before it, so that the model can be retired once more.
    """

    announced: bool = False
    """Whether the last record is an announcement."""
    until: Ends | None = None
    """While it is withdrawn: up to where texts are its own. None: it is not withdrawn, or the ends are not known."""
    left: Ends | None = None
    """What was its own when it was last withdrawn, as far as known; an announcement keeps it."""
    owns_from: int | None = None
    """That of the announcement."""

    def after_announcement(self, ends: Ends | None, owns_from: int | None = None) -> "Retirement":
        """Return the state after an announcement that carries `ends`.

        The further ends of both apply: the announcing service may not have read the last tombstone, and a text that is
        answered twice is better than one that is never answered.
        """
        return Retirement(announced=True, left=_further(self.left, ends), owns_from=owns_from)

    def after_tombstone(self, ends: Ends | None) -> "Retirement":
        """Return the state after a tombstone that carries `ends`; they apply unless the model was announced before.

        Offsets only grow, so nearer ends than those before are of an old tombstone, written once more: the further ones
        apply.
        """
        until = None if self.announced or ends is None else _further(self.left, ends)
        return Retirement(until=until, left=self.left if until is None else until)

    def outdates(self, headers: Iterable[tuple[str, bytes | None]]) -> bool:
        """Return whether a tombstone with these headers withdraws another announcement than the present one.

        One of an earlier version names none, and withdraws whatever is announced.
        """
        named = next((value for name, value in headers if name == WITHDRAWS), None)
        return self.announced and named is not None and named != withdraws_header(self.owns_from)[1]


def withdraws_header(owns_from: int | None) -> tuple[str, bytes]:
    """Return the header that names the announcement that is withdrawn."""
    return WITHDRAWS, json.dumps(owns_from).encode()


def owned_until_header(ends: Ends) -> tuple[str, bytes]:
    """Return the header that carries the ends."""
    return OWNED_UNTIL, json.dumps({str(partition): end for partition, end in sorted(ends.items())}).encode()


def owned_until(headers: Iterable[tuple[str, bytes | None]]) -> Ends | None:
    """Return the ends that headers carry; None where they carry none, or not in the expected form."""
    value = next((value for name, value in headers if name == OWNED_UNTIL), None)
    try:
        ends = json.loads(value or b"null")
    except ValueError:
        return None
    if not isinstance(ends, dict) or not all(key.isdecimal() and isinstance(end, int) for key, end in ends.items()):
        return None
    return {int(partition): end for partition, end in ends.items()}


class AnnouncementReader(Protocol):
    """Reads the models topic and passes its records on; `announcements.ModelsReader` is one."""

    async def start(self) -> None:
        """Read to the end of the topic."""
        ...

    async def catch_up(self, within_s: float) -> None:
        """Read what was appended since."""
        ...


class RetirementFollower:
    """Follows the retirement of one model and decides which records are no longer its own.

    Such records are neither handled nor committed: a process that announces the model again starts with them, and
    handles those that it owns by its own announcement. So nothing is lost, whichever of the two processes reads them.

    The reader that `start` gets must pass the records of the models topic to `apply`.
    """

    def __init__(
        self,
        key: bytes,
        owns_from: int,
        clock: Callable[[], float] = time.monotonic,
        *,
        read_every_s: float = READ_EVERY_S,
    ) -> None:
        self._key = key
        self._owns_from = owns_from
        self._clock = clock
        self._reader: AnnouncementReader | None = None
        self._read_every_s = read_every_s
        self._read_at = clock() + read_every_s
        self._started = False
        self._unreadable = False
        self._until: Ends | None = None
        self._replaced = False

    async def start(self, reader: AnnouncementReader) -> None:
        """Read the topic to its end.

        Raises:
            Fatal: the topic does not exist.
        """
        await reader.start()
        self._reader = reader
        self._started = True

    def is_due(self) -> bool:
        """Return whether `refresh` has anything to do."""
        return self._replaced or self._clock() >= self._read_at

    async def refresh(self) -> None:
        """Read what is new, unless the last read is less than `read_every_s` ago.

        While the topic cannot be read, the known state applies: a text that is answered twice is better than one that
        is not answered.

        Raises:
            Fatal: the model was withdrawn and announced again; what was skipped meanwhile must be read again.
        """
        if self._clock() >= self._read_at:
            self._read_at = self._clock() + (self._read_every_s if await self._caught_up() else _READ_AGAIN_S)
        if self._replaced:
            raise Fatal("the model was withdrawn, and another process announced it again; this process must restart")

    def owns(self, record: KafkaRecord) -> bool:
        """Return whether the record precedes the withdrawal; True where the model is not withdrawn."""
        return self._until is None or record.offset < self._until.get(record.partition, 0)

    def apply(self, key: bytes | None, announced: ModelAnnounced | None, retirement: Retirement) -> None:
        """Apply a record of the models topic: None is a tombstone; `retirement` is the state after this record.

        Before the start, the model's own announcement ends everything that preceded it. After the start, an
        announcement by another process, or any after a withdrawal, is final: records were skipped that the announcing
        process leaves to this one.
        """
        if key != self._key:
            return
        if announced is None:
            self._until = self._until if retirement.until is None else retirement.until
        elif announced.owns_from is None:
            return
        elif announced.owns_from != self._owns_from or (self._started and self._until is not None):
            self._replaced = True
        elif not self._started:
            self._until, self._replaced = None, False

    async def _caught_up(self) -> bool:
        if self._reader is None:
            raise AssertionError("refreshed before it was started")
        try:
            await self._reader.catch_up(_READ_WITHIN_S)
        except Retryable as error:
            if not self._unreadable:
                log.warning("%s; it is not known whether the model is withdrawn; continuing", error)
            self._unreadable = True
            return False
        if self._unreadable:
            log.info("the models topic can be read again")
        self._unreadable = False
        return True


def _further(one: Ends | None, other: Ends | None) -> Ends | None:
    if one is None or other is None:
        return other if one is None else one
    return {partition: max(one.get(partition, 0), other.get(partition, 0)) for partition in one.keys() | other.keys()}
