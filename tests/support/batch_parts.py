"""A batch loop on a consumer, a broker and a model in memory, whose steps a test lets go on one by one."""

import asyncio
from types import SimpleNamespace

from aiokafka import TopicPartition

from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.base.model import Question
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Acknowledged, Publisher
from sprat.processing.batch_loop import BatchLoop
from sprat.processing.batch_steps import BatchSteps
from sprat.processing.handler import Ask, Emit, Outcome
from sprat.processing.loop import LoopContext
from sprat.processing.outbox import Outbox
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
                plain(partition=partition.partition, offset=offset, key=b"%d" % offset) for offset in range(begin, stop)
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

    def malformed(self, rejected, topic):
        return Outcome(rejected=rejected)

    def receive(self, received):
        return Ask(Question("hi", "en"), "intent", "acme", ("k",))

    def oversized(self, received, emit):
        raise AssertionError("nothing is large")


class Answering(Handler):
    """Answers every record by itself, as a service without a model does."""

    def __init__(self):
        self.asked = []
        """The offsets."""

    def receive(self, received):
        self.asked.append(received.offset)
        event = Emit(TOPICS.feedback, received.key, f"{received.partition}-{received.offset}", received.message)
        return Outcome((event,))


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
        self.stores = 0
        self.unstored = {}
        self.looked_up = []
        self.cached = set()
        self.cache_failures = []
        self.storing = asyncio.Event()
        self.storing.set()

    def prepare(self, item, ask):
        item.ask, item.tokens = ask, 1

    def begins_at_once(self, records):
        return True

    async def begin(self, items):
        for item in items:
            if item.outcome is None and name_of(item.record) in self.easy:
                answered(item)

    async def look_up(self, items):
        await asyncio.sleep(0)
        self.looked_up += [name_of(item.record) for item in items]
        if self.cache_failures and (failure := self.cache_failures.pop(0)) is not None:
            raise failure
        for item in items:
            item.cache_s = 0.0
            if name_of(item.record) in self.cached:
                answered(item)

    async def finish(self, items):
        names = [name_of(item.record) for item in items]
        assert all(item.cache_s is not None for item in items), "the model is asked before the cache"
        self.happened.append(("model", *names))
        self.called.set()
        await self.open.wait()
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        for item in items:
            answered(item)
        self.unstored |= dict.fromkeys(names)

    async def store(self):
        answers, self.unstored = self.unstored, {}
        self.stores += 1
        await self.storing.wait()
        self.stored += answers


def answered(item):
    event = Emit(TOPICS.feedback, item.record.key, name_of(item.record), item.received.message)
    item.outcome = Outcome((event,))


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def batch_parts():
    """Return a batch loop with everything that it works with, and what has happened."""
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
    loop = BatchLoop(BatchSteps(context, Handler(), model), consumer.poll)
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
