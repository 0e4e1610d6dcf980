"""The batch loop when admission closes: it publishes nothing that it cannot commit."""

import asyncio
from dataclasses import replace

import pytest
from aiokafka.errors import CommitFailedError

from sprat.base.errors import Retryable
from sprat.base.retry import Deadline
from support.batch_parts import (
    ONE,
    TWO,
    batch_parts,
    begun,
    turns,
    two_in_progress,
)


@pytest.fixture
def parts():
    return batch_parts()


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


async def test_a_commit_waits_for_nothing_once_admission_has_closed(parts):
    async def never(_seconds):
        await asyncio.Event().wait()

    parts.loop.steps.context = replace(parts.loop.steps.context, sleep=never)
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


async def test_a_stop_that_does_not_wait_ends_both_and_commits_nothing(parts):
    handling = await two_in_progress(parts)
    handling.cancel()
    await asyncio.gather(handling, return_exceptions=True)
    parts.broker.open.set()
    await turns()
    assert parts.consumer.committed == {ONE: 0, TWO: 0}
    assert parts.broker.taken == []
    assert parts.admission.in_progress == 0
