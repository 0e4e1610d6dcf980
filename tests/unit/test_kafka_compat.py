"""The private parts of aiokafka and FastStream exist, and what relies on them works."""

import asyncio
import struct
from importlib.metadata import requires, version
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupLoadInProgressError, KafkaError, NotCoordinatorForGroupError
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchResponse_v3
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest
from aiokafka.record import MemoryRecords
from aiokafka.record.util import calc_crc32c
from packaging.requirements import Requirement

from sprat.base.channels import Channels
from sprat.base.settings import KafkaSettings
from sprat.kafka import bounded_records, compat, group_coordinator
from sprat.kafka.cluster import assigned_partitions
from sprat.kafka.consumer import make_broker, subscribe
from sprat.kafka.requests import DescribeQuorum, DescribeQuorumResponse
from sprat_contracts import TextSubmitted
from support.stream import batch_builder

NAME = b"\xffplan\xe4"


@pytest.mark.parametrize("library", ["aiokafka", "faststream"])
def test_versions_with_other_private_parts_are_not_installed(library: str) -> None:
    (requirement,) = [
        each for each in map(Requirement, requires("sprat") or ()) if each.name == library and each.marker is None
    ]
    assert version(library) in requirement.specifier
    major, minor = map(int, version(library).split(".")[:2])
    assert f"{major}.{minor + 1}.0" not in requirement.specifier


def raw_batch(name: bytes) -> bytes:
    """A batch of one record with one header of this name, as librdkafka can write it."""
    builder = batch_builder()
    builder.append(0, 1, b"key", b"value", [("x" * len(name), b"content")])
    batch = bytearray(builder.build())
    at = bytes(batch).index(b"x" * len(name))
    batch[at : at + len(name)] = name
    struct.pack_into(">I", batch, 17, calc_crc32c(bytes(batch[21:])))
    return bytes(batch)


