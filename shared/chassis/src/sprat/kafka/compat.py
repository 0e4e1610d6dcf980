"""What relies on private parts of aiokafka or FastStream, but for those in `sprat.kafka.group_coordinator`.

* `install_bounded_records`: `aiokafka.consumer.fetcher.MemoryRecords` and the readers of `aiokafka.record` in Python;
  compressed batches are unpacked within limits, and header names may hold any bytes.
* `install_paced_fetches`: `aiokafka.consumer.consumer.Fetcher`, its `_get_actions_per_node` and `fetched_records`; no
  option of aiokafka makes a fetch wait by how long records have waited.
* `fetch_has_ended`: `AIOKafkaConsumer._fetcher._fetch_task`; aiokafka does not report that its fetch has ended.
* `wrap_polls`, `wrap_commits`: methods of one consumer are replaced; FastStream has no hook for polls.
* `on_consumer_created`: `broker.config.broker_config.builder`; FastStream has no hook before a consumer starts.
* `consume_loop_has_ended`: `subscriber.tasks`; FastStream does not report that its loop has ended.
* `AlterUserQuotas`: as below; aiokafka has no request that changes quotas.
* `DescribeQuorum`: a request made of `aiokafka.protocol` and sent by `aiokafka.client.AIOKafkaClient`; aiokafka's admin
  client has no call that returns the brokers' time.
* `leave_request`, `group_list_request` and the others, `batches`: requests of `aiokafka.protocol` that `AIOKafkaClient`
  sends, and `aiokafka.record.MemoryRecords` for the answer to a fetch; see `sprat.kafka.cluster`. The admin client's
  `describe_topics` lets a broker create the topics that it is asked for.
* `assigned_partitions`: `aiokafka.coordinator.protocol`; the admin client returns the assignment of a member as bytes.

The versions of both libraries are bounded in pyproject.toml; tests/unit/test_kafka_compat.py fails where a part is
gone.
"""

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import CorruptRecordException
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
from aiokafka.record.default_records import DefaultRecordBase, DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint_py as decode_varint

from sprat.kafka.compression import MAX_BATCH, MAX_RECORD, MAX_RECORDS, Oversized, unpack
from sprat.kafka.fetch_pace import FetchPace

if TYPE_CHECKING:  # a command reads with aiokafka alone, and FastStream takes longer to import than all else
    from faststream.kafka import KafkaBroker

Poll = Callable[..., Awaitable[Mapping[TopicPartition, list[Any]]]]
Commit = Callable[[Mapping[TopicPartition, int]], Awaitable[None]]

_METADATA = "__cluster_metadata"
_WITH_PREFERRED_REPLICA = 11
_TAGS = ("tags", TaggedFields)
_CODEC_AT, _COUNT_AT, _HEADER_BYTES = 22, 57, 61
"""Of a batch in version 2: the byte of its attributes that holds the codec, its number of records, its records."""
_REPLICAS = CompactArray(
    ("replica", Int32), ("end_offset", Int64), ("last_fetch_ms", Int64), ("last_caught_up_ms", Int64), _TAGS
)


def install_bounded_records() -> None:
    """Let every consumer of this process read compressed batches within limits, and header names of any bytes.

    aiokafka decompresses a whole batch, whatever its size; what is above the limits of `sprat.kafka.compression`
    becomes a record whose value is `Oversized`.

    librdkafka writes header names of any bytes, but aiokafka decodes them strictly: `getmany` raises UnicodeDecodeError
    at such a record on every call, and the partition never moves on. From there on, a batch is read by aiokafka's own
    reader in Python with `surrogateescape`; then `name.encode("utf-8", "surrogateescape")` returns the original bytes.
    """
    fetcher.MemoryRecords = BoundedMemoryRecords


def install_paced_fetches() -> None:
    """Let every consumer of this process that is behind fetch less often; see `sprat.kafka.fetch_pace`."""
    consumer_module.Fetcher = PacedFetcher


class PacedFetcher(Fetcher):  # type: ignore[misc] # aiokafka has no types
    """Fetches when its pace allows it. What is there meanwhile comes with the next fetch."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._pace = FetchPace()

    def _get_actions_per_node(self, assignment: Any) -> tuple[list[Any], Any, float, Any, Any]:
        requests, resets, timeout_s, *others = super()._get_actions_per_node(assignment)
        now_s = time.monotonic()
        pauses_s = [self._pace.pause_s(broker, now_s) for broker, _ in requests]
        now = [request for request, pause_s in zip(requests, pauses_s, strict=True) if not pause_s]
        return now, resets, min([timeout_s, *filter(None, pauses_s)]), *others

    async def fetched_records(self, *arguments: Any, **options: Any) -> Mapping[TopicPartition, list[Any]]:
        """Return records that were fetched, and note how long the oldest has waited."""
        batches: Mapping[TopicPartition, list[Any]] = await super().fetched_records(*arguments, **options)
        if batches:
            self._pace.observe(min(records[0].timestamp for records in batches.values()), time.time() * 1000)
        return batches


def fetch_has_ended(consumer: Any) -> bool:
    """Return whether aiokafka's background fetch has ended: polls then return nothing, for ever."""
    task = getattr(getattr(consumer, "_fetcher", None), "_fetch_task", None)
    return isinstance(task, asyncio.Future) and task.done()


