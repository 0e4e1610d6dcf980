"""The concurrent loop: what is committed while records finish out of order, and what a lost partition leaves behind."""

import asyncio
import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, CoordinatorNotAvailableError

from sprat.base.errors import Fatal, Rejected, Retryable
from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.processing.concurrent_loop import ConcurrentLoop
from sprat.processing.handler import Outcome
from sprat.processing.loop import FailureBudget, LoopContext
from sprat.telemetry.spans import current_traceparent
from sprat.telemetry.tracing import Tracing
from sprat_contracts import FrontierRequested, TextSubmitted, Traceparent
from sprat_contracts.dead_letters import REPLAY_FOR
from sprat_contracts.ids import plain_text_identity
from support.panics import PanicException
from support.stream import SIGNATURES
from support.wire_records import plain, signed_replay

TOPIC = "mine.texts.v1"
FIRST, SECOND, THIRD = (TopicPartition(TOPIC, partition) for partition in (0, 1, plain().partition))


class Consumer:
    """Fails with `error` while there is one."""

    def __init__(self):
        self.committed = []
        self.error = None
        self.changed = asyncio.Condition()

    def assignment(self):
        return frozenset({FIRST, SECOND, THIRD})

    async def commit(self, offsets):
        if self.error is not None:
            raise self.error
        async with self.changed:
            self.committed.append(dict(offsets))
            self.changed.notify_all()

    async def until(self, partition, offset):
        """Wait until this offset is committed."""
        async with asyncio.timeout(2), self.changed:
            await self.changed.wait_for(lambda: any(c.get(partition) == offset for c in self.committed))


class Handler:
    """Answers a record when it may; `rejects` and `breaks` are offsets, the latter with `error`."""

    def __init__(self):
        self.held = {}
        self.asked = []
        self.cancelled = []
        self.rejects = set()
        self.breaks = set()
        self.error = ZeroDivisionError
        self.away = {}
        """How often the answer to an offset is not there yet."""

    def hold(self, *offsets):
        self.held |= {offset: asyncio.Event() for offset in offsets}

    def message_type(self, topic):
        return TextSubmitted

    def malformed(self, rejected, topic):
        return Outcome(rejected=rejected)

    def failed(self, received):
        return Outcome(skipped="failed")

    def oversized(self, received, emit):
        raise AssertionError("nothing is large")

    def skip_reason(self, received):
        return "replay" if received.envelope.replay_for else None

    async def handle(self, received):
        self.asked.append(received.offset)
        if received.offset in self.breaks:
            raise self.error
        if self.away.get(received.offset, 0):
            self.away[received.offset] -= 1
            raise Retryable("away")
        try:
            if received.offset in self.held:
                await self.held[received.offset].wait()
        except asyncio.CancelledError:
            self.cancelled.append(received.offset)
            raise
        if received.offset in self.rejects:
            return Outcome(rejected=Rejected("defect", "broken", own_fault=True))
        return Outcome(skipped="handled")


class Outbox:
    """Publishes when `acknowledging` is set."""

    def __init__(self):
        self.acknowledging = asyncio.Event()
        self.acknowledging.set()
        self.error = None
        self.letters = []
        self.traces = []
        """The trace that a log line would name at each call."""
        self.reached = asyncio.Event()

    async def publish(self, items, shrink):
        if (current := current_traceparent.get()) is not None:
            self.traces.append(current.trace_id)
        self.reached.set()
        if self.error is not None:
            raise self.error
        await self.acknowledging.wait()
        self.letters += [item.record.offset for item in items if item.decided().rejected is not None]


@pytest.fixture
def parts():
    consumer, handler, outbox = Consumer(), Handler(), Outbox()
    admission, failure = AdmissionControl(), Failure()
    context = LoopContext(outbox, lambda: consumer, Tracing(exporting=False), SIGNATURES, admission, failure)
    loop = ConcurrentLoop(context, handler, capacity=4)
    return SimpleNamespace(
        loop=loop,
        consumer=consumer,
        handler=handler,
        outbox=outbox,
        admission=admission,
        failure=failure,
    )


def texts(*offsets, partition=0):
    return [plain(topic=TOPIC, partition=partition, offset=offset) for offset in offsets]


async def settled(condition):
    """Let the tasks of the loop run until the condition holds."""
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0)


async def test_an_offset_waits_for_the_slow_record_before_it(metrics, parts):
    parts.handler.hold(5)
    await parts.loop.handle(texts(5, 6, 7))
    await settled(lambda: metrics.finished == 2)
    assert parts.consumer.committed == []
    parts.handler.held[5].set()
    await parts.consumer.until(FIRST, 8)


