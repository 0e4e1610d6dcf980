"""Offsets: where a new group starts, which offsets may be committed, and how to go back.

A committed offset is always that of the *next* record to read.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from sprat.base.errors import Fatal, Retryable
from sprat.base.lifecycle import AdmissionControl
from sprat.base.retry import retry_until
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import AUTHORISATION_ERRORS, make_consumer, missing_topics
from sprat.kafka.compat import Commit, Poll, wrap_commits, wrap_polls
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span
from sprat_contracts import KafkaRecord

log = logging.getLogger(__name__)

_COMMIT_S = 30.0
TRAIL_EVERY_S: Final = 0.5
"""How often positions are compared with what is committed: of 64 partitions, a look takes 0.1 ms."""


class Consumer(Protocol):
    """The part of an aiokafka consumer that the loops use."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the next offset of each partition."""
        ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Continue to read at this offset."""
        ...

    def pause(self, *partitions: TopicPartition) -> None:
        """Stop reading from these partitions."""
        ...

    def assignment(self) -> frozenset[TopicPartition]:
        """Return the assigned partitions."""
        ...


class NotCommitted(Retryable):
    """The group's coordinator does not answer."""

    step = "commit"


class OffsetTracker:
    """Offsets of records in progress, by partition. Not thread-safe; one event loop owns it.

    While records finish out of order, the offset up to the lowest unfinished record may be committed.
    """

    def __init__(self) -> None:
        self._finished: dict[TopicPartition, dict[int, bool]] = {}
        """Offset → whether its record is finished, in the order of the partition."""

    def start(self, partition: TopicPartition, offset: int) -> None:
        """Record that the processing of a record begins; the records of a partition begin in order."""
        self._finished.setdefault(partition, {})[offset] = False

    def finish(self, partition: TopicPartition, offset: int) -> None:
        """Record that it is finished; ignore one from before the last `clear`."""
        offsets = self._finished.get(partition)
        if offsets is not None and offset in offsets:
            offsets[offset] = True

    def committable(self) -> Mapping[TopicPartition, int]:
        """Return the next offset of each partition in which records have finished since the last call."""
        committable: dict[TopicPartition, int] = {}
        for partition, offsets in self._finished.items():
            for offset in list(offsets):
                if not offsets[offset]:
                    break
                committable[partition] = offset + 1
                del offsets[offset]
        return committable

    def clear(self) -> None:
        """Forget all records: the partitions were revoked."""
        self._finished.clear()


def next_offsets(records: Iterable[KafkaRecord]) -> dict[TopicPartition, int]:
    """Return what to commit once these records are done."""
    offsets: dict[TopicPartition, int] = {}
    for record in records:
        partition = TopicPartition(record.topic, record.partition)
        offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
    return offsets


async def commit(consumer: Consumer, offsets: Mapping[TopicPartition, int]) -> bool:
    """Commit these offsets, those of revoked partitions apart: their new owner reads the records again.

    Returns:
        False where none was committed: the partitions were revoked.

    Raises:
        NotCommitted: the group's coordinator does not answer.
        Fatal: Kafka does not let this service commit.
    """
    assigned = consumer.assignment()
    own = {partition: offset for partition, offset in offsets.items() if partition in assigned}
    if not own:
        log.warning("offsets not committed, the partitions were revoked")
        return False
    try:
        with (
            child_span(signals.COMMIT, operation="commit", operation_type="settle"),
            signals.CLIENT_SECONDS.timed(operation="commit", operation_type="settle"),
        ):
            async with asyncio.timeout(_COMMIT_S):
                await consumer.commit(own)  # one that is not assigned would have aiokafka refuse all
    except (CommitFailedError, IllegalStateError) as error:
        log.warning("offsets not committed, the partitions were revoked: %s", type(error).__name__)
        return False
    except AUTHORISATION_ERRORS as error:
        raise Fatal(f"Kafka does not let this service commit: {type(error).__name__}; check the ACLs") from None
    except (KafkaError, TimeoutError) as error:
        raise NotCommitted(f"offsets not committed: {type(error).__name__}") from None
    return True


