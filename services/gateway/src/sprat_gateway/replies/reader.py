"""Reads Results and dead letters from the present ends of their topics, without a group, for those who wait."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import NO_ANSWER
from sprat_contracts import ReasonCode
from sprat_gateway.replies.waiters import TextRefusal, Waiters
from sprat_operations.result_stream import ResultStream, Seen, SeenDeadLetter, StoredResult

log = logging.getLogger(__name__)

_POLL_S: Final = 1.0
_PAUSE_S: Final = 1.0
_ROUTER: Final = "router"


class ReplyReader:
    """One for each instance: every instance reads all partitions, so an answer never reaches the wrong one."""

    def __init__(self, kafka: KafkaSettings, waiters: Waiters) -> None:
        self._kafka = kafka
        self._waiters = waiters
        self.reading = asyncio.Event()
        """Set while it reads: what is published now will be seen."""

    async def run(self) -> None:
        """Read until cancelled; connect again after a failure."""
        while True:
            stream = ResultStream(
                self._kafka, tuple(self._kafka.topics.tasks), dead_letters=True, wanted=self._wanted, without_new=True
            )
            try:
                await stream.start()
                self.reading.set()
                while True:
                    for seen in await stream.read(_POLL_S):
                        self._take(seen)
            except NO_ANSWER as error:
                log.warning("results are not read: %s; trying again", type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
            finally:
                self.reading.clear()
                await stream.stop()

    def _wanted(self, headers: Mapping[str, str]) -> bool:
        return self._waiters.awaits(headers.get("ce_id"))

    def _take(self, seen: Seen) -> None:
        if isinstance(seen, StoredResult):
            result = seen.result
            if (waiter := self._waiters.waiter_of(result.text_source, result.text_id)) is not None:
                self._waiters.update(waiter, waiter.outcome.with_result(result))
        elif isinstance(seen, SeenDeadLetter):
            self._reject(seen)

    def _reject(self, seen: SeenDeadLetter) -> None:
        reason, headers = seen.reason, dict(seen.letter.headers)
        identity = tuple((headers.get(name) or b"").decode("utf-8", "replace") for name in ("ce_source", "ce_id"))
        waiter = self._waiters.waiter_of(*identity)
        # A specialist that cannot answer declines as well: then a Result comes.
        if waiter is None or reason.service != _ROUTER or reason.topic != self._kafka.topics.texts:
            return
        if waiter.offset is not None and (waiter.partition, waiter.offset) != (reason.partition, reason.offset):
            return  # of another's record with this id
        outcome = waiter.outcome
        unknown = [each for each in outcome.tasks if each not in self._kafka.topics.tasks]
        tasks = unknown if reason.code == ReasonCode.UNKNOWN_TASK else [None]
        new = [TextRefusal(reason.code, reason.detail, task) for task in tasks]
        if not {each.task for each in outcome.rejected}.issuperset(each.task for each in new):
            self._waiters.update(waiter, replace(outcome, rejected=(*outcome.rejected, *new)))
