"""Which offsets may be committed while records finish out of order; and what is committed after a batch."""

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
)
from aiokafka.structs import OffsetAndMetadata, OffsetAndTimestamp
from hypothesis import given
from hypothesis import strategies as st

from sprat.base.errors import Fatal, Retryable
from sprat.kafka import offsets
from sprat.kafka.offsets import OffsetTracker, commit, next_offsets, seek_back, set_initial_offsets
from support.stream import settings_for
from support.wire_records import plain

FIRST, SECOND = TopicPartition("t", 0), TopicPartition("t", 1)


def tracker(*started: tuple[TopicPartition, int]) -> OffsetTracker:
    found = OffsetTracker()
    for partition, offset in started:
        found.start(partition, offset)
    return found


def test_an_unfinished_record_holds_back_those_behind_it_in_its_own_partition_alone() -> None:
    offsets = tracker((FIRST, 5), (FIRST, 6), (SECOND, 9))
    offsets.finish(FIRST, 6)
    offsets.finish(SECOND, 9)
    assert offsets.committable() == {SECOND: 10}
    offsets.finish(FIRST, 5)
    assert offsets.committable() == {FIRST: 7}


def test_what_was_given_once_is_not_given_again() -> None:
    offsets = tracker((FIRST, 5))
    offsets.finish(FIRST, 5)
    assert offsets.committable() == {FIRST: 6}
    assert offsets.committable() == {}


def test_after_a_clear_a_late_finish_counts_for_nothing_and_nothing_old_holds_back_the_new() -> None:
    offsets = tracker((FIRST, 5), (FIRST, 6))
    offsets.clear()
    offsets.finish(FIRST, 6)
    assert offsets.committable() == {}
    offsets.start(FIRST, 10)
    offsets.finish(FIRST, 10)
    assert offsets.committable() == {FIRST: 11}


@given(st.permutations(range(8)))
def test_only_what_is_finished_without_a_gap_is_committable(order: list[int]) -> None:
    offsets = tracker(*((FIRST, offset) for offset in range(8)))
    done: set[int] = set()
    committed = 0
    for offset in order:
        offsets.finish(FIRST, offset)
        done.add(offset)
        committed = offsets.committable().get(FIRST, committed)
        assert committed == next(n for n in range(9) if n not in done)


def test_the_offset_to_commit_is_the_next_one_of_each_partition_whatever_the_order() -> None:
    records = [plain(topic="t", partition=0, offset=6), plain(topic="t", partition=0, offset=5)]
    assert next_offsets([*records, plain(topic="t", partition=1, offset=0)]) == {FIRST: 7, SECOND: 1}


class Consumer:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.committed: list[dict[TopicPartition, int]] = []
        self.sought: list[tuple[TopicPartition, int]] = []

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.error is not None:
            raise self.error
        self.committed.append(offsets)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.sought.append((partition, offset))

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({FIRST})


async def test_a_commit_says_whether_the_partitions_are_still_ours() -> None:
    consumer = Consumer()
    assert await commit(consumer, {FIRST: 6})
    assert consumer.committed == [{FIRST: 6}]
    assert not await commit(Consumer(CommitFailedError()), {FIRST: 6})


async def test_a_revoked_partition_does_not_keep_the_others_from_being_committed() -> None:
    consumer = Consumer()
    assert await commit(consumer, {FIRST: 6, SECOND: 9})
    assert consumer.committed == [{FIRST: 6}]
    assert not await commit(consumer, {SECOND: 9})
    assert len(consumer.committed) == 1, "aiokafka takes no empty commit"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (CoordinatorNotAvailableError(), Retryable),
        (TimeoutError(), Retryable),
        (GroupAuthorizationFailedError("g"), Fatal),
    ],
)
async def test_a_commit_that_fails_is_tried_again_unless_it_is_not_allowed(error: Exception, raised: type) -> None:
    with pytest.raises(raised):
        await commit(Consumer(error), {FIRST: 6})


def test_seeking_goes_back_to_the_first_record_of_each_partition_that_is_still_ours() -> None:
    consumer = Consumer()
    places = [(0, 7), (0, 5), (0, 6), (1, 3)]
    seek_back(consumer, [plain(topic="t", partition=partition, offset=offset) for partition, offset in places])
    assert consumer.sought == [(FIRST, 5)]


class Admin:
    """Says what a broker says of a group: its errors in turn, then that both partitions have an offset."""

    def __init__(self, *errors: type[KafkaError]) -> None:
        self._errors = list(errors)

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def describe_topics(self, topics: list[str]):
        return [{"topic": topics[0], "error_code": 0, "partitions": [{"partition": 0}, {"partition": 1}]}]

    async def list_consumer_group_offsets(self, _: str):
        if self._errors:
            raise self._errors.pop(0)
        return {TopicPartition("t", number): OffsetAndMetadata(3, "") for number in range(2)}


async def test_a_coordinator_that_is_created_or_loads_its_groups_is_waited_for(monkeypatch) -> None:
    admin = Admin(GroupCoordinatorNotAvailableError, GroupLoadInProgressError)
    monkeypatch.setattr(offsets, "AIOKafkaAdminClient", lambda **_: admin)
    await set_initial_offsets(settings_for("h:1", "p").kafka, "p.intent.default", "t", 0)


async def test_a_coordinator_that_stays_away_ends_the_start(monkeypatch) -> None:
    admin = Admin(*[GroupCoordinatorNotAvailableError] * 9)
    monkeypatch.setattr(offsets, "AIOKafkaAdminClient", lambda **_: admin)
    kafka = settings_for("h:1", "p").kafka.model_copy(update={"give_up_s": 0.2})
    with pytest.raises(Fatal, match=r"group p\.intent\.default: GroupCoordinatorNotAvailableError"):
        await set_initial_offsets(kafka, "p.intent.default", "t", 0)


async def test_missing_rights_to_a_group_end_the_start_at_once(monkeypatch) -> None:
    admin = Admin(GroupAuthorizationFailedError)
    monkeypatch.setattr(offsets, "AIOKafkaAdminClient", lambda **_: admin)
    with pytest.raises(GroupAuthorizationFailedError):
        await set_initial_offsets(settings_for("h:1", "p").kafka, "p.intent.default", "t", 0)


class Joining:
    """A consumer of a new group; a text comes in between any two of its requests."""

    def __init__(self) -> None:
        self.end = 5
        self.committed: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def assign(self, partitions: list[TopicPartition]) -> None:
        pass

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        end, self.end = self.end, self.end + 1
        return dict.fromkeys(partitions, end)

    async def offsets_for_times(self, times: dict[TopicPartition, int]) -> dict[TopicPartition, OffsetAndTimestamp]:
        """Nothing is as late as asked for in the first partition."""
        self.end += 1
        return {
            partition: None if partition == FIRST else OffsetAndTimestamp(2, at_ms)
            for partition, at_ms in times.items()
        }

    async def commit(self, starts: dict[TopicPartition, int]) -> None:
        self.committed = starts


async def test_a_new_group_skips_no_text_that_comes_while_its_start_is_found(monkeypatch) -> None:
    consumer = Joining()

    async def both(*_: object) -> list[TopicPartition]:
        return [FIRST, SECOND]

    monkeypatch.setattr(offsets, "make_consumer", lambda *_, **__: consumer)
    monkeypatch.setattr(offsets, "_without_offset", both)
    await set_initial_offsets(settings_for("h:1", "p").kafka, "p.intent.default", "t", 1_000)
    assert consumer.committed == {FIRST: 5, SECOND: 2}