class AnsweringClient:
    """A client whose broker answers any request so."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def send(self, *_: object, **__: object) -> object:
        return self.answer


def coordinator(kind: type[GroupCoordinator], error: type[KafkaError]) -> GroupCoordinator:
    """Return a coordinator whose broker answers with an error for the whole group."""
    made = kind.__new__(kind)
    made.group_id, made.coordinator_id, made._coordinator_dead_fut = "g", 1, asyncio.get_running_loop().create_future()
    made._client = AnsweringClient(OffsetFetchResponse_v3(0, [], error.errno))
    return made


@pytest.mark.parametrize("error", [GroupLoadInProgressError, NotCoordinatorForGroupError])
async def test_a_group_whose_offsets_are_loaded_is_not_a_new_one(error: type[KafkaError]) -> None:
    asked = coordinator(group_coordinator.CheckedGroupCoordinator, error)
    with pytest.raises(error) as raised:
        await asked._do_fetch_commit_offsets([TopicPartition("t", 0)])
    assert raised.value.retriable
    assert (asked.coordinator_id is None) == (error is NotCoordinatorForGroupError)


@pytest.mark.parametrize("name", [None, "static"], ids=["dynamic", "static"])
async def test_the_id_of_a_member_is_noted_until_it_leaves_unless_it_is_static(name, monkeypatch) -> None:
    noted: list[tuple[str, str | None]] = []
    monkeypatch.setattr(group_coordinator.CheckedGroupCoordinator, "note", lambda *member: noted.append(member))
    member = coordinator(group_coordinator.CheckedGroupCoordinator, GroupLoadInProgressError)
    member._group_instance_id = name
    for answer in ("", "m"):
        member._client = AnsweringClient(SimpleNamespace(member_id=answer, error_code=79))
        await member._send_req(JoinGroupRequest("g", 1, 1, "", name, "consumer", []))
    await member._send_req(LeaveGroupRequest("g", "m"))
    assert noted == ([("g", "m"), ("g", None)] if name is None else [])


OK, UNKNOWN, REBALANCE, NOT_COORDINATOR = 0, 25, 27, 16


@pytest.mark.parametrize(
    ("answers", "after_s", "taken"),
    [
        ([OK, UNKNOWN], 5, True),
        ([OK, REBALANCE, UNKNOWN], 5, True),
        ([OK, UNKNOWN], 11, False),
        ([UNKNOWN], 0, False),
        ([NOT_COORDINATOR, UNKNOWN], 0, False),
        ([OK, NOT_COORDINATOR], 5, False),
    ],
    ids=[
        "soon after it was known",
        "in a rebalance",
        "when its session may have ended",
        "of a former life",
        "never known",
        "another error",
    ],
)
@pytest.mark.parametrize("request_type", [HeartbeatRequest, OffsetCommitRequest])
async def test_a_static_member_that_a_broker_forgets_within_its_session_has_lost_its_name(
    answers, after_s, taken, request_type, monkeypatch
) -> None:
    names: list[str] = []
    now = [100.0]
    monkeypatch.setattr(group_coordinator.CheckedGroupCoordinator, "name_taken", names.append)
    monkeypatch.setattr(group_coordinator.time, "monotonic", lambda: now[0])
    member = coordinator(group_coordinator.CheckedGroupCoordinator, GroupLoadInProgressError)
    member._group_instance_id, member._session_timeout_ms = "one", 10_000
    request = request_type("g", 1, "m", *([-1, []] if request_type is OffsetCommitRequest else []))
    for error in answers:
        now[0] += after_s if error == answers[-1] else 0
        member._client = AnsweringClient(SimpleNamespace(error_code=error, topics=[("t", [(0, error)])]))
        await member._send_req(request)
    assert names == (["one"] if taken else [])


async def test_aiokafka_still_takes_it_for_a_new_one() -> None:
    """Once it does not, the check can go."""
    asked = coordinator(GroupCoordinator, GroupLoadInProgressError)
    assert await asked._do_fetch_commit_offsets([TopicPartition("t", 0)]) == {}


async def test_the_consumers_of_a_process_use_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "GroupCoordinator", GroupCoordinator)
    group_coordinator.install_group_checks()
    assert consumer_module.GroupCoordinator is group_coordinator.CheckedGroupCoordinator
    assert "GroupCoordinator" in AIOKafkaConsumer.start.__code__.co_names


def test_header_names_of_any_bytes_are_read_without_loss() -> None:
    (record,) = bounded_records.BoundedMemoryRecords(raw_batch(NAME)).next_batch()
    ((name, value),) = record.headers
    assert name.encode("utf-8", "surrogateescape") == NAME
    assert (record.key, record.value, value) == (b"key", b"value", b"content")


def test_aiokafkas_own_reader_still_fails_on_them() -> None:
    """Once it does not, the tolerant reader can go."""
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(raw_batch(NAME)).next_batch())


def test_header_names_in_utf_8_are_read_as_before() -> None:
    (record,) = bounded_records.BoundedMemoryRecords(raw_batch(b"plan\xc3\xa4")).next_batch()
    assert list(record.headers) == [("planä", b"content")]


def test_the_fetchers_of_a_process_use_the_bounded_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MemoryRecords", fetcher.MemoryRecords)
    bounded_records.install_bounded_records()
    assert fetcher.MemoryRecords is bounded_records.BoundedMemoryRecords
    assert "MemoryRecords" in fetcher.Fetcher._proc_fetch_request.__code__.co_names


async def test_the_end_of_a_fetch_is_seen() -> None:
    assert "_fetcher" in AIOKafkaConsumer.start.__code__.co_names
    assert "_fetch_task" in fetcher.Fetcher.__init__.__code__.co_names
    task = asyncio.create_task(asyncio.Event().wait())
    consumer = SimpleNamespace(_fetcher=SimpleNamespace(_fetch_task=task))
    assert not compat.fetch_has_ended(consumer)
    task.cancel()
    await asyncio.wait([task])
    assert compat.fetch_has_ended(consumer)
    assert not compat.fetch_has_ended(SimpleNamespace(_fetcher=None)), "not started yet"


async def test_a_subscriber_of_faststream_has_tasks_and_their_end_is_seen() -> None:
    async def ignore(records: object) -> None:
        pass

    channels = Channels("test", "", {"texts": TextSubmitted}, {})
    subscriber = subscribe(make_broker(KafkaSettings(), "test"), channels, "group", ignore, None, KafkaSettings())
    assert not compat.consume_loop_has_ended(subscriber), "not started yet"
    task = asyncio.create_task(asyncio.Event().wait())
    subscriber.tasks.append(task)
    assert not compat.consume_loop_has_ended(subscriber)
    task.cancel()
    await asyncio.wait([task])
    assert compat.consume_loop_has_ended(subscriber)


async def test_polls_and_commits_of_one_consumer_are_wrapped() -> None:
    happened = []

    class Consumer:
        async def getmany(self, *partitions, timeout_ms):
            return {"polled": timeout_ms}

        async def commit(self, offsets):
            happened.append(offsets)

    def noting(call):
        async def noted(*arguments, **options):
            happened.append("before")
            return await call(*arguments, **options)

        return noted

    consumer = Consumer()
    compat.wrap_polls(consumer, noting)
    compat.wrap_commits(consumer, noting)
    assert await consumer.getmany(timeout_ms=7) == {"polled": 7}
    await consumer.commit({"a": 1})
    assert happened == ["before", "before", {"a": 1}]


def test_the_request_for_the_quorum_is_encoded_as_the_protocol_defines_version_1() -> None:
    request = DescribeQuorum().prepare({DescribeQuorum.API_KEY: (0, 1)})
    assert (request.API_KEY, request.API_VERSION) == (55, 1)
    assert request.encode() == b"\x02\x13__cluster_metadata\x02" + bytes(4) + bytes(3)


def test_the_answer_about_the_quorum_is_decoded() -> None:
    voter = struct.pack(">iqqqb", 3, 10, 1_000, 2_000, 0)
    partition = struct.pack(">ihiiq", 0, 0, 3, 5, 10) + b"\x02" + voter + b"\x01" + b"\0"
    answer = DescribeQuorumResponse.decode(bytes(2) + b"\x02\x13__cluster_metadata\x02" + partition + b"\0" + b"\0")
    ((topic, ((number, error_code, leader, _epoch, _high, voters, observers, _),), _),) = answer.topics
    assert (answer.error_code, topic, number, error_code, leader) == (0, "__cluster_metadata", 0, 0, 3)
    assert (voters, observers) == ([(3, 10, 1_000, 2_000, {})], [])


def test_the_client_that_sends_it_has_the_methods_that_it_is_used_with() -> None:
    assert all(hasattr(AIOKafkaClient, name) for name in ("bootstrap", "get_random_node", "ready", "send", "close"))


def test_the_partitions_assigned_to_a_member_are_decoded() -> None:
    assignment = ConsumerProtocolMemberAssignment(0, [("texts", [0, 2])], b"").encode()
    assert assigned_partitions(assignment) == [TopicPartition("texts", 0), TopicPartition("texts", 2)]
    assert assigned_partitions(b"") == []