def consume_loop_has_ended(subscriber: Any) -> bool:
    """Return whether all tasks of a FastStream subscriber have ended."""
    return bool(subscriber.tasks) and all(task.done() for task in subscriber.tasks)


def wrap_polls(consumer: Any, wrap: Callable[[Poll], Poll]) -> None:
    """Replace a consumer's `getmany`, which FastStream polls, by what `wrap` makes of it."""
    consumer.getmany = wrap(consumer.getmany)


def wrap_commits(consumer: Any, wrap: Callable[[Commit], Commit]) -> None:
    """Replace a consumer's `commit` by what `wrap` makes of it."""
    consumer.commit = wrap(consumer.commit)


async def on_consumer_created(broker: "KafkaBroker", created: Callable[[Any], object]) -> None:
    """Call `created` with each consumer that the broker makes, before it is started.

    FastStream makes and starts a consumer in one call, so the builder in the broker's configuration is wrapped.
    `connect` makes the builder and therefore comes first; a broker that only consumes opens no connection there.
    """
    await broker.connect()
    configuration = broker.config.broker_config
    build = configuration.builder

    def build_and_report(**options: Any) -> Any:
        consumer = build(**options)
        created(consumer)
        return consumer

    configuration.builder = build_and_report


def assigned_partitions(assignment: bytes) -> list[TopicPartition]:
    """Decode the assignment of a group's member; it is empty while the group rebalances."""
    return list(ConsumerProtocolMemberAssignment.decode(assignment).partitions()) if assignment else []


def metadata_request(topics: Iterable[str]) -> Any:
    """Return a request for the partitions of topics, which makes none that is missing."""
    return MetadataRequest(sorted(topics), allow_auto_topic_creation=False)


def group_list_request() -> Any:
    """Return a request for the names of the groups that a broker coordinates."""
    return ListGroupsRequest()


def coordinator_request(group: str) -> Any:
    """Return a request for the broker that coordinates a group."""
    return FindCoordinatorRequest(group, 0)


def committed_request(group: str) -> Any:
    """Return a request for all offsets that a group has committed."""
    return OffsetFetchRequest(group, None)


def group_request(group: str) -> Any:
    """Return a request for a group's members.

    aiokafka 0.14 cannot parse an answer about several groups: it expects one field too few in each.
    """
    return DescribeGroupsRequest([group])


def leave_request(group: str, member: str) -> Any:
    """Return a request by which a member leaves its group; its connection need not be the member's."""
    return LeaveGroupRequest(group, member)


_ANY: int = 1
"""Any type, pattern, operation or permission, in a filter of access control lists."""


def acl_list_request() -> Any:
    """Return a request for every entry of the access control lists."""
    return DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY)


def acl_creation_request(*entry: Any) -> Any:
    """Return a request that adds an entry: the fields of `acl_list_request`'s filter, with their values."""
    return CreateAclsRequest(*entry)


_USER, _ANY_USER = "user", 2


def user_quotas_request() -> Any:
    """Return a request for the quotas of all users, without those of a client's name."""
    return DescribeClientQuotasRequest([(_USER, _ANY_USER, None)], strict=True)


def offsets_request(isolation: int, topics: list[tuple[str, list[tuple[int, ...]]]]) -> Any:
    """Return a request for offsets of partitions, each given with -1 for the latest or -2 for the earliest."""
    return OffsetRequest(-1, isolation, topics)


def fetch_request(isolation: int, max_bytes: int, topics: list[tuple[str, list[tuple[int, ...]]]]) -> Any:
    """Return a request for what is there now of partitions, each given with an offset and a number of bytes."""
    return FetchRequest(0, 0, max_bytes, isolation, topics)


def aborted_transactions(answer: Any, fields: Sequence[Any]) -> Sequence[tuple[int, int]]:
    """Return producer and first offset of the aborted transactions in a fetch's answer about one partition.

    `fields` are those after the high watermark; from version 11 on, another one follows the transactions.
    """
    return (fields[2] if answer.API_VERSION >= _WITH_PREFERRED_REPLICA else fields[-2]) or ()


def batches(raw: bytes) -> Iterator[Any]:
    """Yield the batches that a fetch returned, without an incomplete one at the end."""
    records = MemoryRecords(raw)
    while records.has_next():
        yield records.next_batch()


class BoundedMemoryRecords(_MemoryRecordsPy):  # type: ignore[misc]  # final for type checkers only
    """Returns batches that can be read within limits, whatever their header names hold."""

    def next_batch(self, *_: Any) -> Any:
        """Return the next batch."""
        raw = self._next_slice
        batch = super().next_batch()
        return _Batch(raw) if isinstance(batch, DefaultRecordBatch) and raw is not None else batch


