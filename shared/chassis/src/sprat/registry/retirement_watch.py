"""A service that goes on after its model was withdrawn: it lets the texts that came later pass, without a commit."""

import logging
import time
from collections.abc import Callable
from typing import Final

from sprat.errors import Fatal, Retryable
from sprat.registry.announcements import Announcement, ModelsReader
from sprat.registry.retirement import Ends
from sprat.settings import KafkaSettings
from sprat_contracts import KafkaRecord

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""The topic of models is asked at most so often: until then a withdrawn model answers texts that are escalated."""

_LOOK_WITHIN_S: Final = 2.0
_REST_S: Final = 10.0
"""After a look that failed, so that a topic that cannot be read slows the service down and does not stop it."""


class RetirementWatch:
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
        self._look_at = clock() + LOOK_EVERY_S
        self._started = False
        self._blind = False
        self._until: Ends | None = None
        self._replaced = False

    async def start(self) -> None:
        """Connect, and read what is there.

        Raises:
            Fatal: the topic does not exist.
        """
        await self._reader.start()
        self._started = True

    async def stop(self) -> None:
        """Disconnect."""
        await self._reader.stop()

    async def look(self) -> None:
        """Look what is new, where the last look is long enough ago.

        While the topic cannot be read, what is known holds: a text that is answered twice is better than none.

        Raises:
            Fatal: the model was withdrawn and announced anew; what passed by here meanwhile must be read again.
        """
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + (LOOK_EVERY_S if await self._caught_up() else _REST_S)
        if self._replaced:
            raise Fatal("the model was withdrawn and announced anew by another process; this one must start anew")

    def owns(self, record: KafkaRecord) -> bool:
        """Tell whether a record came before the withdrawal, or there was none."""
        return self._until is None or record.offset < self._until.get(record.partition, 0)

    async def _caught_up(self) -> bool:
        try:
            await self._reader.catch_up(_LOOK_WITHIN_S)
        except Retryable as error:
            if not self._blind:
                log.warning("%s; whether the model is withdrawn is not known, going on", error)
            self._blind = True
            return False
        if self._blind:
            log.info("the models topic can be read again")
        self._blind = False
        return True

    def _take(self, seen: Announcement) -> None:
        """Take in a record. What happened before the start is over where the model's own announcement follows it.

        After the start, an announcement by somebody else, or any after the withdrawal, is never undone: records have
        passed by here that whoever announces it takes for this process's own.
        """
        if seen.key != self._key:
            return
        if seen.announced is None:
            self._until = self._until if seen.retirement.until is None else seen.retirement.until
        elif seen.announced.owns_from is None:
            return
        elif seen.announced.owns_from != self._owns_from or (self._started and self._until is not None):
            self._replaced = True
        elif not self._started:
            self._until, self._replaced = None, False
