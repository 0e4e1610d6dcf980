"""The batch loop of a model that was withdrawn: what it passes over, what it holds, and when it gives up."""

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from sprat.base.errors import Fatal, Retryable
from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.processing.batch_loop import BatchLoop
from sprat.processing.batch_steps import BatchSteps
from sprat.processing.handler import Outcome
from sprat.processing.loop import LoopContext
from sprat.telemetry.tracing import Tracing
from sprat_contracts import TextSubmitted
from support.stream import SIGNATURES

TEXTS = TopicPartition("mine.texts.v1", 0)


class Clock:
    """Time that goes on when it is slept, or told to."""

    def __init__(self):
        self.now = 1_000.0
        self.slept = []

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


class Consumer:
    def __init__(self):
        self.committed = []
        self.sought = []

    async def commit(self, offsets):
        self.committed.append(offsets)

    def seek(self, partition, offset):
        self.sought.append((partition, offset))

    def assignment(self):
        return frozenset({TEXTS})


class Handler:
    """Skips everything, and notes what it is asked."""

    def __init__(self):
        self.asked = []

    def message_type(self, topic):
        return TextSubmitted

    def receive(self, received):
        self.asked.append(received.offset)
        return Outcome(skipped="older")

    def oversized(self, received, emit):
        raise AssertionError("nothing is published")


class Outbox:
    """Fails as often as it is told to."""

    def __init__(self):
        self.failures = 0
        self.published = []

    async def publish(self, items, shrink):
        if self.failures:
            self.failures -= 1
            raise Retryable("not acknowledged")
        self.published += [item.record.offset for item in items]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def loop(clock):
    """A loop whose service owns the texts before `loop.end`."""
    consumer, outbox = Consumer(), Outbox()
    owned = SimpleNamespace(end=100)
    handler, failure = Handler(), Failure()
    context = LoopContext(
        outbox,
        lambda: consumer,
        Tracing(exporting=False),
        SIGNATURES,
        AdmissionControl(),
        failure,
        clock=clock.monotonic,
        sleep=clock.sleep,
    )
    loop = BatchLoop(BatchSteps(context, handler, owns=lambda record: record.offset < owned.end))
    return SimpleNamespace(
        handle=loop.handle,
        release=loop.release,
        held=loop.steps.held.items,
        failure=failure,
        handler=handler,
        consumer=consumer,
        outbox=outbox,
        owned=owned,
    )


def texts(*offsets):
    return [
        SimpleNamespace(
            topic=TEXTS.topic,
            partition=0,
            offset=offset,
            timestamp=1,
            key=None,
            value=b'{"text": "hello", "tasks": {"intent": {}}}',
            headers=(),
        )
        for offset in offsets
    ]


async def test_of_a_mixed_batch_the_own_part_alone_is_handled_and_committed(loop):
    loop.owned.end = 7
    await loop.handle(texts(5, 6, 7, 8))
    assert loop.handler.asked == loop.outbox.published == [5, 6]
    assert loop.consumer.committed == [{TEXTS: 7}]
    assert loop.consumer.sought == []


async def test_a_batch_of_which_nothing_is_its_own_is_passed_over_without_a_commit(loop):
    loop.owned.end = 5
    await loop.handle(texts(5, 6))
    assert loop.handler.asked == loop.outbox.published == loop.consumer.committed == loop.consumer.sought == []
    assert loop.failure.error is None


async def test_what_failed_is_sought_back_to_its_own_part_and_taken_up_where_it_was(loop):
    loop.owned.end = 7
    loop.outbox.failures = 1
    await loop.handle(texts(5, 6, 7))
    assert loop.consumer.sought == [(TEXTS, 5)]
    assert loop.consumer.committed == []
    await loop.handle(texts(5, 6, 7))
    assert loop.handler.asked == [5, 6], "what is held is not asked again"
    assert loop.consumer.committed == [{TEXTS: 7}]
    assert loop.held == {}


async def test_a_held_item_is_released_where_the_record_is_no_longer_its_own(loop):
    loop.outbox.failures = 1
    await loop.handle(texts(5, 6))
    assert len(loop.held) == 2
    loop.owned.end = 6
    await loop.handle(texts(5, 6))
    assert loop.held == {}
    assert loop.outbox.published == [5]
    assert loop.consumer.committed == [{TEXTS: 6}]


@pytest.mark.parametrize("between", [(200, 201), ()], ids=["all passed over", "nothing at all"])
async def test_batches_of_which_nothing_is_its_own_end_a_failure(loop, clock, between):
    loop.outbox.failures = 6
    for _ in range(5):
        await loop.handle(texts(5))
    grown = clock.slept[-1]
    loop.owned.end = 5
    await loop.handle(texts(5))  # withdrawn meanwhile: it is released
    loop.owned.end = 100
    await loop.handle(texts(*between))
    clock.now += 301
    await loop.handle(texts(6))
    assert loop.failure.error is None, "what failed 300 s ago is nobody's concern any more"
    assert clock.slept[-1] < 0.11 < grown, "and the pauses begin again"


async def test_batches_of_which_nothing_is_its_own_end_no_failure_of_what_is_held(loop, clock):
    loop.outbox.failures = 2
    await loop.handle(texts(5))
    await loop.handle(texts(200, 201))
    clock.now += 301
    await loop.handle(texts(5))
    assert isinstance(loop.failure.error, Fatal)


async def test_a_failure_that_lasts_ends_the_process(loop, clock):
    loop.outbox.failures = 2
    await loop.handle(texts(5))
    clock.now += 301
    await loop.handle(texts(5))
    assert isinstance(loop.failure.error, Fatal)
    assert "no success for 300 s" in str(loop.failure.error)


async def test_nothing_is_shown_as_held_after_the_partitions_are_revoked(loop, metrics):
    loop.outbox.failures = 1
    await loop.handle(texts(5, 6))
    assert metrics.value("sprat.records.held") == 2
    await loop.release()
    assert metrics.value("sprat.records.held") == 0
