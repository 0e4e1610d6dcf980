"""The difference between this machine's clock and the cluster's, measured without writing anything."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sprat.kafka.cluster import Cluster


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
    async with Cluster(client) as cluster:
        await cluster.time_ms()  # the first answer includes the time to connect to the controller
        sent_at = clock()
        leader_ms = await cluster.time_ms()
        answered_at = clock()
    if leader_ms is None:
        return None
    return ClockSkew((sent_at + answered_at) * 500 - leader_ms, (answered_at - sent_at) * 500)
