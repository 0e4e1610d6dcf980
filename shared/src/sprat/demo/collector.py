"""Reads every topic of an installation into an account, while the demo publishes."""

import asyncio
from collections.abc import Mapping
from typing import Self

from aiokafka import TopicPartition

from sprat.consumers import make_consumer
from sprat.demo.account import Account
from sprat.local.closing import close_in_time
from sprat.settings import KafkaSettings

_POLL_MS = 100


class Collector:
    """A consumer of all topics and the task that reads it."""

    def __init__(self, settings: KafkaSettings, account: Account, partitions: Mapping[str, int]) -> None:
        topics = settings.topics
        self.account = account
        self.consumer = make_consumer(settings.client(), auto_offset_reset="latest")
        self._ours = [
            TopicPartition(topic, number)
            for topic, count in partitions.items()
            if topic not in {topics.models, topics.feedback}
            for number in range(count)
        ]
        self._reading: asyncio.Task[None] | None = None
        self._positions: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        await self.consumer.start()
        self.consumer.assign(self._ours)
        # Where each partition ends now: what others put there before is not ours.
        self._positions = dict(await self.consumer.end_offsets(self._ours))
        for partition, offset in self._positions.items():
            self.consumer.seek(partition, offset)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await close_in_time(self.consumer.stop)

    async def catch_up(self, timeout_s: float) -> bool:
        """Wait until all is read that stands on the topics now; False where that takes longer than `timeout_s`."""
        ends = await self.consumer.end_offsets(self._ours)
        try:
            async with asyncio.timeout(timeout_s):
                while any(self._positions[partition] < end for partition, end in ends.items()):
                    self._check()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        return True

    def _check(self) -> None:
        """Raise what ended the reading."""
        if self._reading is not None and self._reading.done():
            self._reading.result()

    async def _read(self) -> None:
        while True:
            for records in (await self.consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in records:
                    self.account.take(record)
            # Not the last record's place: the end of a partition may hold a transaction's marker.
            self._positions = {partition: await self.consumer.position(partition) for partition in self._ours}
