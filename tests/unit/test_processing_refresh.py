"""What the handler knows of other services: before a batch, or beside the records that do not need it."""

import asyncio
import gc
from dataclasses import dataclass, field, replace

import pytest

from sprat.base.errors import Retryable
from sprat.processing.batch_steps import Refresh
from sprat.processing.handler import Outcome
from sprat_contracts import Record
from support.batch_parts import ONE, TWO, Answering, batch_parts, begun, consume, turns

WAITING = 1
"""The partition whose records a refresh precedes."""


@dataclass
class Reading:
    """A refresh that ends when a test lets it."""

    began: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list = field(default_factory=list)

    async def run(self):
        self.began += 1
        await self.ended.wait()
        if self.failures:
            raise self.failures.pop(0)


class Skipping(Answering):
    """Causes nothing, whatever is read."""

    def receive(self, received):
        self.asked.append(received.offset)
        return Outcome(skipped="served")


@pytest.fixture
def parts():
    made = batch_parts()
    made.reading, made.handler = Reading(), Answering()
    made.loop.steps.handler, made.loop.steps.inference = made.handler, None
    made.loop.steps.refresh = Refresh(made.reading.run, lambda: False, waiting("now"))
    return made


def waiting(need):
    """Let the records of the partition need a refresh."""
    return lambda received: need if received.partition == WAITING else "none"


async def test_records_that_need_no_refresh_are_published_and_committed_before_it_has_ended(parts):
    parts.consumer.arrive(one=1, two=1)
    handling = await begun(parts)
    await turns(60)
    assert parts.happened == [("acknowledged", "2-0"), ("commit", {2: 1})]
    parts.reading.ended.set()
    await handling
    assert parts.happened[2:] == [("acknowledged", "1-0"), ("commit", {1: 1})]


async def test_a_record_is_decided_on_after_a_refresh_that_began_when_it_was_there(parts):
    parts.consumer.arrive(one=1)
    consuming = asyncio.create_task(consume(parts))
    await turns()
    parts.consumer.arrive(one=2)
    await turns()
    assert (parts.reading.began, parts.handler.asked) == (1, [])
    first = parts.reading.ended
    parts.reading.ended = asyncio.Event()
    first.set()
    await turns()
    assert (parts.reading.began, parts.handler.asked) == (2, [0]), "those that came meanwhile wait for the next one"
    parts.reading.ended.set()
    await turns(60)
    assert (parts.reading.began, parts.handler.asked) == (2, [0, 1, 2])
    assert parts.consumer.committed[ONE] == 3
    consuming.cancel()


async def test_a_refresh_that_fails_lets_its_records_be_read_again_and_those_before_be_committed(parts):
    parts.reading.failures = [Retryable("away")]
    parts.reading.ended.set()
    parts.consumer.arrive(one=1, two=1)
    await (await begun(parts))
    assert ("seek", 1, 0) in parts.happened
    assert parts.consumer.committed[ONE] == 0
    await (await begun(parts))
    assert parts.consumer.committed == {ONE: 1, TWO: 1}
    assert parts.broker.taken == ["2-0", "1-0"]


async def test_after_an_attempt_that_failed_its_records_are_no_garbage_that_waits_to_be_collected(parts):
    async def late():
        try:
            async with asyncio.timeout(0.001):
                await parts.reading.ended.wait()
        except TimeoutError:
            raise Retryable("away") from None

    parts.loop.steps.refresh = Refresh(late, lambda: False, waiting("now"))
    gc.collect()
    gc.disable()
    try:
        before = _records_in_memory()
        parts.consumer.arrive(one=3)
        await (await begun(parts))
        assert ("seek", 1, 0) in parts.happened
        assert _records_in_memory() == before
    finally:
        gc.enable()


def _records_in_memory():
    return sum(isinstance(each, Record) for each in gc.get_objects())


async def test_a_record_that_waits_for_a_refresh_is_the_next_owners_after_a_revoke(parts):
    parts.consumer.arrive(one=1)
    handling = await begun(parts)
    await turns()
    parts.admission.close()
    parts.reading.failures = [Retryable("away")]
    parts.reading.ended.set()
    await handling
    assert parts.handler.asked == []
    assert parts.consumer.committed[ONE] == 0


async def test_a_refresh_that_is_due_comes_before_the_batch(parts):
    parts.loop.steps.refresh = Refresh(parts.reading.run)
    parts.consumer.arrive(two=1)
    handling = await begun(parts)
    await turns()
    assert (parts.reading.began, parts.handler.asked) == (1, [])
    parts.reading.ended.set()
    await handling
    assert parts.handler.asked == [0]


async def test_what_causes_nothing_is_committed_without_a_call_to_the_broker(parts):
    parts.loop.steps.handler = Skipping()
    parts.reading.ended.set()
    parts.consumer.arrive(one=1, two=1)
    await (await begun(parts))
    assert not parts.broker.called.is_set()
    assert parts.consumer.committed == {ONE: 1, TWO: 1}


async def test_records_for_whose_effects_nobody_waits_are_refreshed_together_with_the_next_commit(parts):
    parts.loop.steps.refresh = Refresh(parts.reading.run, lambda: False, waiting("soon"))
    parts.reading.ended.set()
    parts.consumer.arrive(two=1)
    await (await begun(parts))
    asleep, slept = asyncio.Event(), asyncio.Event()

    async def sleep(seconds):
        asleep.set()
        await slept.wait()
        parts.clock.now += seconds

    parts.loop.steps.context = replace(parts.loop.steps.context, sleep=sleep)
    parts.consumer.arrive(one=1)
    consuming = asyncio.create_task(consume(parts))
    await asleep.wait()
    parts.consumer.arrive(one=2)
    await turns()
    assert parts.reading.began == 0
    slept.set()
    await turns(90)
    assert (parts.reading.began, parts.consumer.committed[ONE]) == (1, 3)
    consuming.cancel()
