"""Questions to a cluster: groups, offsets, when a record was appended, what time it is; and to leave a group.

They are requests of `aiokafka.protocol`, sent with `AIOKafkaClient` over one connection to each broker. The clients of
aiokafka would need a connection for each isolation level, a fetch in the background for each record, and two requests
for each question about a group, and they ignore some of the brokers' error codes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Literal, Self, TypeVar

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NotCoordinatorError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
    UnknownMemberIdError,
    for_code,
)

from sprat.base.retry import Deadline
from sprat.kafka.clients import close_in_time
from sprat.kafka.requests import (
    ConsumerProtocolMemberAssignment,
    DescribeGroupsRequest,
    DescribeQuorum,
    FetchRequest,
    FindCoordinatorRequest,
    LeaveGroupRequest,
    ListGroupsRequest,
    MemoryRecords,
    OffsetFetchRequest,
    OffsetRequest,
    metadata_request,
)

READ_UNCOMMITTED: Final = 0
READ_COMMITTED: Final = 1
EARLIEST: Final = -2
LATEST: Final = -1

_BYTES: Final = 1024 * 1024
_PARTITION_BYTES: Final = 32 * 1024
"""How much of a partition is read at once for its first batch. The first partition of a request returns its batch
whatever its size; another one whose batch is larger returns nothing, and is asked again as the first."""

_MOVED: Final = (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    LeaderNotAvailableError,
    NotCoordinatorError,
    NotLeaderForPartitionError,
)
"""A leader or a coordinator has changed, or a broker without any group first creates the topic of offsets."""
_SILENT: Final = (KafkaConnectionError, NodeNotReadyError, RequestTimedOutError)
"""A broker does not answer: others may have taken over what it led."""
_WITH_PREFERRED_REPLICA: Final = 11
"""From this version of the answer to a fetch on, another field follows the aborted transactions."""
_TRIES: Final = 10
_RETRY_S: Final = 0.5

Isolation = Literal[0, 1]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A consumer of a group."""

    client: str
    host: str
    partitions: tuple[TopicPartition, ...]
    """Those assigned to it, of the topics in question."""


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """A consumer group as its coordinator describes it. One that does not exist has no members and no offsets."""

    name: str
    """Without the prefix and its dot."""
    state: str
    """Stable, Empty, PreparingRebalance, Dead, …"""
    members: tuple[GroupMember, ...]
    committed: Mapping[TopicPartition, int]
    """Committed offsets in the installation's topics; partitions without one are omitted."""

    def reader_of(self, partition: TopicPartition) -> GroupMember | None:
        """Return the member that reads a partition."""
        return next((member for member in self.members if partition in member.partitions), None)


