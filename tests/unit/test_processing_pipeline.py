"""The steps of the batch loop, beside each other: a key keeps its order, and a failure stops all that would follow."""

import asyncio
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaTimeoutError

from sprat.errors import Fatal, Retryable
from sprat.kafka.publisher import Acknowledged, NotAcknowledged, Publisher
from sprat.lifecycle import AdmissionControl, Failure
from sprat.model import Question
from sprat.processing.batch_loop import COMMIT_EVERY_S, BatchLoop
from sprat.processing.handler import Ask, Emit, Outcome
from sprat.processing.loop import LoopContext
from sprat.processing.outbox import Outbox
from sprat.retry import Deadline
from sprat.settings import KafkaSettings
from sprat.telemetry.tracing import Tracing
from sprat_contracts import TextSubmitted, Topics
from support.stream import SIGNATURES
from support.wire_records import plain

TOPICS = Topics()
ONE, TWO = TopicPartition(TOPICS.texts, 1), TopicPartition(TOPICS.texts, 2)


def name_of(record):
    """Return the name of a record in these tests."""
    return f"{record.partition}-{record.offset}"


class Consumer:
    """A consumer of two partitions: a poll returns the next records of each and moves the positions on."""

    def __init__(self, happened):
        self.happened = happened
        self.records = {ONE: 0, TWO: 0}
        """How many records each partition has."""
        self.positions = {ONE: 0, TWO: 0}
        self.committed = {ONE: 0, TWO: 0}
        self.failures = []
        self.most = 4
        self.keys = 1_000_000
        """How many different keys the records of a partition have."""
        self.polls = 0
        self._arrived = asyncio.Event()

    def arrive(self, **counts):
        for name, count in counts.items():
            self.records[{"one": ONE, "two": TWO}[name]] += count
        self._arrived.set()

    async def poll(self):
        self.polls += 1
        while not (found := self._next()):
            self._arrived.clear()
            await self._arrived.wait()
        return found

    def _next(self):
        found = []
        for partition, end in self.records.items():
            begin = self.positions[partition]
            stop = min(end, begin + self.most)
            found += [
                plain(partition=partition.partition, offset=offset, key=b"%d" % (offset % self.keys))
                for offset in range(begin, stop)
            ]
            self.positions[partition] = stop
        return found

    async def commit(self, offsets):
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.happened.append(("commit", {partition.partition: offset for partition, offset in offsets.items()}))
        self.committed |= offsets

    def seek(self, partition, offset):
        self.happened.append(("seek", partition.partition, offset))
        self.positions[partition] = offset
        self._arrived.set()

    def assignment(self):
        return frozenset(self.records)


class Broker(Publisher):
    """Acknowledges records while `open` is set; a failure of `failures` refuses a call."""

    def __init__(self, happened):
        super().__init__(KafkaSettings(bootstrap="127.0.0.1:1", prefix="sprat"), "test")
        self.happened = happened
        self.taken = []
        """The names of all acknowledged records."""
        self.open = asyncio.Event()
        self.open.set()
        self.called = asyncio.Event()
        self.failures = []

    async def publish(self, records, hold_s=None):
        names = [dict(record.headers)["ce_id"].decode() for record in records]
        self.called.set()
        await turns(3)  # an acknowledgement takes longer than to poll what has come
        await self.open.wait()
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        self.happened.append(("acknowledged", *names))
        self.taken += names
        return [Acknowledged(0, 0, 0) for _ in records]


class Handler:
    def message_type(self, topic):
        return TextSubmitted

    def malformed(self, rejected):
        return Outcome(rejected=rejected)

    def receive(self, received):
        return Ask(Question("hi", "en"), "intent", "acme", ("k",))

    def oversized(self, received, emit):
        raise AssertionError("nothing is large")


