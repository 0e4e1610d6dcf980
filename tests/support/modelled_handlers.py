"""What the services of the random model decide: what a record must cause follows from its kind alone."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sprat.base.errors import Rejected, Retryable
from sprat.base.model import Answer, Question, Unfinished
from sprat.processing.batch_steps import Refresh
from sprat.processing.cached_inference import FEW_TEXTS
from sprat.processing.handler import Ask, Emit, Outcome
from sprat_contracts import DeadLetterReason, IntentOutput, ReasonCode, TextSubmitted, Topics
from sprat_contracts.dead_letters import ERROR_CODE
from support.kafka_model import KafkaModel, Name

TOPICS = Topics()
WRITTEN = TOPICS.feedback
"""The topic that the modelled handlers write: any would do whose records are not signed."""


def name_of(topic: str, headers: Sequence[tuple[str, bytes]]) -> Name:
    """Return the name of a written record: the id of an event, the origin of a dead letter."""
    if any(name == ERROR_CODE for name, _ in headers):
        reason = DeadLetterReason.from_headers(headers)
        return topic, f"{reason.partition}-{reason.offset}"
    return topic, dict(headers)["ce_id"].decode()


def causes_of(kind: str, place: str) -> frozenset[Name]:
    """Return the names of all that a record of a kind must cause."""
    letter = {(TOPICS.dead_letters, place)}
    match kind:
        case "broken" | "failing":
            return frozenset(letter)
        case "two":
            return frozenset({(WRITTEN, place), (WRITTEN, f"{place}-second")})
        case "both":
            return frozenset({(WRITTEN, place), *letter})
        case "skipped":
            return frozenset()
    return frozenset({(WRITTEN, place)})


KINDS = ("easy", "asked", "asked", "asked", "two", "both", "broken", "failing", "skipped")
"""What a text says, and what its handler makes of it."""


def kind_of(received: Any) -> str:
    return received.message.text.split()[0]


class Refreshing:
    """What a service reads of others: it must be read after a record is there and before the decision on some."""

    def __init__(self, kafka: KafkaModel) -> None:
        self._kafka = kafka
        self._running = False
        self.known: dict[int, int] = {}
        """Partition → how many of its records were there when the last reading began."""

    def for_some_records(self) -> Refresh:
        """Return the refresh of a service without a model: it precedes the decision on texts that are `asked`."""

        def need(received):
            if kind_of(received) != "asked":
                return "none"
            return self._kafka.chance.choice(("soon", "now"))

        return Refresh(self._run, lambda: False, need)

    def now_and_then(self) -> Refresh:
        """Return the refresh of a service with a model."""
        return Refresh(self._run, lambda: self._kafka.chance.random() < 0.2)

    async def _run(self) -> None:
        assert not self._running, "two refreshes at a time"
        self._running = True
        try:
            there = {partition.partition: len(entries) for partition, entries in self._kafka.inputs.items()}
            await self._kafka.latency()
            if self._kafka.strikes("service away"):
                raise Retryable("away")
            self.known = there
        finally:
            self._running = False


class DirectHandler:
    """Decides on every record at once, as the router does, by what its text says."""

    def __init__(self, refreshing: Refreshing | None = None) -> None:
        self._refreshing = refreshing

    def message_type(self, topic):
        return TextSubmitted

    def malformed(self, rejected, topic):
        return Outcome(rejected=rejected)

    def oversized(self, received, emit):
        raise AssertionError("nothing is large")

    def receive(self, received):
        kind = kind_of(received)
        if self._refreshing is not None and kind == "asked":
            assert received.offset < self._refreshing.known[received.partition], "decided on before the refresh"
        return decided(kind, received)


class AskingHandler(DirectHandler):
    """Asks a model about some texts."""

    def receive(self, received):
        kind = kind_of(received)
        if kind in {"easy", "asked", "failing"}:
            return Ask(Question(received.message.text, "en"), "intent", "acme", ("k",))
        return super().receive(received)

    def answered(self, received, ask, answered):
        assert answered.answer.output.label == received.message.text.replace(" ", "_"), "the answer to another text"
        return decided("answered", received)

    def failed(self, received, ask):
        return decided("failing", received)


class SlowHandler(DirectHandler):
    """Takes its time for each record, as the frontier does."""

    def __init__(self, kafka: KafkaModel) -> None:
        super().__init__()
        self._kafka = kafka

    def skip_reason(self, received):
        return "other" if received.message.text.startswith("skipped") else None

    async def handle(self, received):
        await self._kafka.latency()
        if self._kafka.strikes("service away"):
            raise Retryable("away")
        if self._kafka.strikes("model slow"):
            await asyncio.sleep(self._kafka.chance.uniform(1.0, 30.0))
        return decided(kind_of(received), received)

    def failed(self, received):
        return decided("failing", received)


def decided(kind: str, received: Any) -> Outcome:
    """Return the outcome of a record of a kind, the same whoever decides on it."""
    place = f"{received.partition}-{received.offset}"
    rejected = Rejected(ReasonCode.INVALID_TEXT, "as the model says")
    key = received.key or place.encode()
    event = Emit(WRITTEN, key, place, received.message)
    match kind:
        case "two":
            return Outcome((event, replace(event, id=f"{place}-second")))
        case "both":
            return Outcome((event,), rejected=rejected)
        case "failing":
            return Outcome(rejected=rejected)
        case "skipped":
            return Outcome(skipped="other")
    return Outcome((event,))


class Stages:
    """A model and its threads: the first stage answers what is easy, the second takes its time."""

    is_staged = True

    def __init__(self, kafka: KafkaModel) -> None:
        self._kafka = kafka

    def tokens(self, question):
        return 1

    async def begin(self, questions):
        if len(questions) > FEW_TEXTS:
            await self._kafka.latency()
        return [self._answer(each) if each.text.startswith("easy") else Unfinished(each) for each in questions]

    async def finish(self, unfinished):
        await self._kafka.latency()
        if self._kafka.strikes("service away"):
            raise Retryable("away")
        if self._kafka.strikes("model slow"):
            await asyncio.sleep(self._kafka.chance.uniform(1.0, 30.0))
        questions = [each.question for each in unfinished]
        return [None if each.text.startswith("failing") else self._answer(each) for each in questions]

    @staticmethod
    def _answer(question: Question) -> Answer:
        return Answer(IntentOutput(label=question.text.replace(" ", "_"), alternatives=()), 0.9)


class CacheModel:
    """A cache of this process."""

    def __init__(self, kafka: KafkaModel) -> None:
        self._kafka = kafka
        self._values: dict[str, bytes] = {}

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        await self._kafka.latency()
        return [self._values.get(key) for key in keys]

    async def put_many(self, values: Mapping[str, bytes]) -> None:
        await self._kafka.latency()
        self._values |= values
