"""One reading of the logs, from their beginnings on, with what follows from it: rounds of reading and writing."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from sprat.base.errors import Fatal
from sprat.base.retry import retry_until
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import close_in_time
from sprat.kafka.log_reader import LogReader
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher
from sprat.processing.loop import count_retry
from sprat_contracts import KafkaRecord
from sprat_guardian.measure import count_written, show, show_nothing
from sprat_guardian.results import ResultsReader
from sprat_guardian.state import GuardianState
from sprat_guardian.writing import RecordWriter

_SLACK_MS: Final = 3_600_000
"""What may lie between this machine's clock and the broker's."""


class Watch:
    """Reads the logs into a state and writes what is due.

    What it writes changes the state when it is read again, in the order that all readers see.

    Args:
        kafka: how to reach it.
        state: that has taken nothing yet.
        writer: encodes what is written.
        publisher: of the service.
        results: read Results beside the logs, and warn.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        state: GuardianState,
        writer: RecordWriter,
        publisher: Publisher,
        results: ResultsReader,
    ) -> None:
        topics = kafka.topics
        self._give_up_s = kafka.give_up_s
        self._state = state
        self._writer = writer
        self._publisher = publisher
        # Draws first: a draw that was forgotten by its closing would be taken for an open one, and closed once more.
        self._log = LogReader(kafka, (topics.reviews, topics.reviews_closed, topics.alarms), self._take, _recreated)
        self._answers = LogReader(kafka, (topics.feedback,), state.take, _recreated)
        self._results = results
        self._reading: asyncio.Task[None] | None = None
        self._unread: set[tuple[str, bytes | None, bytes | None]] = set()
        """What is acknowledged and not read back yet: somebody's open transaction holds back what follows it."""

    async def start(self) -> None:
        """Read the logs to their ends, and find where answers to the oldest draw begin.

        Raises:
            Fatal: a topic does not exist.
            Retryable: Kafka does not answer.
        """
        began = _now_ms()
        await self._log.start()
        await self._log.catch_up(self._give_up_s)
        oldest = self._state.queue.oldest
        await self._answers.start(began - _SLACK_MS if oldest is None else oldest)
        self._reading = asyncio.create_task(self._results.run())

    async def round(self) -> bool:
        """Read to the present ends, write what is due, and return whether there was any.

        Answers are read to an end that was asked for before that of the draws: an answer never comes before its draw.

        Raises:
            Fatal: what is written is not acknowledged for as long as a service tries.
            Retryable: Kafka does not answer.
            KafkaError: likewise.
        """
        if self._reading is not None and self._reading.done():
            self._reading.result()  # it only ends by a defect
        now = _now_ms()
        ends = await self._answers.ends()
        await self._log.catch_up(self._give_up_s)
        await self._answers.catch_up(self._give_up_s, ends)
        self._state.caught_up()
        due = [(each, self._writer.record(each)) for each in self._state.due(now)]
        new = [(each, record) for each, record in due if _content(record) not in self._unread]
        messages, records = [each for each, _ in new], [record for _, record in new]
        await self._write(records)
        self._unread |= {_content(record) for record in records}
        count_written(messages)
        show(self._state)
        return bool(messages)

    async def stop(self) -> None:
        """Disconnect, and show nothing any more."""
        show_nothing()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await close_in_time(self._log.stop, self._answers.stop)

    def _take(self, record: KafkaRecord) -> None:
        self._unread.discard(_content(record))
        self._state.take(record)

    async def _write(self, records: Sequence[OutRecord]) -> None:
        """Write records and wait until they are acknowledged; the same ones again, as the producer may hold them."""

        async def publish() -> None:
            await self._publisher.publish(records)

        await retry_until(publish, NotAcknowledged, self._give_up_s, "reviews and alarms", count_retry)


def _content(record: OutRecord | KafkaRecord) -> tuple[str, bytes | None, bytes | None]:
    return record.topic, record.key, record.value


def _recreated() -> None:
    raise Fatal("a topic of reviews was deleted and created again; the process must restart, to read all anew")


def _now_ms() -> int:
    return int(time.time() * 1000)
