"""The difference between this machine's clock and the cluster's, measured without writing anything.

The answer of KRaft's leader to DescribeQuorum holds the time of each replica's last fetch, and the present time for the
leader itself (`LeaderState.describeReplicaState` in Apache Kafka, KIP-836).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, for_code

from sprat.kafka.clients import close_in_time
from sprat.kafka.compat import DescribeQuorum


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How far this machine's clock is ahead of the cluster's; negative: behind."""

    ahead_ms: float
    uncertainty_ms: float
    """The difference may be larger or smaller by this much: half the time that the answer took."""

    @property
    def min_ms(self) -> float:
        """Return the smallest possible absolute difference."""
        return max(0.0, abs(self.ahead_ms) - self.uncertainty_ms)


async def clock_skew(client: Mapping[str, Any], clock: Callable[[], float] = time.time) -> ClockSkew | None:
    """Compare the clocks; return None where the cluster does not report its time (no KRaft, or a Kafka before 3.3).

    `client` holds the arguments of an aiokafka client.

    Raises:
        KafkaError: Kafka cannot be reached, or this user may not describe the cluster.
    """
    kafka = AIOKafkaClient(**client)
    try:
        await kafka.bootstrap()
        node = kafka.get_random_node()
        await kafka.ready(node)
        try:
            await kafka.send(node, DescribeQuorum())  # the first answer includes the time to connect to the controller
            sent_at = clock()
            answer = await kafka.send(node, DescribeQuorum())
            answered_at = clock()
        except (IncompatibleBrokerVersion, NotImplementedError):
            return None
    finally:
        await close_in_time(kafka.close)
    leader_ms = _leader_time_ms(answer)
    if leader_ms is None:
        return None
    return ClockSkew((sent_at + answered_at) * 500 - leader_ms, (answered_at - sent_at) * 500)


def _leader_time_ms(answer: Any) -> int | None:
    if answer.error_code:
        raise for_code(answer.error_code)
    for _topic, partitions, _ in answer.topics:
        for _partition, error_code, leader, _epoch, _high, voters, _observers, _ in partitions:
            if error_code:
                raise for_code(error_code)
            times = [caught_up_ms for replica, _end, _fetch_ms, caught_up_ms, _ in voters if replica == leader]
            return times[0] if times and times[0] > 0 else None
    return None
