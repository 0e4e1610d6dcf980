"""The steps of the batch loop: all acknowledged before the commit, none with the model after admission has closed."""

import asyncio
from dataclasses import replace

import pytest

from sprat.base.errors import Fatal, Rejected, Retryable
from sprat.base.model import Question
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat.processing.batch_choices import BATCH_TOKENS
from sprat.processing.batch_steps import Refresh
from sprat.processing.handler import Ask, Emit, Outcome
from sprat.processing.loop import FailureBudget
from sprat.processing.outbox import Outbox
from sprat_contracts import TextSubmitted
from support.batch_parts import TOPICS, batch_parts
from support.panics import PanicException
from support.stream import SIGNATURES
from support.wire_records import plain


class Acknowledging(Publisher):
    """Acknowledges a call's records when its topic's event is set; fails as `failures` say, one after the other."""

    def __init__(self, happened):
        super().__init__(KafkaSettings(bootstrap="127.0.0.1:1", prefix="sprat"), "test")
        self.happened = happened
        self.attempts = []
        """The topic of each call."""
        self.refused = set()
        """Topics to which nothing is acknowledged."""
        self.held = {}
        self.called = asyncio.Event()
        self.failures = []

    async def publish(self, records, hold_s=None):
        (topic,) = {record.topic for record in records}
        self.attempts.append(topic)
        if topic in self.refused:
            raise NotAcknowledged(tuple(range(len(records))), "KafkaTimeoutError")
        if topic in self.held:
            self.called.set()
            await self.held[topic].wait()
        if self.failures:
            raise self.failures.pop(0)
        self.happened.append((topic, len(records)))
        return []


class Handler:
    """Emits an event for each text, and makes a dead letter of those at the offsets in `rejects`.

    At those in `breaks` it raises `error`.
    """

    def __init__(self):
        self.asked = []
        self.rejects = set()
        self.own_fault = False
        self.breaks = set()
        self.error = ZeroDivisionError

    def message_type(self, topic):
        return TextSubmitted

    def malformed(self, rejected, topic):
        return Outcome(rejected=rejected)

    def receive(self, received):
        self.asked.append(received.offset)
        if received.offset in self.breaks:
            raise self.error
        events = (Emit(TOPICS.feedback, b"k", "id", received.message),)
        rejected = Rejected("broken", "it", own_fault=self.own_fault) if received.offset in self.rejects else None
        return Outcome(events, rejected)

    def oversized(self, received, emit):
        raise AssertionError("nothing is large")


@pytest.fixture
def parts():
    """A loop without a model, whose broker and handler fail as a test says."""
    made = batch_parts()
    steps = made.loop.steps
    made.publisher, made.handler = Acknowledging(made.happened), Handler()
    steps.inference, steps.handler = None, made.handler
    steps.context = replace(steps.context, outbox=Outbox("intent", "1", TOPICS, made.publisher, SIGNATURES))
    return made


def texts(*offsets, **fields):
    return [plain(partition=1, offset=offset, **fields) for offset in offsets]


async def test_events_come_first_then_dead_letters_then_the_commit(parts):
    parts.handler.rejects.add(6)
    await parts.loop.handle(texts(5, 6))
    assert parts.happened == [(TOPICS.feedback, 2), (TOPICS.dead_letters, 1), ("commit", {1: 7})]


@pytest.mark.parametrize("topic", [TOPICS.feedback, TOPICS.dead_letters])
async def test_nothing_is_committed_while_an_event_or_a_dead_letter_is_not_acknowledged(parts, topic):
    parts.handler.rejects.add(5)
    parts.publisher.held[topic] = asyncio.Event()
    handling = asyncio.create_task(parts.loop.handle(texts(5)))
    async with asyncio.timeout(2):
        await parts.publisher.called.wait()
    for _ in range(20):  # as often as a loop that did not wait would need to commit
        await asyncio.sleep(0)
    assert ("commit", {1: 6}) not in parts.happened
    assert not handling.done()
    parts.publisher.held[topic].set()
    await handling
    assert parts.happened[-1] == ("commit", {1: 6})


async def test_a_dead_letter_that_is_not_acknowledged_commits_nothing(parts):
    parts.loop.steps.context = replace(
        parts.loop.steps.context, give_up_s=-1.0
    )  # so that it does not wait for another attempt
    parts.handler.rejects.add(5)
    parts.publisher.refused.add(TOPICS.dead_letters)
    await parts.loop.handle(texts(5))
    assert parts.publisher.attempts == [TOPICS.feedback, TOPICS.dead_letters]
    assert parts.happened == [(TOPICS.feedback, 1)]
    assert isinstance(parts.failure.error, Fatal)


async def test_a_record_that_is_not_valid_becomes_a_dead_letter_and_its_neighbours_go_on(parts):
    await parts.loop.handle([*texts(5), *texts(6, value=b"{"), *texts(7)])
    assert parts.happened == [(TOPICS.feedback, 2), (TOPICS.dead_letters, 1), ("commit", {1: 8})]


