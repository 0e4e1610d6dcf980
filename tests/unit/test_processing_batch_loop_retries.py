"""The batch loop of a model that was withdrawn: what it passes over, what it holds, and when it gives up."""

from dataclasses import replace

import pytest

from sprat.base.errors import Fatal, Retryable
from support.batch_parts import ONE, Answering, batch_parts
from support.wire_records import plain


@pytest.fixture
def parts():
    """A loop without a model, whose service owns the texts before `end`; `slept` are its pauses."""
    made = batch_parts()
    steps = made.loop.steps
    made.end, made.slept, made.handler = 100, [], Answering()
    steps.inference, steps.handler, steps.owns = None, made.handler, lambda record: record.offset < made.end
    sleep = steps.context.sleep

    async def noted(seconds):
        made.slept.append(seconds)
        await sleep(seconds)

    steps.context = replace(steps.context, sleep=noted)
    made.handle = made.loop.handle
    return made


def texts(*offsets):
    return [plain(partition=1, offset=offset) for offset in offsets]


def away(times):
    return [Retryable("not acknowledged")] * times


async def test_of_a_mixed_batch_the_own_part_alone_is_handled_and_committed(parts):
    parts.end = 7
    await parts.handle(texts(5, 6, 7, 8))
    assert parts.happened == [("acknowledged", "1-5", "1-6"), ("commit", {1: 7})]
    assert parts.handler.asked == [5, 6]


async def test_a_batch_of_which_nothing_is_its_own_is_passed_over_without_a_commit(parts):
    parts.end = 5
    await parts.handle(texts(5, 6))
    assert parts.handler.asked == parts.happened == []
    assert parts.failure.error is None


async def test_what_failed_is_sought_back_to_its_own_part_and_taken_up_where_it_was(parts):
    parts.end = 7
    parts.broker.failures = away(1)
    await parts.handle(texts(5, 6, 7))
    assert parts.happened == [("seek", 1, 5)]
    await parts.handle(texts(5, 6, 7))
    assert parts.handler.asked == [5, 6], "what is held is not asked again"
    assert parts.consumer.committed[ONE] == 7
    assert parts.loop.steps.held.items == {}


async def test_a_held_item_is_released_where_the_record_is_no_longer_its_own(parts):
    parts.broker.failures = away(1)
    await parts.handle(texts(5, 6))
    assert len(parts.loop.steps.held.items) == 2
    parts.end = 6
    await parts.handle(texts(5, 6))
    assert parts.loop.steps.held.items == {}
    assert parts.happened[1:] == [("acknowledged", "1-5"), ("commit", {1: 6})]


@pytest.mark.parametrize("between", [(200, 201), ()], ids=["all passed over", "nothing at all"])
async def test_batches_of_which_nothing_is_its_own_end_a_failure(parts, between):
    parts.broker.failures = away(6)
    for _ in range(5):
        await parts.handle(texts(5))
    grown = parts.slept[-1]
    parts.end = 5
    await parts.handle(texts(5))  # withdrawn meanwhile: it is released
    parts.end = 100
    await parts.handle(texts(*between))
    parts.clock.now += 301
    await parts.handle(texts(6))
    assert parts.failure.error is None, "what failed 300 s ago is nobody's concern any more"
    assert parts.slept[-1] < 0.11 < grown, "and the pauses begin again"


@pytest.mark.parametrize("between", [(), (200, 201)], ids=["a failure that lasts", "nothing of it between"])
async def test_a_failure_of_what_is_held_ends_the_process_after_a_while(parts, between):
    parts.broker.failures = away(2)
    await parts.handle(texts(5))
    if between:
        await parts.handle(texts(*between))
    parts.clock.now += 301
    await parts.handle(texts(5))
    assert isinstance(parts.failure.error, Fatal)
    assert "no success for 300 s" in str(parts.failure.error)


async def test_nothing_is_shown_as_held_after_the_partitions_are_revoked(parts, metrics):
    parts.broker.failures = away(1)
    await parts.handle(texts(5, 6))
    assert metrics.value("sprat.records.held") == 2
    await parts.loop.release()
    assert metrics.value("sprat.records.held") == 0
