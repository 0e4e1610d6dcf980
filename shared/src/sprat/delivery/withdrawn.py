"""A service that goes on after its model was withdrawn: it lets the texts that came later pass, without a commit."""

import time
from collections.abc import Callable
from typing import Final

from sprat.announcing import Announcement, ModelsReader
from sprat.errors import Fatal
from sprat.settings import KafkaSettings
from sprat.withdrawal import Ends
from sprat_contracts import KafkaRecord

LOOK_EVERY_S: Final = 1.0
"""The topic of models is asked at most so often: until then a withdrawn model answers texts that are escalated."""


class Withdrawal:
    """Follows what the topic of models says of one model, and tells which records are not its own any more.

    These are neither handled nor committed: a process that announces the model anew begins with them, and takes those
    that it owns by its own announcement. Nothing is lost whichever of the two reads them.
    """

    def __init__(
        self, settings: KafkaSettings, key: bytes, owns_from: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._key = key
        self._owns_from = owns_from
        self._clock = clock
        self._reader = ModelsReader(settings, self._take)
        self._looked_at = clock()
        self._last: Announcement | None = None
        self._until: Ends | None = None

    async def start(self) -> None:
        """Connect, and read what is there.

        Raises:
            Fatal: the topic does not exist.
        """
        await self._reader.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._reader.stop()

    async def look(self) -> None:
        """Look what is new, where the last look is long enough ago.

        Raises:
            Retryable: Kafka does not answer.
            Fatal: another process announced the model anew, and owns other texts than this one.
        """
        if self._clock() - self._looked_at < LOOK_EVERY_S:
            return
        await self._reader.catch_up()
        self._looked_at = self._clock()
        announced = None if self._last is None else self._last.announced
        if announced is not None and announced.owns_from not in {None, self._owns_from}:
            raise Fatal("the model was withdrawn and announced anew by another process; this one must start anew")

    def owns(self, record: KafkaRecord) -> bool:
        """Tell whether a record came before the withdrawal, or there was none."""
        return self._until is None or record.offset < self._until.get(record.partition, 0)

    def _take(self, seen: Announcement) -> None:
        if seen.key != self._key:
            return
        self._last = seen
        # An announcement by somebody else does not undo it: what passed by here meanwhile is theirs.
        if seen.announced is not None and seen.announced.owns_from == self._owns_from:
            self._until = None
        elif seen.owned_until is not None:
            self._until = seen.owned_until
