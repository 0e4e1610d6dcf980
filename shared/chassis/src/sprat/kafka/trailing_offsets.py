"""Commits past what a poll never returns: transaction markers and the records of aborted transactions.

The loops commit the offset after the last record. Without this, a group would show lag for ever where a marker or an
aborted batch follows that record.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from sprat.base.errors import Retryable
from sprat.base.lifecycle import AdmissionControl
from sprat.kafka.compat import Commit, Poll, wrap_commits, wrap_polls
from sprat.kafka.offsets import commit

log = logging.getLogger(__name__)


class TrailingOffsets:
    """Follows one consumer: what its polls returned and what was committed since the assignment began.

    A position is committed only where everything that the polls returned from its partition is committed. So it never
    passes a record that is held, in progress, not admitted, or skipped as another service's: none of these is
    committed. A position moves only in a poll, and this runs in the task that polls.
    """

    def __init__(self, admission: AdmissionControl) -> None:
        self._admission = admission
        self._returned: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    def follow(self, consumer: Any) -> None:
        """Observe the consumer's polls and commits; commit what may be before each poll."""

        def observe_polls(poll: Poll) -> Poll:
            async def observed(*arguments: Any, **options: Any) -> Mapping[TopicPartition, list[Any]]:
                await self._commit(consumer)
                batches = await poll(*arguments, **options)
                for partition, records in batches.items():
                    if records:
                        end = records[-1].offset + 1
                        self._returned[partition] = max(end, self._returned.get(partition, 0))
                return batches

            return observed

        def observe_commits(commit_offsets: Commit) -> Commit:
            async def observed(offsets: Mapping[TopicPartition, int]) -> None:
                await commit_offsets(offsets)
                self._committed |= offsets

            return observed

        wrap_polls(consumer, observe_polls)
        wrap_commits(consumer, observe_commits)

    def forget(self) -> None:
        """Start anew: with an assignment, positions begin at the committed offsets."""
        self._returned.clear()
        self._committed.clear()

    async def _commit(self, consumer: Any) -> None:
        offsets = await self._committable(consumer)
        if not offsets or not self._admission.enter():
            return
        try:
            await commit(consumer, offsets)
        except Retryable as error:
            log.warning("%s; the next poll tries again", error)
        finally:
            self._admission.leave()

    async def _committable(self, consumer: Any) -> dict[TopicPartition, int]:
        offsets: dict[TopicPartition, int] = {}
        try:
            # Do not wait for a position that is not known yet: the poll must go on. A known one is returned at once.
            async with asyncio.timeout(0):
                for partition in consumer.assignment():
                    done = self._committed.get(partition, 0)
                    if self._returned.get(partition, 0) <= done < (position := await consumer.position(partition)):
                        offsets[partition] = position
        except (TimeoutError, IllegalStateError):
            return {}
        return offsets
