"""How texts end: in a Result, or in a request to a frontier, which a benchmark does not run."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from aiokafka import ConsumerRecord, TopicPartition

from sprat.errors import SpratError
from sprat.kafka.clients import close_in_time, make_consumer
from sprat.settings import KafkaSettings
from sprat_local.bench.texts import Messages

PATIENCE_S: Final = 20.0
"""Nothing new for so long: what has not ended will not."""
_POLL_MS: Final = 100
_LOOK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one text."""

    at: float
    """When we had it in hand, by our monotonic clock: what a consumer waits for, whatever the broker's clock says."""
    appended_ms: int
    """When the broker appended it."""
    cached: bool
    escalated: bool
    """The service declined the text; it ended on its way to the frontier."""


class Endings:
    """Reads them as they come. A context manager; entering it connects."""

    def __init__(self, settings: KafkaSettings, task: str, messages: Messages, partitions: Mapping[str, int]) -> None:
        topics = settings.topics
        self._messages = messages
        self._results, self._requests = topics.results(task), topics.frontier_requests
        self._consumer = make_consumer(settings.client(), group_id=None, auto_offset_reset="earliest")
        self._partitions = [
            TopicPartition(name, number)
            for name in (self._results, self._requests)
            for number in range(partitions[name])
        ]
        self._reading: asyncio.Task[None] | None = None
        self.by_number: dict[int, Ending] = {}
        """The first of each text."""

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        # Topics of a prefix that is new: all that stands there is ours, so nothing is missed from the beginning.
        self._consumer.assign(self._partitions)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await close_in_time(self._consumer.stop)

    async def wait(self, numbers: range, check: Callable[[], None], *, patience_s: float = PATIENCE_S) -> bool:
        """Wait until all of these have ended; False where nothing new comes any more. `check` may raise meanwhile.

        Raises:
            KafkaError: the broker is gone.
        """
        known, last = len(self.by_number), time.monotonic()
        while not all(number in self.by_number for number in reversed(numbers)):
            check()
            if self._reading is not None and self._reading.done():
                self._reading.result()
                raise SpratError("the results are not read any more")
            await asyncio.sleep(_LOOK_S)
            if len(self.by_number) > known:
                known, last = len(self.by_number), time.monotonic()
            if time.monotonic() - last > patience_s:
                return False
        return True

    async def _read(self) -> None:
        while True:
            records = await self._consumer.getmany(timeout_ms=_POLL_MS)
            now = time.monotonic()
            for record in (record for batch in records.values() for record in batch):
                self._take(record, now)

    def _take(self, record: ConsumerRecord, now: float) -> None:
        value = json.loads(record.value)
        escalated = record.topic == self._requests
        ended = value["prediction"] if escalated else value
        number = self._messages.number_of(ended["text_id"])
        if number is not None:
            ending = Ending(now, record.timestamp, cached=ended["cached"], escalated=escalated)
            self.by_number.setdefault(number, ending)
