"""Commits past what a poll never returns: the markers of transactions and the records of aborted ones.

The loops commit the offset after the last record. Where a marker or an aborted batch follows it, the group would show
lag for ever.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from sprat.errors import Retryable
from sprat.kafka.offsets import commit
from sprat.lifecycle import AdmissionControl

log = logging.getLogger(__name__)


class TrailingOffsets:
    """Follows one consumer: what its polls returned and what was committed, since the assignment began.

    A position may be committed in one case alone: everything that the polls returned from its partition is committed.
    So it never passes a record that is held, in flight, dropped by a closed gate, or passed over as another service's:
    none of these was committed. The position moves in a poll alone, and this runs in the task that polls.
    """

    def __init__(self, gate: AdmissionControl) -> None:
        self._gate = gate
        self._returned: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    def follow(self, consumer: Any) -> None:
        """Wrap the polls and commits of a consumer; before each poll, commit what may be."""
        poll, commit_offsets = consumer.getmany, consumer.commit

        async def polled(*arguments: Any, **options: Any) -> Any:
            await self._commit(consumer)
            batches = await poll(*arguments, **options)
            for partition, records in batches.items():
                if records:
                    end = records[-1].offset + 1
                    self._returned[partition] = max(end, self._returned.get(partition, 0))
            return batches

        async def committed(offsets: Mapping[TopicPartition, int]) -> None:
            await commit_offsets(offsets)
            self._committed |= offsets

        consumer.getmany, consumer.commit = polled, committed

    def forget(self) -> None:
        """Begin anew: with an assignment, positions begin at the committed offsets."""
        self._returned.clear()
        self._committed.clear()

    async def _commit(self, consumer: Any) -> None:
        offsets = await self._committable(consumer)
        if not offsets or not self._gate.enter():
            return
        try:
            await commit(consumer, offsets)
        except Retryable as error:
            log.warning("%s; the next poll tries again", error)
        finally:
            self._gate.leave()

    async def _committable(self, consumer: Any) -> dict[TopicPartition, int]:
        offsets: dict[TopicPartition, int] = {}
        try:
            # A position that is not known yet is not waited for: the poll must go on. One that is known comes at once.
            async with asyncio.timeout(0):
                for partition in consumer.assignment():
                    done = self._committed.get(partition, 0)
                    if self._returned.get(partition, 0) <= done < (position := await consumer.position(partition)):
                        offsets[partition] = position
        except (TimeoutError, IllegalStateError):
            return {}
        return offsets
