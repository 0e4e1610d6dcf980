"""Reading Results as they come, for warnings without labels."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from sprat.base.errors import Fatal, Retryable
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import NO_ANSWER, close_in_time, make_consumer
from sprat.kafka.signatures import Signatures
from sprat.registry.announcements import Announcement, ModelsReader
from sprat.registry.model_table import ModelTable
from sprat_contracts import AlarmRaised
from sprat_guardian.shift import ShiftWatch

log = logging.getLogger(__name__)

_POLL_MS: Final = 1_000
_POLL_RECORDS: Final = 500
_FETCH_BYTES: Final = 256 * 1024
_MODELS_EVERY_S: Final = 5.0
_PAUSE_S: Final = 5.0


class ResultsReader:
    """Reads the Results of all tasks from their present ends, without a group, and the announced thresholds.

    Args:
        kafka: how to reach it.
        signatures: verify announcements.
        warn: gets each alarm.
    """

    def __init__(self, kafka: KafkaSettings, signatures: Signatures, warn: Callable[[AlarmRaised], object]) -> None:
        self._kafka = kafka
        self._signatures = signatures
        self._warn = warn
        self._models = ModelTable()
        self._shifts = ShiftWatch(self._models)

    async def run(self) -> None:
        """Read until cancelled; after a failure connect again. What came meanwhile is left out: it is no proof."""
        while True:
            models = ModelsReader(self._kafka, self._signatures, self._apply)
            topics = self._kafka.topics
            consumer = make_consumer(
                self._kafka.client(),
                *(topics.results(task) for task in topics.tasks),
                group_id=None,
                auto_offset_reset="latest",
                fetch_max_wait_ms=_POLL_MS,  # nobody waits for them: a few large fetches take less CPU
                fetch_min_bytes=_FETCH_BYTES,
            )
            try:
                await models.start()
                await consumer.start()
                await consumer.seek_to_end()
                log.info("results are read")
                read_at = time.monotonic()
                while True:
                    for records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)).values():
                        for record in records:
                            if (alarm := self._shifts.take(record.value or b"", record.timestamp)) is not None:
                                self._warn(alarm)
                    if time.monotonic() - read_at > _MODELS_EVERY_S:
                        await models.catch_up()
                        read_at = time.monotonic()
            except (Fatal, Retryable, *NO_ANSWER) as error:
                log.warning("results are not read: %s; trying again", type(error).__name__)
                await asyncio.sleep(_PAUSE_S)
            finally:
                await close_in_time(consumer.stop, models.stop)

    def _apply(self, seen: Announcement) -> None:
        self._models.apply(seen.key, seen.announced, seen.retirement.until)
