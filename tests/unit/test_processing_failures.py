"""A failure in a step of the batch loop stops all that would follow, and nothing is lost."""

import asyncio
from dataclasses import replace

import pytest
from aiokafka.errors import KafkaTimeoutError

from sprat.base.errors import Fatal, Retryable
from sprat.kafka.publisher import NotAcknowledged
from sprat.processing.batch_steps import Refresh
from support.batch_parts import (
    ONE,
    TWO,
    batch_parts,
    begun,
    turns,
    two_in_progress,
)
from support.panics import PanicException


@pytest.fixture
def parts():
    return batch_parts()


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
    parts.loop.steps.refresh = Refresh(failing_refresh)
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


def refused(parts, step, error):
    """Let a step of the loop fail once."""

    async def fail(*_):
        raise error

    match step:
        case "refresh":
            parts.loop.steps.refresh = Refresh(fail)
        case "look up":
            parts.model.cache_failures = [error]
        case "infer":
            parts.model.failures = [error]
        case "publish":
            parts.broker.failures = [error]
        case "commit":
            parts.consumer.failures = [error]
        case "store":
            parts.model.store = fail


@pytest.mark.parametrize("error", [PanicException(), asyncio.CancelledError()], ids=["panic", "a library's own cancel"])
@pytest.mark.parametrize("step", ["refresh", "look up", "infer", "publish", "commit", "store"])
async def test_what_is_no_exception_stops_the_service_before_anything_later_is_committed(parts, step, error):
    """FastStream swallows some of it and polls again after the rest: the positions have moved on."""
    parts.consumer.arrive(one=1)
    refused(parts, step, error)
    await asyncio.wait_for(asyncio.gather(await begun(parts), return_exceptions=True), 5)
    assert type(parts.failure.error) is type(error)
    assert parts.admission.in_progress == 0
    parts.admission.open()
    parts.consumer.arrive(one=1)
    await (await begun(parts))
    assert parts.consumer.committed[ONE] == 0


async def test_a_panic_behind_a_retryable_failure_stops_the_service(parts):
    handling = await two_in_progress(parts)
    parts.broker.failures = [NotAcknowledged((0,), "KafkaTimeoutError")]
    parts.model.failures = [PanicException()]
    parts.broker.open.set()
    await turns()
    parts.model.open.set()
    await asyncio.gather(handling, return_exceptions=True)
    assert isinstance(parts.failure.error, PanicException)
    assert parts.consumer.committed == {ONE: 0, TWO: 0}


async def test_a_stop_that_cancels_the_loop_is_no_failure(parts):
    handling = await two_in_progress(parts)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert parts.failure.error is None
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
    parts.loop.steps.context = replace(parts.loop.steps.context, budget=Budget(1))
    handling = await two_in_progress(parts)
    parts.broker.open.set()
    parts.model.open.set()
    await handling
    assert parts.consumer.committed == {ONE: 1, TWO: 0}
    assert parts.broker.taken == ["1-0"]
    assert isinstance(parts.failure.error, Fatal)


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