class Model:
    """Answers while `open` is set; its first stage answers the records named in `easy` at once."""

    def __init__(self, happened):
        self.happened = happened
        self.open = asyncio.Event()
        self.open.set()
        self.called = asyncio.Event()
        self.failures = []
        self.easy = set()
        self.stored = []
        self.storing = asyncio.Event()
        self.storing.set()

    def prepare(self, item, ask):
        item.ask, item.tokens = ask, 1

    async def begin(self, items):
        for item in items:
            if item.outcome is None and name_of(item.record) in self.easy:
                answered(item)

    async def finish(self, items):
        names = [name_of(item.record) for item in items]
        self.happened.append(("model", *names))
        self.called.set()
        await self.open.wait()
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        for item in items:
            answered(item)
        return dict.fromkeys(names)

    async def store(self, answers):
        await self.storing.wait()
        self.stored += answers


def answered(item):
    event = Emit(TOPICS.feedback, item.record.key, name_of(item.record), item.received.message)
    item.outcome = Outcome((event,))


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def parts():
    happened = []
    consumer, broker, model, admission, failure, clock = (
        Consumer(happened),
        Broker(happened),
        Model(happened),
        AdmissionControl(),
        Failure(),
        Clock(),
    )

    async def sleep(seconds):
        await turns(20)  # what is in progress ends meanwhile
        clock.now += seconds

    context = LoopContext(
        Outbox("intent", "1", TOPICS, broker, SIGNATURES),
        lambda: consumer,
        Tracing(exporting=False),
        SIGNATURES,
        admission,
        failure,
        clock=clock,
        sleep=sleep,
    )
    loop = BatchLoop(context, Handler(), model, poll=consumer.poll)
    return SimpleNamespace(
        loop=loop,
        happened=happened,
        consumer=consumer,
        broker=broker,
        model=model,
        admission=admission,
        failure=failure,
        clock=clock,
    )


async def begun(parts):
    """Poll a batch and begin to handle it, as FastStream does."""
    return asyncio.create_task(parts.loop.handle(await parts.consumer.poll()))


async def consume(parts):
    """Poll and handle, as FastStream does."""
    while True:
        await parts.loop.handle(await parts.consumer.poll())