class Cluster:
    """A connection to a cluster; it is opened when the context is entered."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        """Take the arguments of an aiokafka client, see `KafkaSettings.client`."""
        self._arguments = client
        self._client: Any = None
        self._topics: set[str] = set()
        """Those whose leaders are known."""
        self._coordinators: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            KafkaError: Kafka cannot be reached.
        """
        self._client = AIOKafkaClient(**self._arguments)
        try:
            await self._client.bootstrap()
        except BaseException:  # a cancellation, too: `__aexit__` is not called for what was not entered
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await close_in_time(self._client.close)

    async def settled(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to questions, asked again while leaders or coordinators move, for five seconds at most.

        So they do where one broker does not answer and another one does.

        Raises:
            KafkaError: they still move, no broker answers, or one of the questions fails otherwise.
        """
        for _ in range(_TRIES - 1):
            try:
                return await ask()
            except (*_MOVED, *_SILENT) as error:
                await asyncio.sleep(_RETRY_S)
                if not await self.refresh() and isinstance(error, _SILENT):
                    raise
        return await ask()

    async def refresh(self) -> bool:
        """Ask again for leaders and coordinators: one of them has moved. Return whether a broker has answered."""
        self._coordinators.clear()
        return bool(await self._client.force_metadata_update())

    async def answers(self, timeout_s: float) -> bool:
        """Return whether any broker answers in time."""
        deadline = Deadline(timeout_s)
        brokers = [broker.nodeId for broker in self._client.cluster.brokers()]
        asked = {asyncio.create_task(self._send(ListGroupsRequest(), broker)) for broker in brokers}
        waiting = asked
        try:
            while waiting and deadline.remaining():
                done, waiting = await asyncio.wait(
                    waiting, timeout=deadline.remaining(), return_when=asyncio.FIRST_COMPLETED
                )
                if any(not each.cancelled() and each.exception() is None for each in done):
                    return True
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return False

    async def partition_counts(self, topics: Collection[str]) -> dict[str, int | type[Exception]]:
        """Return the number of partitions of each topic, or the error that it has.

        Raises:
            KafkaError: the broker does not answer.
        """
        answer = await self._send(metadata_request(topics))
        found: dict[str, int | type[Exception]] = {
            topic: for_code(error) if error else len(partitions)
            for error, topic, _internal, partitions in answer.topics
        }
        self._topics |= {topic for topic, count in found.items() if isinstance(count, int)}
        if self._topics:
            await self._client.set_topics(self._topics)
        return found

    async def group_names(self) -> set[str]:
        """Return the names of all groups that this user may describe.

        Raises:
            KafkaError: a broker does not answer.
        """
        names: set[str] = set()
        for broker in self._client.cluster.brokers():
            answer = await self._send(ListGroupsRequest(), broker.nodeId)
            _check(answer.error_code)
            names.update(name for name, _protocol in answer.groups)
        return names

    async def group(self, prefix: str, name: str, topics: Collection[str]) -> ConsumerGroup:
        """Describe the group `{prefix}.{name}` as far as these topics are concerned.

        Raises:
            KafkaError: its coordinator does not answer, or this user may not describe it.
        """
        full = f"{prefix}.{name}"
        node = await self._coordinator(full)
        offsets = await self._send(OffsetFetchRequest(full, None), node)
        _check(offsets.error_code)
        committed = {
            TopicPartition(topic, partition): offset
            for topic, partitions in offsets.topics
            for partition, offset, _metadata, error in partitions
            if topic in topics and offset >= 0 and not error
        }
        # One group a request: aiokafka 0.14 expects one field too few in each of several.
        answer = await self._send(DescribeGroupsRequest([full]), node)
        ((error, _name, state, _type, _protocol, members, *_),) = answer.groups
        _check(error)
        return ConsumerGroup(name, state, tuple(_member(each, topics) for each in members), committed)

    async def leave(self, group: str, member: str) -> None:
        """Take a member out of a group, named in full, as if it had left; do nothing where it is not in it any more.

        Raises:
            KafkaError: the coordinator does not answer, or this user may not read as this group.
        """
        answer = await self._send(LeaveGroupRequest(group, member), await self._coordinator(group))
        if for_code(answer.error_code) is not UnknownMemberIdError:
            _check(answer.error_code, group)

    async def offsets(
        self, partitions: Iterable[TopicPartition], at: int = LATEST, isolation: Isolation = READ_COMMITTED
    ) -> dict[TopicPartition, int]:
        """Return the offset of each partition at `EARLIEST` or `LATEST`.

        The latest one is the last stable offset for `READ_COMMITTED`, the high watermark for `READ_UNCOMMITTED`.

        Raises:
            KafkaError: a leader does not answer, has changed, or this user may not describe a topic.
        """
        found: dict[TopicPartition, int] = {}
        for node, topics in self._by_leader(dict.fromkeys(partitions, at), lambda number, time: (number, time)).items():
            answer = await self._send(OffsetRequest(-1, isolation, topics), node)
            for topic, answers in answer.topics:
                for partition, error, _timestamp, offset in answers:
                    _check(error, topic)
                    found[TopicPartition(topic, partition)] = offset
        return found

    async def append_times(
        self, positions: Mapping[TopicPartition, int], isolation: Isolation = READ_COMMITTED
    ) -> tuple[dict[TopicPartition, int], set[str]]:
        """Find out when the first record at or after each position was appended, by the clock of its broker.

        The time is that of the record's batch: in a topic with `LogAppendTime` all records of a batch have it.

        Returns:
            The times in epoch milliseconds, without the positions that no record follows (for `READ_COMMITTED`: that is
            committed); and the topics that this user may not read.

        Raises:
            KafkaError: a leader does not answer or has changed.
        """
        found: dict[TopicPartition, int] = {}
        unreadable: set[str] = set()
        waiting = dict(positions)
        while waiting:
            by_leader = self._by_leader(waiting, lambda number, position: (number, position, _PARTITION_BYTES))
            for node, topics in by_leader.items():
                answer = await self._send(FetchRequest(0, 0, _BYTES, isolation, topics), node)
                first = TopicPartition(topics[0][0], topics[0][1][0][0])
                for topic, partitions in answer.topics:
                    for number, error, _high, *rest in partitions:
                        partition = TopicPartition(topic, number)
                        if for_code(error) is OffsetOutOfRangeError:  # what followed the position is deleted
                            waiting |= await self.offsets([partition], EARLIEST)
                            continue
                        if for_code(error) is TopicAuthorizationFailedError:
                            unreadable.add(topic)
                            del waiting[partition]
                            continue
                        _check(error, topic)
                        aborted = _aborted_transactions(answer, rest)
                        time_ms, after = _first_append(rest[-1], aborted, waiting[partition])
                        if time_ms is not None:
                            found[partition] = time_ms
                        if time_ms is not None or (partition == first and after == waiting[partition]):
                            del waiting[partition]
                        else:
                            waiting[partition] = after
        return found, unreadable

    async def time_ms(self) -> int | None:
        """Return the cluster's time, epoch milliseconds; None if it does not report it (no KRaft, or before 3.3).

        The answer of KRaft's leader to DescribeQuorum holds the time of each replica's last fetch, and the present time
        for the leader itself (`LeaderState.describeReplicaState` in Apache Kafka, KIP-836).

        Raises:
            KafkaError: Kafka does not answer, or this user may not describe the cluster.
        """
        try:
            answer = await self._send(DescribeQuorum())
        except (IncompatibleBrokerVersion, NotImplementedError):
            return None
        _check(answer.error_code)
        for _topic, partitions, _ in answer.topics:
            for _partition, error, leader, _epoch, _high, voters, _observers, _ in partitions:
                _check(error)
                times = [caught_up_ms for replica, _end, _fetch_ms, caught_up_ms, _ in voters if replica == leader]
                return times[0] if times and times[0] > 0 else None
        return None

    async def _coordinator(self, group: str) -> int:
        if group not in self._coordinators:
            answer = await self._send(FindCoordinatorRequest(group, 0))
            _check(answer.error_code)
            self._coordinators[group] = answer.coordinator_id
        return self._coordinators[group]

    async def _send(self, request: Any, node: int | None = None) -> Any:
        return await self._client.send(self._client.get_random_node() if node is None else node, request)

    def _by_leader(
        self, values: Mapping[TopicPartition, int], entry: Callable[[int, int], tuple[int, ...]]
    ) -> dict[int, list[tuple[str, list[tuple[int, ...]]]]]:
        """Return for each leader the topics with the entries of its partitions, as requests hold them."""
        found: dict[int, dict[str, list[tuple[int, ...]]]] = {}
        for partition, value in values.items():
            leader = self._client.cluster.leader_for_partition(partition)
            if leader is None or leader < 0:
                raise LeaderNotAvailableError(partition.topic)
            found.setdefault(leader, {}).setdefault(partition.topic, []).append(entry(partition.partition, value))
        return {leader: list(topics.items()) for leader, topics in found.items()}


def _check(error: int, *about: str) -> None:
    if error:
        raise for_code(error)(*about)


def _member(described: Sequence[Any], topics: Collection[str]) -> GroupMember:
    _id, client, host, _metadata, assignment = described
    partitions = sorted(each for each in assigned_partitions(assignment) if each.topic in topics)
    return GroupMember(client, host.removeprefix("/"), tuple(partitions))


def _first_append(raw: bytes, aborted: Iterable[tuple[int, int]], position: int) -> tuple[int | None, int]:
    """Return when the first batch that holds a committed record was appended; and where to read on if none does.

    Args:
        raw: the batches that were fetched, the last one perhaps incomplete.
        aborted: producer and first offset of the aborted transactions among them.
        position: where the fetch began.
    """
    begun = sorted(aborted, key=itemgetter(1))
    aborting: set[int] = set()
    for batch in _batches(raw):
        while begun and begun[0][1] <= batch.base_offset:
            aborting.add(begun.pop(0)[0])
        if batch.is_control_batch:  # transactions of a producer follow each other: this ends the aborted one
            aborting.discard(batch.producer_id)
        elif not (batch.is_transactional and batch.producer_id in aborting):
            return batch.max_timestamp, position
        position = batch.next_offset
    return None, position


def assigned_partitions(assignment: bytes) -> list[TopicPartition]:
    """Decode the assignment of a group's member; it is empty while the group rebalances."""
    return list(ConsumerProtocolMemberAssignment.decode(assignment).partitions()) if assignment else []


def _aborted_transactions(answer: Any, fields: Sequence[Any]) -> Sequence[tuple[int, int]]:
    """Return producer and first offset of the aborted transactions in a fetch's answer about one partition.

    `fields` are those after the high watermark.
    """
    return (fields[2] if answer.API_VERSION >= _WITH_PREFERRED_REPLICA else fields[-2]) or ()


def _batches(raw: bytes) -> Iterator[Any]:
    """Yield the batches that a fetch returned, without an incomplete one at the end."""
    records = MemoryRecords(raw)
    while records.has_next():
        yield records.next_batch()