class _Batch:
    """A batch of records: the attributes of the strict reader, the records of whichever reader can decode them."""

    def __init__(self, raw: memoryview) -> None:
        self._raw = bytes(raw)
        self._strict = DefaultRecordBatch(raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strict, name)

    def __iter__(self) -> Iterator[Any]:
        """Yield one record after the other: a batch of many small ones takes little memory."""
        codec = self._strict.compression_type
        return self._unpacked(codec) if codec else _records(self._raw)

    def __next__(self) -> Any:  # aiokafka reads the single record of a control batch this way
        return next(self._strict)

    def _unpacked(self, codec: int) -> Iterator[Any]:
        (count,) = struct.unpack_from(">i", self._raw, _COUNT_AT)
        if count > MAX_RECORDS:
            reason = f"a compressed batch of {count} records, of which {MAX_RECORDS} are read at most: none was read"
            yield _Record(self._strict.base_offset, self._strict.max_timestamp, None, Oversized(reason))
            return
        header = bytearray(self._raw[:_HEADER_BYTES])
        header[_CODEC_AT] &= ~DefaultRecordBase.CODEC_MASK
        records, whole = unpack(codec, self._raw[_HEADER_BYTES:], MAX_BATCH)
        raw = bytes(header) + records
        for record in _records(raw) if whole else _CutBatch(raw):
            size = _size(record)
            if size <= MAX_RECORD:
                yield record
                continue
            key = record.key if len(record.key or b"") <= MAX_RECORD else None
            reason = f"{size} bytes, unpacked, of which {MAX_RECORD} are read at most; they are not kept"
            yield _Record(record.offset, record.timestamp, key, Oversized(reason))


def _size(record: Any) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _records(raw: bytes) -> Iterator[Any]:
    """Yield the records of an uncompressed batch."""
    read = 0
    try:
        for record in DefaultRecordBatch(raw):
            read += 1
            yield record
    except UnicodeDecodeError:
        yield from islice(_LenientBatch(raw), read, None)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # as above
    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self._buffer: Any = _Bytes(self._buffer)


class _CutBatch(_LenientBatch):
    """A batch whose end is missing: the record that is cut is `Oversized`, and the last one."""

    def __iter__(self) -> Iterator[Any]:
        for number in range(self._num_records):
            began = self._pos
            try:
                record = self._read_msg(decode_varint)
            except (IndexError, ValueError, CorruptRecordException):
                record = None
            if record is None or self._pos > len(self._buffer):
                yield self._cut(began, self._num_records - number - 1)
                return
            yield record

    def _cut(self, position: int, following: int) -> "_Record":
        """Return the record that begins here, with its key where that is there."""
        reason, key, delta = f"beyond the {MAX_BATCH} bytes that are read of a batch, unpacked", None, None
        with suppress(IndexError):
            size, position = decode_varint(self._buffer, position)
            reason = f"{size} bytes, unpacked, {reason}"
            _attributes, position = decode_varint(self._buffer, position)
            _time, position = decode_varint(self._buffer, position)
            delta, position = decode_varint(self._buffer, position)
            length, position = decode_varint(self._buffer, position)
            if 0 <= length <= min(MAX_RECORD, len(self._buffer) - position):
                key = bytes(self._buffer[position : position + length])
        if following:
            reason = f"{reason}; nor can the {following} records after it be read"
        offset = self.next_offset - 1 - following if delta is None else self.base_offset + delta
        return _Record(offset, self.max_timestamp, key, Oversized(f"{reason}; they are not kept"))


@dataclass(frozen=True, slots=True)
class _Record:
    """A record that was not read whole, as `aiokafka.record` returns records."""

    offset: int
    timestamp: int
    key: bytes | None
    value: Oversized
    timestamp_type: int = DefaultRecordBase.LOG_APPEND_TIME
    headers: tuple[tuple[str, bytes], ...] = ()
    checksum: None = None


class _Bytes(bytearray):
    """A buffer whose slices decode without loss."""

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return _Bytes(part) if isinstance(index, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)


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
    """A request for the replicas of the cluster's metadata (KIP-836), to send with an `AIOKafkaClient`."""

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
    """A request that sets quotas of users (KIP-546), to send with an `AIOKafkaClient`."""

    API_KEY = 49

    def __init__(self, quotas: Mapping[str, Mapping[str, float]]) -> None:
        """Take user → setting → value."""
        self._quotas = quotas

    def build(self, request_struct_class: type[AlterUserQuotasRequest]) -> AlterUserQuotasRequest:
        """Return the request."""
        entries = [
            ([(_USER, user)], [(setting, float(value), False) for setting, value in settings.items()])
            for user, settings in self._quotas.items()
        ]
        validate_only = False
        return request_struct_class(entries, validate_only)