@pytest.mark.parametrize("error", [ZeroDivisionError, PanicException, SystemExit])
async def test_a_record_that_breaks_the_handler_becomes_a_dead_letter(parts, error):
    parts.handler.breaks.add(6)
    parts.handler.error = error
    await parts.loop.handle(texts(5, 6, 7))
    assert parts.happened == [(TOPICS.feedback, 2), (TOPICS.dead_letters, 1), ("commit", {1: 8})]


async def test_too_many_own_faults_publish_and_commit_nothing_and_close_admission_permanently(parts):
    parts.loop.steps.context = replace(parts.loop.steps.context, budget=FailureBudget(consecutive=2))
    parts.handler.own_fault = True
    parts.handler.rejects |= {5, 6}
    await parts.loop.handle(texts(5, 6))
    assert parts.happened == []
    assert isinstance(parts.failure.error, Fatal)
    parts.admission.open()
    assert not parts.admission.is_open


async def test_bad_input_never_stops_the_service(parts):
    parts.loop.steps.context = replace(parts.loop.steps.context, budget=FailureBudget(consecutive=2))
    parts.handler.rejects |= set(range(10))
    await parts.loop.handle(texts(*range(10)))
    assert parts.failure.error is None


async def test_a_closed_admission_admits_no_batch(parts):
    async def refresh():
        parts.happened.append("refreshed")

    parts.loop.steps.refresh = Refresh(refresh)
    parts.admission.close()
    await parts.loop.handle(texts(5))
    assert parts.happened == []
    assert parts.admission.in_progress == 0


async def test_work_is_in_progress_while_a_batch_is_handled_and_no_longer(parts):
    parts.publisher.held[TOPICS.feedback] = asyncio.Event()
    handling = asyncio.create_task(parts.loop.handle(texts(5)))
    await parts.publisher.called.wait()
    assert parts.admission.in_progress == 1
    parts.publisher.held[TOPICS.feedback].set()
    await handling
    assert parts.admission.in_progress == 0


class Asking(Handler):
    def receive(self, received):
        return Ask(Question("hi", "en"), "intent", "acme", ("k",))


class Model:
    """Answers a part; each item is as large as a part may be."""

    def __init__(self, tokens=BATCH_TOKENS):
        self.tokens = tokens
        self.parts = []
        self.looked_up = []
        self.unstored = {}
        self.after = lambda: None

    def prepare(self, item, ask):
        item.ask = ask
        item.tokens = self.tokens

    def begins_at_once(self, records):
        return True

    async def begin(self, items):
        pass

    async def look_up(self, items):
        self.looked_up.append([item.record.offset for item in items])
        for item in items:
            item.cache_s = 0.0

    async def finish(self, items):
        self.parts.append([item.record.offset for item in items])
        for item in items:
            item.outcome = Outcome(skipped="answered")
        self.after()


@pytest.fixture
def model(parts):
    parts.loop.steps.handler = Asking()
    parts.loop.steps.inference = Model()
    return parts.loop.steps.inference


async def test_the_model_is_asked_for_no_more_than_the_bound_at_a_time(parts, model):
    await parts.loop.handle(texts(5, 6))
    assert model.parts == [[5], [6]]
    assert model.looked_up == [[5], [6]]
    assert parts.happened[-1] == ("commit", {1: 7})


async def test_the_next_part_does_not_begin_after_admission_has_closed(parts, model):
    model.after = parts.admission.close
    await parts.loop.handle(texts(5, 6))
    assert model.parts == [[5]], "the current part ends, the next one is read again"
    assert parts.happened == [("commit", {1: 6})]


async def test_what_is_done_is_not_sought_back_when_a_later_part_fails(parts, model):
    def fail():
        if len(model.parts) == 2:
            raise Retryable("away")

    model.after = fail
    parts.loop.steps._backoff.next = lambda: 0.0
    await parts.loop.handle(texts(5, 6, 7))
    assert parts.happened == [("commit", {1: 6}), ("seek", 1, 6)]


@pytest.mark.parametrize(("released", "asked"), [(False, [5]), (True, [5, 5])], ids=["the same", "another"])
async def test_a_decision_is_held_for_the_retry_and_forgotten_with_its_assignment(parts, released, asked):
    parts.publisher.failures = [NotAcknowledged((0,), "KafkaTimeoutError")]
    parts.loop.steps._backoff.next = lambda: 0.0
    await parts.loop.handle(texts(5))
    if released:
        await parts.loop.release()
    await parts.loop.handle(texts(5))
    assert parts.handler.asked == asked
    assert parts.happened == [("seek", 1, 5), (TOPICS.feedback, 1), ("commit", {1: 6})]


async def test_a_topic_that_takes_less_than_it_should_is_fatal(parts):
    parts.publisher.failures = [TooLarge([0])]
    await parts.loop.handle(texts(5))
    assert isinstance(parts.failure.error, Fatal)
    assert parts.happened == []


def test_the_size_of_a_record_counts_key_value_and_headers():
    small = OutRecord("t", None, None).size
    assert OutRecord("t", b"12", b"345", [("six", b"7890")]).size == small + 2 + 3 + 3 + 4 + 4