async def test_nothing_is_committed_before_what_it_caused_is_acknowledged(parts):
    parts.outbox.acknowledging.clear()
    parts.handler.rejects.add(5)
    await parts.loop.handle(texts(5))
    await parts.outbox.reached.wait()
    assert parts.consumer.committed == []
    parts.outbox.acknowledging.set()
    await parts.consumer.until(FIRST, 6)
    assert parts.outbox.letters == [5]


async def test_a_partition_that_came_back_starts_without_what_was_in_flight_before(metrics, parts):
    parts.handler.hold(5)
    await parts.loop.handle(texts(5, 6))
    await settled(lambda: metrics.finished == 1)
    parts.admission.close()
    await parts.loop.release()
    parts.admission.open()
    await parts.loop.handle(texts(10))  # another member has committed up to here
    await parts.consumer.until(FIRST, 11)
    assert parts.consumer.committed == [{FIRST: 11}]


async def test_an_offset_that_could_not_be_committed_is_forgotten_with_its_partition(metrics, parts):
    parts.consumer.error = CoordinatorNotAvailableError()
    await parts.loop.handle(texts(5))
    await settled(lambda: metrics.finished == 1)
    await parts.loop.release()
    parts.consumer.error = None
    await parts.loop.handle(texts(9, partition=1))
    await parts.consumer.until(SECOND, 10)
    assert not any(FIRST in committed for committed in parts.consumer.committed)


async def test_calls_in_flight_are_cancelled_when_their_partition_goes(parts):
    parts.handler.hold(5, 6)
    await parts.loop.handle(texts(5, 6))
    await settled(lambda: parts.handler.asked == [5, 6])
    parts.admission.close()
    await parts.loop.release()
    await settled(lambda: parts.admission.in_progress == 0)
    assert sorted(parts.handler.cancelled) == [5, 6]
    assert (parts.consumer.committed, parts.outbox.letters) == ([], [])
    assert parts.failure.error is None


async def test_an_offset_that_could_not_be_committed_is_committed_by_the_next_try(metrics, parts):
    parts.consumer.error = CoordinatorNotAvailableError()
    await parts.loop.handle(texts(5))
    await settled(lambda: metrics.finished == 1)
    parts.consumer.error = None
    await parts.consumer.until(FIRST, 6)


async def test_what_is_away_for_a_while_is_tried_again(parts):
    parts.handler.away[5] = 2
    await parts.loop.handle(texts(5))
    await parts.consumer.until(FIRST, 6)
    assert parts.handler.asked == [5] * 3


async def test_a_release_commits_what_is_finished(metrics, parts):
    parts.consumer.error = CoordinatorNotAvailableError()
    await parts.loop.handle(texts(5))
    await settled(lambda: metrics.finished == 1)
    parts.consumer.error = None
    await parts.loop.release()
    assert parts.consumer.committed == [{FIRST: 6}]


async def test_a_commit_that_is_no_longer_ours_ends_nothing(parts):
    parts.consumer.error = CommitFailedError()
    await parts.loop.handle(texts(5))
    await settled(lambda: parts.admission.in_progress == 0)
    assert parts.failure.error is None


async def test_at_capacity_no_record_is_admitted_until_one_has_finished(parts):
    parts.handler.hold(*range(5))
    admitting = asyncio.create_task(parts.loop.handle(texts(*range(5))))
    await settled(lambda: len(parts.handler.asked) == 4)
    assert not admitting.done()
    parts.handler.held[2].set()
    await admitting
    await settled(lambda: len(parts.handler.asked) == 5)
    parts.admission.close()
    await parts.loop.release()
    await settled(lambda: parts.admission.in_progress == 0)


async def test_a_closed_admission_admits_nothing(parts):
    parts.admission.close()
    await parts.loop.handle(texts(5))
    await asyncio.gather(*parts.loop._tasks)
    assert parts.admission.in_progress == 0
    assert parts.handler.asked == []


@pytest.mark.parametrize("error", [ZeroDivisionError, PanicException, SystemExit, asyncio.CancelledError])
async def test_a_record_that_breaks_the_handler_becomes_a_dead_letter_and_the_others_go_on(parts, error):
    parts.handler.breaks.add(5)
    parts.handler.error = error
    await parts.loop.handle(texts(5, 6))
    await parts.consumer.until(FIRST, 7)
    assert parts.outbox.letters == [5]
    assert parts.failure.error is None


