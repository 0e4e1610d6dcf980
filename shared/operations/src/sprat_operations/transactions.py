"""Open transactions that hold back partitions: whoever reads what is committed sees nothing behind their first record.

A producer that hangs, or whoever may write to a topic and wants it so, keeps one open for as long as the broker's
`transaction.max.timeout.ms` allows; one that hangs for good must be ended by hand.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import ClusterAuthorizationFailedError

from sprat.kafka.cluster import READ_UNCOMMITTED, Cluster

_PATIENCE_S: Final = 2.0
_POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A partition that a transaction holds back."""

    topic: str
    partition: int
    offset: int
    """Of its first record."""
    age_s: float | None
    """Seconds since that was appended; None where this user may not read the topic."""

    def __str__(self) -> str:
        since = "" if self.age_s is None else f", open for {self.age_s:,.0f} s,"
        return (
            f"an open transaction{since} holds back {self.topic} partition {self.partition} from offset {self.offset}"
        )

    @property
    def fix(self) -> str:
        """What to do."""
        return (
            "ask its sender to commit or abort it, or end it: kafka-transactions.sh --bootstrap-server … abort --topic "
            f"{self.topic} --partition {self.partition} --start-offset {self.offset}"
        )


async def find_open_transactions(
    client: Mapping[str, Any], topics: Collection[str], *, patience_s: float = _PATIENCE_S
) -> list[OpenTransaction]:
    """Return the partitions of the topics that one transaction holds back for all of `patience_s`.

    Topics that do not exist or that this user may not see are left out. It only waits where something is held back.

    Raises:
        KafkaError: Kafka cannot be reached or does not answer.
    """
    async with Cluster(client) as cluster:
        counts = await cluster.partition_counts(topics)
        partitions = [
            TopicPartition(topic, number)
            for topic, count in sorted(counts.items())
            if isinstance(count, int)
            for number in range(count)
        ]
        held = await cluster.settled(lambda: _held(cluster, partitions))
        until = time.monotonic() + patience_s
        while held and time.monotonic() < until:
            await asyncio.sleep(_POLL_S)
            now = await cluster.settled(partial(_held, cluster, tuple(held)))
            held = {each: offset for each, offset in held.items() if now.get(each) == offset}
        if not held:
            return []
        appended, _ = await cluster.settled(lambda: cluster.append_times(held, READ_UNCOMMITTED))
        now_ms = await _now_ms(cluster)
    return [
        OpenTransaction(
            each.topic,
            each.partition,
            offset,
            max(0.0, now_ms - appended[each]) / 1000 if each in appended else None,
        )
        for each, offset in sorted(held.items())
    ]


async def _held(cluster: Cluster, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the last stable offsets of those partitions in which it is behind the high watermark."""
    # In this order: what is appended in between without a transaction is behind no open one.
    high = await cluster.offsets(partitions, isolation=READ_UNCOMMITTED)
    stable = await cluster.offsets(partitions)
    return {each: offset for each, offset in stable.items() if offset < high[each]}


async def _now_ms(cluster: Cluster) -> float:
    try:
        now_ms = await cluster.time_ms()
    except ClusterAuthorizationFailedError:
        now_ms = None
    return time.time() * 1000 if now_ms is None else now_ms
