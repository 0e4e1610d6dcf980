"""Requests of Kafka's protocol that no client of aiokafka sends, for `AIOKafkaClient.send`.

They are of `aiokafka.protocol`, which is private: nothing else imports it. Two of them aiokafka does not have.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.admin import (
    CreateAclsRequest,
    DescribeAclsRequest,
    DescribeClientQuotasRequest,
    DescribeGroupsRequest,
    ListGroupsRequest,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Float64,
    Int16,
    Int32,
    Int64,
    Schema,
    String,
    TaggedFields,
)
from aiokafka.record import MemoryRecords

__all__ = [
    "USER",
    "AlterUserQuotas",
    "ConsumerProtocolMemberAssignment",
    "CreateAclsRequest",
    "DescribeAclsRequest",
    "DescribeClientQuotasRequest",
    "DescribeGroupsRequest",
    "DescribeQuorum",
    "FetchRequest",
    "FindCoordinatorRequest",
    "LeaveGroupRequest",
    "ListGroupsRequest",
    "MemoryRecords",
    "OffsetFetchRequest",
    "OffsetRequest",
    "metadata_request",
]

USER: Final = "user"
"""What quotas are of."""
_METADATA = "__cluster_metadata"
_TAGS = ("tags", TaggedFields)
_REPLICAS = CompactArray(
    ("replica", Int32), ("end_offset", Int64), ("last_fetch_ms", Int64), ("last_caught_up_ms", Int64), _TAGS
)


def metadata_request(topics: Iterable[str]) -> MetadataRequest:
    """Return a request for the partitions of topics, which makes none that is missing.

    The admin client's `describe_topics` lets a broker create the topics that it is asked for.
    """
    return MetadataRequest(sorted(topics), allow_auto_topic_creation=False)


class DescribeQuorumResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """The answer, in version 1 of the protocol."""

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


class DescribeQuorumRequest(RequestStruct):  # type: ignore[misc]  # as above
    """The request, in version 1 of the protocol."""

    API_KEY = 55
    API_VERSION = 1
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = DescribeQuorumResponse
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


class DescribeQuorum(Request[DescribeQuorumRequest]):  # type: ignore[misc]  # as above
    """A request for the replicas of the cluster's metadata (KIP-836)."""

    API_KEY = 55

    def build(self, request_struct_class: type[DescribeQuorumRequest]) -> DescribeQuorumRequest:
        """Return the request for the one partition of the metadata."""
        return request_struct_class([(_METADATA, [(0, {})], {})], {})


_ENTITY = ("entity", Array(("type", String("utf-8")), ("name", String("utf-8"))))


class AlterUserQuotasResponse(Response):  # type: ignore[misc]  # as above
    """The answer to AlterClientQuotas, in version 0 of the protocol."""

    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String("utf-8")), _ENTITY)),
    )


class AlterUserQuotasRequest(RequestStruct):  # type: ignore[misc]  # as above
    """AlterClientQuotas, in version 0 of the protocol."""

    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = AlterUserQuotasResponse
    SCHEMA = Schema(
        (
            "entries",
            Array(_ENTITY, ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean)))),
        ),
        ("validate_only", Boolean),
    )


class AlterUserQuotas(Request[AlterUserQuotasRequest]):  # type: ignore[misc]  # as above
    """A request that sets quotas of users (KIP-546)."""

    API_KEY = 49

    def __init__(self, quotas: Mapping[str, Mapping[str, float]]) -> None:
        """Take user → setting → value."""
        self._quotas = quotas

    def build(self, request_struct_class: type[AlterUserQuotasRequest]) -> AlterUserQuotasRequest:
        """Return the request."""
        entries = [
            ([(USER, user)], [(setting, float(value), False) for setting, value in settings.items()])
            for user, settings in self._quotas.items()
        ]
        validate_only = False
        return request_struct_class(entries, validate_only)