def seek_back(consumer: Consumer, records: Iterable[KafkaRecord]) -> None:
    """Seek to the first of these records in each partition that is still assigned."""
    first: dict[TopicPartition, int] = {}
    for record in records:
        partition = TopicPartition(record.topic, record.partition)
        first[partition] = min(first.get(partition, record.offset), record.offset)
    assigned = consumer.assignment()
    for partition, offset in first.items():
        if partition in assigned:
            consumer.seek(partition, offset)


class TrailingOffsets:
    """Commits past what a poll never returns: transaction markers and the records of aborted transactions.

    The loops commit the offset after the last record. Without this, a group would show lag for ever where a marker or
    an aborted batch follows that record.

    It follows one consumer: what its polls returned and what was committed since the assignment began.

    A position is committed only where everything that the polls returned from its partition is committed. So it never
    passes a record that is held, in progress, not admitted, or skipped as another service's: none of these is
    committed. A position moves only in a poll, and this runs in the task that polls.
    """

    def __init__(self, admission: AdmissionControl, every_s: float = TRAIL_EVERY_S) -> None:
        self._admission = admission
        self._every_s = every_s
        self._looked_s = float("-inf")
        self._returned: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    def follow(self, consumer: Any) -> None:
        """Observe the consumer's polls and commits; commit what may be before a poll, now and then."""

        def observe_polls(poll: Poll) -> Poll:
            async def observed(*arguments: Any, **options: Any) -> Mapping[TopicPartition, list[Any]]:
                if (now_s := time.monotonic()) - self._looked_s >= self._every_s:
                    self._looked_s = now_s
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


async def set_initial_offsets(settings: KafkaSettings, group: str, topic: str, timestamp_ms: int) -> None:
    """Commit where a new group starts in a topic: at the first record appended at or after `timestamp_ms`.

    Partitions that have a committed offset keep it. Where a member is active, the broker refuses the commit of a
    non-member; that member has committed these offsets already. A new broker first creates its topic of offsets, and
    one that has just started loads it: both are waited for.

    Raises:
        Fatal: the topic does not exist, or Kafka does not answer for as long as a service tries.
        KafkaError: Kafka refuses.
    """

    async def commit_start() -> None:
        try:
            await _commit_start(settings, group, topic, timestamp_ms)
        except KafkaError as error:
            if error.retriable:
                raise Retryable(type(error).__name__) from None
            raise

    await retry_until(commit_start, Retryable, settings.give_up_s, f"group {group}")


async def _commit_start(settings: KafkaSettings, group: str, topic: str, timestamp_ms: int) -> None:
    missing = await _without_offset(settings, group, topic)
    if not missing:
        return
    consumer = make_consumer(settings.client(), group_id=group)
    try:
        await consumer.start()
        consumer.assign(missing)
        # The ends come first: a text that is appended between the two requests must not be skipped.
        ends = await consumer.end_offsets(missing)
        found = await consumer.offsets_for_times(dict.fromkeys(missing, timestamp_ms))
        starts = {partition: found[partition].offset if found[partition] else ends[partition] for partition in missing}
        await consumer.commit(starts)
    except KafkaError as error:
        if await _without_offset(settings, group, topic):
            raise
        log.info("commit by a non-member of group %s, expected: %s", group, type(error).__name__)
    finally:
        await consumer.stop()


async def _without_offset(settings: KafkaSettings, group: str, topic: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**settings.client())
    try:
        await admin.start()
        (description,) = await admin.describe_topics([topic])
        if missing_topics([description]):
            raise Fatal(f"topic {topic} does not exist: run `sprat topics create`")
        committed = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    partitions = [TopicPartition(topic, part["partition"]) for part in description["partitions"]]
    return [p for p in partitions if p not in committed or committed[p].offset < 0]