async def test_too_many_own_faults_stop_the_service_before_a_commit(parts):
    parts.loop.context = replace(parts.loop.context, budget=FailureBudget(consecutive=1))
    parts.handler.rejects.add(5)
    await parts.loop.handle(texts(5))
    async with asyncio.timeout(2):
        assert isinstance(await parts.failure.wait(), Fatal)
    assert parts.consumer.committed == []
    parts.admission.open()
    assert not parts.admission.is_open, "closed permanently"


async def test_the_seconds_of_a_record_that_cannot_be_decoded_are_recorded_also_where_nothing_is_traced(metrics, parts):
    await parts.loop.handle([plain(b"{bad", topic=TOPIC, partition=0, offset=5)])
    await parts.consumer.until(FIRST, 6)
    assert metrics.count("messaging.process.duration", destination=TOPIC, error="invalid_json") == 1


async def test_a_skipped_record_is_not_handled_and_has_no_span(parts, spans):
    parts.loop.context.tracing.exporting = True
    skipped = signed_replay(plain(topic=TOPIC, offset=5, headers=((REPLAY_FOR, b"another"),)))
    await parts.loop.handle([skipped])
    await settled(lambda: parts.consumer.committed)
    assert parts.handler.asked == []
    assert spans.all == ()


async def test_a_replay_that_is_not_signed_is_for_this_service_too(parts, metrics):
    await parts.loop.handle([plain(topic=TOPIC, offset=5, headers=((REPLAY_FOR, b"another"),))])
    await settled(lambda: parts.consumer.committed)
    assert len(parts.handler.asked) == 1
    assert metrics.value("sprat.records.refused", reason="replay", destination=TOPIC) == 1


async def test_what_should_be_signed_and_is_not_is_skipped_before_it_is_read(parts, metrics, monkeypatch):
    monkeypatch.setattr(parts.handler, "message_type", lambda topic: FrontierRequested)
    await parts.loop.handle([plain(b"{not even JSON", topic=TOPIC, offset=5)])
    await settled(lambda: parts.consumer.committed)
    assert (parts.handler.asked, parts.outbox.letters) == ([], [])
    assert metrics.value("sprat.records.refused", reason="unsigned", destination=TOPIC) == 1
    assert metrics.value("sprat.skipped", reason="signature") == 1


async def test_what_is_logged_while_a_record_is_published_names_its_trace(parts):
    await parts.loop.handle(texts(5))
    await settled(lambda: parts.consumer.committed)
    source, id = plain_text_identity(TOPIC, 0, 5, plain().timestamp)
    assert parts.outbox.traces == [Traceparent.root(source, id).trace_id]


async def test_a_dead_letters_line_names_its_trace_also_where_nothing_is_exported(parts, caplog):
    caplog.set_level(logging.INFO)
    await parts.loop.handle([plain(b"{", topic=TOPIC, offset=5)])
    await settled(lambda: parts.consumer.committed)
    (line,) = [each for each in caplog.records if each.message.startswith("dead letter")]
    assert line.trace_id == Traceparent.root(f"{TOPIC}/3", "5").trace_id


@pytest.mark.parametrize("error", [ZeroDivisionError, PanicException, asyncio.CancelledError])
async def test_a_defect_before_records_are_admitted_stops_the_service(parts, error):
    def breaks(received):
        raise error

    parts.handler.skip_reason = breaks
    await parts.loop.handle(texts(5))
    assert isinstance(parts.failure.error, error)
    assert parts.consumer.committed == []


@pytest.mark.parametrize("error", [ZeroDivisionError(), PanicException(), asyncio.CancelledError()])
@pytest.mark.parametrize("step", ["outbox", "consumer"])
async def test_what_fails_for_good_after_the_handler_stops_the_service_and_commits_nothing(parts, step, error):
    getattr(parts, step).error = error
    await parts.loop.handle(texts(5, 6))
    async with asyncio.timeout(2):
        assert type(await parts.failure.wait()) is type(error)
    await settled(lambda: parts.admission.in_progress == 0)
    assert parts.consumer.committed == []
    assert not parts.admission.is_open


async def test_a_stop_that_cancels_the_loop_is_no_failure(parts):
    parts.handler.hold(*range(5))
    admitting = asyncio.create_task(parts.loop.handle(texts(*range(5))))
    await settled(lambda: len(parts.handler.asked) == 4)
    admitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await admitting
    assert parts.failure.error is None
    await parts.loop.release()
    await settled(lambda: parts.admission.in_progress == 0)
    assert parts.failure.error is None