async def turns(count=30):
    """Let everything go on that can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def two_in_progress(parts):
    """Return the task of a loop that publishes record 0 of partition 1, while those behind it are with the model."""
    parts.consumer.arrive(one=1)
    parts.broker.open.clear()
    handling = await begun(parts)
    await parts.broker.called.wait()
    parts.model.called.clear()
    parts.model.open.clear()
    parts.consumer.arrive(one=1, two=1)
    await parts.model.called.wait()
    return handling


async def test_the_next_records_are_with_the_model_while_those_before_are_published(parts):
    handling = await two_in_progress(parts)
    assert parts.happened == [("model", "1-0"), ("model", "1-1", "2-0")]
    assert parts.admission.in_progress == 1
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert parts.happened[2:] == [
        ("acknowledged", "1-0"),
        ("commit", {1: 1}),
        ("acknowledged", "1-1", "2-0"),
        ("commit", {1: 2, 2: 1}),
    ]
    assert parts.admission.in_progress == 0


async def test_what_the_first_stage_answers_is_published_while_others_are_with_the_model(parts):
    parts.model.easy = {"1-1", "2-0"}
    parts.model.open.clear()
    parts.consumer.arrive(one=3, two=1)
    handling = await begun(parts)
    await turns()
    assert parts.happened == [("model", "1-0", "1-2"), ("acknowledged", "1-1", "2-0"), ("commit", {2: 1})]
    parts.model.open.set()
    await handling
    assert parts.happened[3:] == [("acknowledged", "1-0", "1-2"), ("commit", {1: 3})]


async def test_a_record_does_not_overtake_another_of_its_key(parts):
    parts.consumer.keys = 2
    parts.model.easy = {"1-1", "1-2", "2-0"}
    parts.model.open.clear()
    parts.consumer.arrive(one=3, two=1)
    handling = await begun(parts)
    await turns()
    assert parts.broker.taken == ["1-1", "2-0"], "1-2 has the key of 1-0; keys of partitions are their own"
    parts.model.open.set()
    await handling
    assert parts.broker.taken == ["1-1", "2-0", "1-0", "1-2"]


async def test_records_without_a_key_have_no_order(parts):
    parts.model.easy = {"1-1"}
    parts.model.open.clear()
    handling = asyncio.create_task(
        parts.loop.handle([plain(partition=1, offset=0, key=None), plain(partition=1, offset=1, key=None)])
    )
    await turns()
    assert parts.broker.taken == ["1-1"]
    parts.model.open.set()
    await handling


async def test_one_call_to_the_broker_at_a_time_and_those_behind_it_together(parts):
    handling = await two_in_progress(parts)
    parts.model.open.set()
    parts.consumer.arrive(one=1)
    await turns()
    assert parts.happened == [("model", "1-0"), ("model", "1-1", "2-0"), ("model", "1-2")]
    parts.broker.open.set()
    await handling
    assert [each for each in parts.happened if each[0] == "acknowledged"] == [
        ("acknowledged", "1-0"),
        ("acknowledged", "1-1", "2-0", "1-2"),
    ]
    assert parts.consumer.committed == {ONE: 3, TWO: 1}


async def test_no_more_records_are_polled_while_so_many_are_in_progress(parts, monkeypatch):
    monkeypatch.setattr("sprat.processing.batch_loop.MOST_RECORDS", 6)
    parts.model.open.clear()
    parts.consumer.arrive(one=9)
    handling = await begun(parts)
    await turns()
    assert parts.consumer.positions[ONE] == 8, "two polls of four"
    parts.model.open.set()
    await handling
    assert parts.consumer.committed[ONE] == 9


async def test_what_the_model_answered_is_cached_beside_the_next_records(parts):
    parts.model.storing.clear()
    parts.consumer.arrive(one=1)
    handling = await begun(parts)
    await turns()
    parts.consumer.arrive(one=1)
    await turns(60)
    assert parts.consumer.committed[ONE] == 2, "nobody waits for the cache"
    assert not handling.done()
    parts.model.storing.set()
    await handling
    assert parts.model.stored == ["1-0", "1-1"]


async def test_a_part_that_fails_stops_the_one_behind_it_and_both_are_read_again(parts):
    handling = await two_in_progress(parts)
    parts.broker.failures = [NotAcknowledged((0,), "KafkaTimeoutError")]
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert parts.happened[2:] == [("seek", 1, 0), ("seek", 2, 0)]
    assert parts.broker.taken == []
    del parts.happened[:]
    await (await begun(parts))
    assert parts.happened == [("acknowledged", "1-0", "1-1", "2-0"), ("commit", {1: 2, 2: 1})], "without the model"


async def test_a_part_whose_model_fails_does_not_take_the_one_before_with_it(parts):
    handling = await two_in_progress(parts)
    parts.model.failures = [Retryable("away")]
    parts.model.open.set()
    await turns()
    assert parts.happened[2:] == [], "what is being published is waited for"
    parts.broker.open.set()
    await handling
    assert parts.happened[2:] == [("acknowledged", "1-0"), ("commit", {1: 1}), ("seek", 1, 1), ("seek", 2, 0)]


async def test_records_that_cannot_be_begun_are_read_again_and_those_before_are_committed(parts):
    parts.consumer.arrive(one=1)
    parts.broker.open.clear()
    handling = await begun(parts)
    await parts.broker.called.wait()
    parts.loop.refresh = failing_refresh
    parts.consumer.arrive(one=1, two=1)
    await turns()
    parts.broker.open.set()
    await handling
    assert parts.happened[1:] == [("acknowledged", "1-0"), ("commit", {1: 1}), ("seek", 1, 1), ("seek", 2, 0)]


async def failing_refresh():
    raise Retryable("away")


async def test_a_failed_commit_is_made_again_after_both_are_read_again_and_nothing_is_sent_twice(parts):
    handling = await two_in_progress(parts)
    parts.consumer.failures = [KafkaTimeoutError()] * 2
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert parts.happened[-2:] == [("seek", 1, 0), ("seek", 2, 0)]
    await (await begun(parts))
    assert parts.broker.taken == ["1-0", "1-1", "2-0"]
    assert parts.consumer.committed == {ONE: 2, TWO: 1}


async def test_after_a_fatal_error_nothing_behind_it_is_published_or_committed(parts):
    handling = await two_in_progress(parts)
    parts.broker.failures = [Fatal("denied")]
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert parts.happened[2:] == []
    assert isinstance(parts.failure.error, Fatal)
    parts.admission.open()
    assert not parts.admission.is_open
    assert parts.admission.in_progress == 0


class Budget:
    """Is spent after so many records."""

    def __init__(self, left):
        self._left = left

    def record(self, *, own_fault):
        self._left -= 1
        if self._left < 0:
            raise Fatal("own fault")


async def test_a_budget_that_is_spent_by_the_second_part_keeps_the_first(parts):
    parts.loop.context = replace(parts.loop.context, budget=Budget(1))
    handling = await two_in_progress(parts)
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert parts.consumer.committed == {ONE: 1, TWO: 0}
    assert parts.broker.taken == ["1-0"]
    assert isinstance(parts.failure.error, Fatal)


async def test_a_revoke_drains_both_parts_and_begins_no_third_one(parts):
    handling = await two_in_progress(parts)
    parts.admission.close()
    parts.consumer.arrive(one=5)
    assert not await parts.admission.drained(Deadline(0.01)), "both are in progress"
    polls = parts.consumer.polls
    parts.model.open.set()
    parts.broker.open.set()
    assert await parts.admission.drained(Deadline(1))
    assert parts.consumer.committed == {ONE: 2, TWO: 1}, "what is drained is committed"
    assert parts.consumer.polls == polls
    await handling


async def test_records_that_come_as_admission_closes_are_neither_handled_nor_committed(parts):
    parts.consumer.arrive(one=1)
    parts.broker.open.clear()
    handling = await begun(parts)
    await parts.broker.called.wait()
    parts.consumer.arrive(one=1)
    parts.admission.close()
    parts.broker.open.set()
    await handling
    assert parts.broker.taken == ["1-0"]
    assert parts.consumer.committed == {ONE: 1, TWO: 0}


async def test_a_revoke_that_does_not_wait_for_the_commit_lets_go_without_one(parts):
    handling = await two_in_progress(parts)
    parts.consumer.failures = [CommitFailedError(), CommitFailedError()]
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert parts.consumer.committed == {ONE: 0, TWO: 0}
    assert [each for each in parts.happened if each[0] == "seek"] == [], "the next owner reads the records again"
    assert parts.failure.error is None


async def test_commits_are_joined_and_the_first_and_the_last_wait_for_no_other_records(parts):
    parts.consumer.most = 1
    parts.consumer.arrive(one=4)
    await (await begun(parts))
    commits = [each[1] for each in parts.happened if each[0] == "commit"]
    assert commits == [{1: 1}, {1: 4}]


async def test_a_commit_waits_for_the_next_records_no_longer_than_its_limit(parts):
    publish = parts.broker.publish

    async def slow(records, hold_s=None):
        parts.clock.now += 0.6 * COMMIT_EVERY_S
        return await publish(records, hold_s)

    async def never(_seconds):
        await asyncio.Event().wait()

    parts.broker.publish = slow
    parts.loop.context = replace(parts.loop.context, sleep=never)
    consuming = asyncio.create_task(consume(parts))
    for _ in range(4):
        parts.consumer.arrive(one=1)
        await turns()
    assert len(parts.broker.taken) == 4
    commits = [each[1] for each in parts.happened if each[0] == "commit"]
    assert commits == [{1: 1}, {1: 3}], "the fourth waits"
    consuming.cancel()


async def test_a_commit_waits_for_nothing_once_admission_has_closed(parts):
    async def never(_seconds):
        await asyncio.Event().wait()

    parts.loop.context = replace(parts.loop.context, sleep=never)
    parts.consumer.most = 1
    parts.consumer.arrive(one=2)
    handling = await begun(parts)
    await turns(60)
    assert parts.consumer.committed[ONE] == 1
    parts.broker.open.clear()
    parts.consumer.arrive(one=1)
    await turns()
    parts.admission.close()
    parts.broker.open.set()
    await asyncio.wait_for(handling, 1)
    assert parts.consumer.committed[ONE] == 3


async def overtaken_as_admission_closes(parts):
    """Return the task of a loop in which 1-2 is published; 1-0 is with the model, 1-1 and 1-3 wait for it."""
    parts.model.easy = {"1-2"}
    parts.model.open.clear()
    parts.consumer.arrive(one=1)
    handling = await begun(parts)
    await parts.model.called.wait()
    parts.consumer.arrive(one=3)
    await turns()
    assert parts.broker.taken == ["1-2"]
    parts.admission.close()
    parts.model.open.set()
    return handling


async def test_after_admission_has_closed_the_model_answers_what_was_overtaken_and_nothing_else(parts):
    """The next owner of the partition would publish the records that have overtaken it again."""
    await (await overtaken_as_admission_closes(parts))
    assert parts.broker.taken == ["1-2", "1-0", "1-1"]
    assert parts.consumer.committed[ONE] == 3


async def test_after_admission_has_closed_the_model_is_not_asked_more_than_once_more(parts, monkeypatch):
    monkeypatch.setattr("sprat.processing.batch_loop.BATCH_TOKENS", 1)
    parts.consumer.most = 5
    parts.model.easy = {"1-3"}
    parts.model.open.clear()
    parts.consumer.arrive(one=4)
    handling = await begun(parts)
    await turns()
    assert parts.broker.taken == ["1-3"]
    parts.admission.close()
    parts.model.open.set()
    await handling
    assert parts.broker.taken == ["1-3", "1-0"], "two more do not fit"
    assert parts.consumer.committed[ONE] == 1


async def test_after_admission_has_closed_nothing_is_published_that_cannot_be_committed(parts):
    parts.model.easy = {"1-1"}
    parts.broker.open.clear()
    parts.consumer.arrive(two=1)
    parts.model.easy |= {"2-0"}
    handling = await begun(parts)
    await parts.broker.called.wait()
    parts.model.open.clear()
    parts.model.failures = [Retryable("away")]
    parts.consumer.arrive(one=2)
    await turns()
    parts.admission.close()
    parts.broker.open.set()
    await turns()
    assert parts.broker.taken == ["2-0"], "1-1 is behind 1-0, which the model still has"
    parts.model.open.set()
    await handling
    assert parts.broker.taken == ["2-0"]
    assert parts.consumer.committed == {ONE: 0, TWO: 1}


async def test_without_new_records_the_loop_returns_when_all_is_committed(parts):
    parts.consumer.arrive(one=2)
    await asyncio.wait_for(await begun(parts), 1)
    assert parts.consumer.committed == {ONE: 2, TWO: 0}
    parts.consumer.arrive(one=1)
    await asyncio.wait_for(await begun(parts), 1)
    assert parts.broker.taken == ["1-0", "1-1", "1-2"], "the poll that was ended took no records with it"


async def test_records_that_a_poll_returns_although_it_is_ended_are_handled(parts):
    parts.consumer.arrive(one=1)
    records = await parts.consumer.poll()

    async def late():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            parts.loop.poll = parts.consumer.poll
            return [plain(partition=1, offset=1, key=b"1")]

    parts.loop.poll = late
    await parts.loop.handle(records)
    assert parts.broker.taken == ["1-0", "1-1"]
    assert parts.consumer.committed[ONE] == 2


async def test_a_poll_that_fails_ends_no_publishing(parts):
    """Whoever watches the polls stops the process."""
    parts.consumer.arrive(one=1)
    records = await parts.consumer.poll()

    async def fail():
        raise KafkaTimeoutError

    parts.loop.poll = fail
    await parts.loop.handle(records)
    assert parts.consumer.committed == {ONE: 1, TWO: 0}
    assert parts.failure.error is None


async def test_a_stop_that_does_not_wait_ends_both_and_commits_nothing(parts):
    handling = await two_in_progress(parts)
    handling.cancel()
    await asyncio.gather(handling, return_exceptions=True)
    parts.broker.open.set()
    await turns()
    assert parts.consumer.committed == {ONE: 0, TWO: 0}
    assert parts.broker.taken == []
    assert parts.admission.in_progress == 0


async def test_work_that_goes_on_for_long_advances(parts):
    """The watchdog takes work that does not advance for stuck."""
    handling = await two_in_progress(parts)
    parts.admission.changed_at = 0.0
    parts.broker.open.set()
    await turns()
    assert parts.admission.changed_at > 0.0
    parts.admission.changed_at = 0.0
    parts.model.open.set()
    await handling
    assert parts.admission.changed_at > 0.0


class Trouble:
    """Delays every step of a loop at random, and lets some fail."""

    def __init__(self, parts, seed, *, revoking):
        self.chance = random.Random(seed)
        self._parts = parts
        self._revoking = revoking
        self._publish, self._commit, self._finish = parts.broker.publish, parts.consumer.commit, parts.model.finish
        parts.broker.publish, parts.consumer.commit, parts.model.finish = self.publish, self.commit, self.finish
        parts.consumer.most = self.chance.randint(1, 3)
        parts.consumer.keys = self.chance.choice((1, 2, 3, 1_000))
        parts.model.easy = {f"{place}-{n}" for place in (1, 2) for n in range(60) if self.chance.random() < 0.6}

    async def delay(self):
        await turns(self.chance.randrange(6))
        self._parts.clock.now += self.chance.choice((0.0, 0.03, 0.2))

    async def publish(self, records, hold_s=None):
        await self.delay()
        if self.chance.random() >= 0.25:
            return await self._publish(records)
        cut = self.chance.randrange(len(records))
        if cut:
            await self._publish(records[:cut])
        raise NotAcknowledged(tuple(range(cut, len(records))), "KafkaTimeoutError")

    async def commit(self, offsets):
        await self.delay()
        if self.chance.random() < 0.2:
            raise KafkaTimeoutError
        taken = set(self._parts.broker.taken)
        for partition, offset in offsets.items():
            assert {f"{partition.partition}-{n}" for n in range(offset)} <= taken, "committed before acknowledged"
            assert self._revoking or offset >= self._parts.consumer.committed[partition], "a commit never goes back"
        await self._commit(offsets)

    async def finish(self, items):
        await self.delay()
        if self.chance.random() < 0.1:
            raise Retryable("away")
        return await self._finish(items)

    async def revoke(self):
        """Take the partitions away and give them back, as a rebalance does."""
        await self.delay()
        self._parts.admission.close()
        assert await self._parts.admission.drained(Deadline(5))
        await self._parts.loop.release()
        self._parts.consumer.positions = dict(self._parts.consumer.committed)
        self._parts.admission.open()
        self._parts.consumer.arrive()


@pytest.mark.parametrize("revoking", [False, True], ids=["stable", "revoking"])
@pytest.mark.parametrize("seed", range(75))
async def test_whatever_fails_and_whenever_partitions_move_nothing_is_lost_or_committed_early(parts, seed, revoking):
    """Without a revoke, nothing is sent twice."""
    trouble, consumer = Trouble(parts, seed, revoking=revoking), parts.consumer

    consuming = asyncio.create_task(consume(parts))
    for _ in range(12):
        consumer.arrive(one=trouble.chance.randrange(4), two=trouble.chance.randrange(3))
        await trouble.delay()
        if revoking and trouble.chance.random() < 0.3:
            await trouble.revoke()
    async with asyncio.timeout(10):
        while consumer.committed != consumer.records:
            await asyncio.sleep(0)
            assert parts.failure.error is None, parts.failure.error
            assert not consuming.done()
    consuming.cancel()
    expected = [f"{partition.partition}-{n}" for partition, end in consumer.records.items() for n in range(end)]
    assert set(parts.broker.taken) == set(expected)
    if not revoking:
        assert sorted(parts.broker.taken) == sorted(expected)
    assert_keys_in_order(parts.broker.taken, consumer.keys)


def assert_keys_in_order(taken, keys):
    """Check that what was published first of each record is in order, among the records of a key."""
    seen = {}
    for name in dict.fromkeys(taken):
        partition, offset = map(int, name.split("-"))
        key = partition, offset % keys
        assert seen.get(key, -1) < offset, f"{name} was published after a later record of its key"
        seen[key] = offset
