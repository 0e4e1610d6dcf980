"""Polls of the consume loop: they wait for records, and one that fails ends the process."""

import asyncio
import math
import re
import time
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, CorruptRecordException, TopicAuthorizationFailedError

from sprat.base.errors import Fatal
from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.kafka.consumer import HUNG_S, static_member, watch_polls, watchdog
from sprat.telemetry.health import LoopProgress
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
        consumer=consumer, progress=LoopProgress(polled_at=-math.inf), admission=AdmissionControl(), failure=Failure()
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


async def test_records_that_did_not_reach_the_loop_end_the_process_at_the_next_poll():
    """FastStream swallows errors of its own between the two; a commit of later records would pass these."""
    first, second = {TEXTS: [SimpleNamespace(offset=1)]}, {TEXTS: [SimpleNamespace(offset=2)]}
    parts = watched(first, second)
    await parts.consumer.getmany()
    with pytest.raises(Fatal, match="did not reach the loop"):
        await parts.consumer.getmany()
    assert "did not reach the loop" in str(parts.failure.error)
    assert not parts.admission.is_open
    assert parts.consumer.polls == 1


async def test_records_that_reach_the_loop_let_it_poll_on():
    first, second = {TEXTS: [SimpleNamespace(offset=1)]}, {TEXTS: [SimpleNamespace(offset=2)]}
    parts = watched(first, second)
    await parts.consumer.getmany()
    parts.progress.taken = True
    assert await parts.consumer.getmany() == second
    assert parts.failure.error is None


class Running:
    """A subscriber and a consumer whose loops run."""

    def __init__(self):
        self.tasks = [asyncio.get_running_loop().create_future()]
        self._fetcher = SimpleNamespace(_fetch_task=asyncio.get_running_loop().create_future())


async def watched_once(monkeypatch, parts, progress, admission):
    """Let the watchdog look once."""
    looked = 0

    async def sleep(_):
        nonlocal looked
        looked += 1
        if looked == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await watchdog(parts, parts, progress, admission)


async def test_a_loop_that_polls_no_longer_ends_the_process(monkeypatch):
    with pytest.raises(Fatal, match="the consume loop has not polled for 120 s"):
        await watched_once(monkeypatch, Running(), LoopProgress(polled_at=-math.inf), AdmissionControl())


async def test_a_loop_that_polls_and_one_that_has_not_begun_end_nothing(monkeypatch):
    for progress in (LoopProgress(), LoopProgress(polled_at=time.monotonic())):
        await watched_once(monkeypatch, Running(), progress, AdmissionControl())


async def test_work_in_progress_is_progress_until_it_hangs(monkeypatch):
    progress, admission = LoopProgress(polled_at=-math.inf), AdmissionControl()
    admission.enter()
    await watched_once(monkeypatch, Running(), progress, admission)
    assert progress.alive
    admission.changed_at -= HUNG_S + 1
    with pytest.raises(Fatal, match="has not advanced for 300 s"):
        await watched_once(monkeypatch, Running(), progress, admission)


async def test_a_consume_loop_and_a_fetch_that_have_ended_end_the_process(monkeypatch):
    ended = Running()
    ended.tasks[0].set_result(None)
    with pytest.raises(Fatal, match="the consume loop has ended"):
        await watched_once(monkeypatch, ended, LoopProgress(), AdmissionControl())
    ended = Running()
    ended._fetcher._fetch_task.set_result(None)
    with pytest.raises(Fatal, match="has stopped fetching"):
        await watched_once(monkeypatch, ended, LoopProgress(), AdmissionControl())
