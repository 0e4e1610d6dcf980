"""Polls of the consume loop: they wait for records, and one that fails ends the process."""

import asyncio
import re
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException, TopicAuthorizationFailedError

from sprat.health import LoopProgress
from sprat.kafka.consumer import static_member, watch_polls
from sprat.lifecycle import AdmissionControl, Failure
from support.panics import PanicException

TEXTS = TopicPartition("texts", 0)


class Consumer:
    """Answers each poll with the next of `answers`: records, or an error. Behind the last one a poll takes for ever."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.polls = 0

    async def getmany(self, **_options):
        self.polls += 1
        if not self._answers:
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def watched(*answers):
    consumer = Consumer(*answers)
    parts = SimpleNamespace(
        consumer=consumer, progress=LoopProgress(polled_at=0.0), admission=AdmissionControl(), failure=Failure()
    )
    watch_polls(consumer, "group", parts.progress, parts.admission, parts.failure)
    return parts


async def test_a_poll_without_records_is_followed_by_another_one():
    """FastStream would sleep after it."""
    records = {TEXTS: [SimpleNamespace(offset=1)]}
    parts = watched({}, {}, records)
    assert await parts.consumer.getmany(timeout_ms=1) == records
    assert parts.consumer.polls == 3


async def test_a_poll_without_records_is_progress():
    """An idle service is alive."""
    parts = watched({})
    polling = asyncio.create_task(parts.consumer.getmany())
    await asyncio.sleep(0)
    assert not polling.done()
    assert parts.progress.alive
    polling.cancel()


async def test_a_stop_does_not_wait_for_a_poll_to_end():
    """FastStream cancels the task that polls."""
    parts = watched()
    polling = asyncio.create_task(parts.consumer.getmany(timeout_ms=1_000))
    await asyncio.sleep(0)
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(polling, 0.1)
    assert parts.failure.error is None


async def test_a_consumer_that_is_closed_meanwhile_ends_the_loop_and_is_no_failure():
    parts = watched({}, ConsumerStoppedError())
    with pytest.raises(ConsumerStoppedError):
        await parts.consumer.getmany()
    assert parts.failure.error is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CorruptRecordException(), "nothing was committed after it"),
        (TopicAuthorizationFailedError(), "ACLs"),
        (PanicException(), "PanicException; nothing was committed after it"),
        (asyncio.CancelledError(), "CancelledError; nothing was committed after it"),
    ],
    ids=["a broken batch", "denied", "a panic", "a library's own cancel"],
)
async def test_a_poll_that_fails_after_an_empty_one_ends_the_process(error, said):
    parts = watched({}, error)
    with pytest.raises(type(error)):
        await parts.consumer.getmany()
    assert said in str(parts.failure.error)
    assert not parts.admission.is_open


def test_a_static_member_has_one_id_for_one_set_of_topics_and_another_for_another():
    first = static_member("router-0", ["a", "b"])
    assert first == static_member("router-0", ["b", "a"])
    assert re.fullmatch("router-0-[0-9a-f]{8}", first)
    assert len({first, static_member("router-0", ["a", "b", "c"]), static_member("router-1", ["a", "b"])}) == 3
    assert static_member(None, ["a"]) is None
