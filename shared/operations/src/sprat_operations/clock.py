"""How far this machine's clock is from the cluster's, without writing anything.

KRaft's leader tells in its answer to DescribeQuorum when each replica last fetched; of itself it tells the present
moment (`LeaderState.describeReplicaState` in Apache Kafka, KIP-836). aiokafka 0.14 does not know the request.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from sprat.kafka.clients import close_in_time

_METADATA = "__cluster_metadata"
_TAGS = ("tags", TaggedFields)
_REPLICAS = CompactArray(
    ("replica", Int32), ("end_offset", Int64), ("last_fetch_ms", Int64), ("last_caught_up_ms", Int64), _TAGS
)


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How far this machine's clock is ahead of the cluster's; negative: behind."""

    ahead_ms: float
    uncertainty_ms: float
    """By so much it may be more or less: half the time that the answer took."""

    @property
    def min_ms(self) -> float:
        """Return what it is at the least, without its sign."""
        return max(0.0, abs(self.ahead_ms) - self.uncertainty_ms)


async def clock_skew(client: Mapping[str, Any], clock: Callable[[], float] = time.time) -> ClockSkew | None:
    """Compare the clocks; None where the cluster does not tell its own (no KRaft, or a Kafka before 3.3).

    `client` holds the arguments of an aiokafka client.

    Raises:
        KafkaError: Kafka cannot be reached, or does not let this user describe the cluster.
    """
    kafka = AIOKafkaClient(**client)
    try:
        await kafka.bootstrap()
        node = kafka.get_random_node()
        await kafka.ready(node)
        try:
            await kafka.send(node, _DescribeQuorum())  # the first answer pays for the connection to the controller
            asked = clock()
            answer = await kafka.send(node, _DescribeQuorum())
            answered = clock()
        except (IncompatibleBrokerVersion, NotImplementedError):
            return None
    finally:
        await close_in_time(kafka.close)
    told_ms = _now_of(answer)
    if told_ms is None:
        return None
    return ClockSkew((asked + answered) * 500 - told_ms, (answered - asked) * 500)


def _now_of(answer: Any) -> int | None:
    if answer.error_code:
        raise for_code(answer.error_code)
    for _topic, partitions, _ in answer.topics:
        for _partition, error_code, leader, _epoch, _high, voters, _observers, _ in partitions:
            if error_code:
                raise for_code(error_code)
            now = [caught_up_ms for replica, _end, _fetch_ms, caught_up_ms, _ in voters if replica == leader]
            return now[0] if now and now[0] > 0 else None
    return None


class _DescribeQuorumResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 55
    API_VERSION = 1
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("voters", _REPLICAS),
                        ("observers", _REPLICAS),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeQuorumRequest(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 55
    API_VERSION = 1
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeQuorumResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                ("partitions", CompactArray(("partition", Int32), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeQuorum(Request[_DescribeQuorumRequest]):  # type: ignore[misc]  # as above
    API_KEY = 55

    def build(self, request_struct_class: type[_DescribeQuorumRequest]) -> _DescribeQuorumRequest:
        return request_struct_class([(_METADATA, [(0, {})], {})], {})
