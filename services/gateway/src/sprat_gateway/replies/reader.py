"""Reads Results and dead letters from the present ends of their topics, without a group, for those who wait."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sprat.base.channels import ROUTER
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import NO_ANSWER
from sprat_contracts import ReasonCode, Topics
from sprat_gateway.replies.waiters import TextOutcome, TextRefusal, Waiters
from sprat_operations.result_stream import ResultStream, Seen, SeenDeadLetter, StoredResult

log = logging.getLogger(__name__)

_POLL_S: Final = 1.0
_PAUSE_S: Final = 1.0
_LOOK_S: Final = 5.0
"""How often it asks whether Kafka answers, and how long that may take."""
_OVERLAP_S: Final = 60.0
"""What may lie between this machine's clock and the broker's, and between the last read and the failure."""


class ReplyReader:
    """One for each instance: every instance reads all partitions, so an answer never reaches the wrong one."""

    def __init__(self, kafka: KafkaSettings, waiters: Waiters) -> None:
        self._kafka = kafka
        self._topics = kafka.topics
        self._waiters = waiters
        self.reading = asyncio.Event()
        """Set while it reads and Kafka answers: what is published now will be seen."""

    async def run(self) -> None:
        """Read until cancelled; after a failure connect again, and read on from the time of the failure."""
        since_ms: int | None = None
        while True:
            stream = ResultStream(
                self._kafka,
                tuple(self._topics.tasks),
                dead_letters=True,
                wanted=self._wanted,
                wanted_letters=self._wanted_letter,
                without_new=True,
            )
            try:
                await stream.start(since_ms)
                since_ms = None
                self.reading.set()
                watching = asyncio.create_task(self._watch(stream))
                try:
                    while True:
                        for seen in await stream.read(_POLL_S):
                            self._take(seen)
                finally:
                    watching.cancel()
                    await asyncio.gather(watching, return_exceptions=True)
            except NO_ANSWER as error:
                since_ms = since_ms or int((time.time() - _OVERLAP_S) * 1000)
                log.warning("results are not read: %s; trying again", type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
            finally:
                self.reading.clear()
                await stream.stop()

    async def _watch(self, stream: ResultStream) -> None:
        """Note whether Kafka answers: a read that waits for it looks like one for which nothing has come."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if await stream.answers(_LOOK_S):
                self.reading.set()
            else:
                self.reading.clear()

    def _wanted(self, headers: Mapping[str, str]) -> bool:
        return self._waiters.awaits(headers.get("ce_id"))

    def _wanted_letter(self, headers: Mapping[str, str]) -> bool:
        return self._waiters.waiter_of(headers.get("ce_source", ""), headers.get("ce_id", "")) is not None

    def _take(self, seen: Seen) -> None:
        identity = _identity(seen)
        waiter = None if identity is None else self._waiters.waiter_of(*identity)
        if waiter is not None:
            self._waiters.update(waiter, with_seen(waiter.outcome, waiter.place, seen, self._topics))


def with_seen(outcome: TextOutcome, place: tuple[int, int] | None, seen: Seen, topics: Topics) -> TextOutcome:
    """Return what is known of a text with what was seen, if that is about it.

    Args:
        outcome: what is known.
        place: partition and offset of the text; None where they are not known.
        seen: a Result or a dead letter.
        topics: of the installation.
    """
    if _identity(seen) != (outcome.source, outcome.id):
        return outcome
    if isinstance(seen, StoredResult):
        return outcome.with_result(seen.result)
    # A specialist that cannot answer declines as well: then a Result comes.
    if not isinstance(seen, SeenDeadLetter) or (seen.reason.service, seen.reason.topic) != (ROUTER, topics.texts):
        return outcome
    reason = seen.reason
    if place is not None and place != (reason.partition, reason.offset):
        return outcome  # of another's record with this id
    unknown = [each for each in outcome.tasks if each not in topics.tasks]
    tasks = unknown if reason.code == ReasonCode.UNKNOWN_TASK else [None]
    known = {each.task for each in outcome.rejected}
    new = tuple(TextRefusal(reason.code, reason.detail, task) for task in tasks if task not in known)
    return replace(outcome, rejected=(*outcome.rejected, *new)) if new else outcome


def _identity(seen: Seen) -> tuple[str, str] | None:
    """Return source and id of the text that a record is about."""
    if isinstance(seen, StoredResult):
        return seen.result.text_source, seen.result.text_id
    return seen.letter.identity if isinstance(seen, SeenDeadLetter) else None
