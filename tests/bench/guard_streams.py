"""Streams of texts through the real intent service, router and guardian: after how many reviews is a change found?

Every kept answer is reviewed, by the set's own labels: what comes of a share of them needs as many reviews, and more
days.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaProducer

from sprat.base.model import DEFAULT_MODEL
from sprat.kafka.clients import make_consumer
from sprat.kafka.publisher import OutRecord
from sprat_contracts import (
    AlarmRaised,
    Envelope,
    FeedbackGiven,
    IntentOutput,
    ReviewAsked,
    ReviewClosed,
    TaskOptions,
    Tasks,
    TextSubmitted,
    Topics,
    Traceparent,
    decode,
    encode,
)
from sprat_contracts.reviews import ERRORS, SHIFT, WRONG
from sprat_guardian.__main__ import GuardianSettings
from sprat_guardian.__main__ import build as build_guardian
from sprat_intent.__main__ import SERVICE as INTENT
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_local.redis import EmbeddedRedis
from sprat_operations.feedback import feedback_record
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from tests.bench.guarantee_populations import OUTSIDE
from tests.bench.guard_shifts import SEED, Shift
from tests.bench.train_quality import Rows
from tests.support.stream import eventually, made_topics, settings_for

GOAL: Final = 0.97
BEFORE: Final = 1_000
"""Texts before the change."""
BLOCK: Final = 250
"""Texts between two looks at the alarms."""
MOST: Final = 4_000
"""Texts after the change; what is not found by then is not found."""
_WITHIN_S: Final = 300
_POLICY: Final = f"""
tasks:
  intent:
    goal: {GOAL}
    review: {{share: 1, per_day: 1000000}}
"""


class Stream:
    """Texts on their way, with a reviewer who knows the right labels."""

    def __init__(self, topics: Topics, producer: AIOKafkaProducer) -> None:
        self._topics = topics
        self._producer = producer
        self._numbers = count()
        self._right: dict[str, str] = {}
        self.kept = 0
        self.escalated = 0
        self.asked: list[ReviewAsked] = []
        self.closed: list[ReviewClosed] = []
        self.alarms: list[AlarmRaised] = []

    async def follow(self, consumer: Any) -> None:
        """Read what comes out, and answer each draw, until cancelled."""
        async for record in consumer:
            if record.topic == self._topics.reviews:
                self.asked.append(decode(record, ReviewAsked).message)
                await self._write(self._answer(self.asked[-1]))
            elif record.topic == self._topics.reviews_closed:
                self.closed.append(decode(record, ReviewClosed).message)
            elif record.topic == self._topics.alarms:
                self.alarms.append(decode(record, AlarmRaised).message)
            elif record.topic == self._topics.frontier_requests:
                self.escalated += 1
            else:
                self.kept += 1

    async def send(self, rows: Rows, language: str) -> None:
        """Publish texts, and wait until each is kept or escalated and each draw is closed."""
        expected = self.kept + self.escalated + len(rows)
        for text, label in rows:
            id = f"text-{next(self._numbers)}"
            self._right[id] = label
            submitted = TextSubmitted(text=text, tasks=Tasks(intent=TaskOptions()), language=language)
            value, headers = encode(submitted, Envelope(id, "/bench", Traceparent.root("/bench", id)))
            await self._write(OutRecord(self._topics.texts, b"one", value, headers))
        await eventually(lambda: self.kept + self.escalated >= expected, _WITHIN_S)
        await eventually(lambda: len(self.closed) >= self.kept, _WITHIN_S)
        await asyncio.sleep(1.5)  # for an alarm that follows from the last of them

    def _answer(self, asked: ReviewAsked) -> OutRecord:
        of = asked.prediction
        label = self._right[of.text_id]
        right = IntentOutput(label=None if label == OUTSIDE else label)
        given = FeedbackGiven(
            text_id=of.text_id,
            text_source=of.text_source,
            task=of.task,
            output=right,
            by="bench",
            of="review",
            token=asked.token,
        )
        return feedback_record(given, self._topics.feedback)

    async def _write(self, record: OutRecord) -> None:
        await self._producer.send(record.topic, record.value, record.key, headers=list(record.headers))


def measured(shifts: Iterator[Shift]) -> Iterator[dict[str, Any]]:
    """Yield of each change whether it was found, and after how many reviews."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka() as kafka, EmbeddedRedis() as redis:
        policy = Path(folder) / "policy.yaml"
        policy.write_text(_POLICY)
        for number, shift in enumerate(shifts):
            yield asyncio.run(_measure(shift, kafka.bootstrap, redis.url, f"bench-{number}", policy))


async def _measure(shift: Shift, bootstrap: str, redis_url: str, prefix: str, policy: Path) -> dict[str, Any]:
    random = np.random.default_rng(SEED)
    settings = settings_for(bootstrap, prefix, redis_url, partitions=1)
    topics = await made_topics(settings)
    common: dict[str, Any] = {
        "kafka": settings.kafka,
        "redis": settings.redis,
        "secret": settings.secret,
        "health_port": 0,
    }
    common |= {"drain_s": settings.drain_s, "_env_file": None}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            running("router", RouterSettings(policy=policy, lag_every_s=0, **common), build_router, timeout_s=_WITHIN_S)
        )
        await stack.enter_async_context(
            running("guardian", GuardianSettings(policy=policy, **common), build_guardian, timeout_s=_WITHIN_S)
        )
        stream = await stack.enter_async_context(_stream(bootstrap, topics))
        async with _intent(shift.model, common):
            await stream.send(_drawn(shift.usual, BEFORE, random), shift.language)
            before, warned_before = _counts(stream), _is_warned(stream)
            if shift.promoted is None:
                await _until_alarm(stream, shift, random)
        if shift.promoted is not None:
            async with _intent(shift.promoted, common):
                await _until_alarm(stream, shift, random)
    return _figures(shift, stream, before) | {"warned_before": warned_before, "warned": _is_warned(stream)}


async def _until_alarm(stream: Stream, shift: Shift, random: np.random.Generator) -> None:
    for _ in range(MOST // BLOCK):
        if any(each.kind == ERRORS for each in stream.alarms):
            return
        await stream.send(_drawn(shift.then, BLOCK, random), shift.language)


@asynccontextmanager
async def _stream(bootstrap: str, topics: Topics) -> AsyncIterator[Stream]:
    client = {"bootstrap_servers": bootstrap}
    producer = AIOKafkaProducer(**client, linger_ms=5)
    consumer = make_consumer(client, group_id=None, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    routed = (topics.results("intent"), topics.frontier_requests)
    consumer.subscribe([*routed, topics.reviews, topics.reviews_closed, topics.alarms])
    stream = Stream(topics, producer)
    following = asyncio.create_task(stream.follow(consumer))
    try:
        yield stream
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await consumer.stop()
        await producer.stop()


@asynccontextmanager
async def _intent(model: Path, common: dict[str, Any]) -> AsyncIterator[None]:
    settings = INTENT.settings(intent={"artefact": model}, **common)
    async with running("intent", settings, INTENT.build, model=DEFAULT_MODEL, timeout_s=_WITHIN_S) as context:
        await eventually(lambda: context.consumers and context.consumers[0].assignment(), _WITHIN_S)
        yield


def _drawn(rows: Rows, number: int, random: np.random.Generator) -> Rows:
    return [rows[place] for place in random.integers(len(rows), size=number)]


def _counts(stream: Stream) -> tuple[int, int, int]:
    """Return how many draws are closed, how many of them with an error, and how many texts came through."""
    wrong = sum(each.verdict == WRONG for each in stream.closed)
    return len(stream.closed), wrong, stream.kept + stream.escalated


def _is_warned(stream: Stream) -> bool:
    return any(each.kind == SHIFT for each in stream.alarms)


def _figures(shift: Shift, stream: Stream, before: Sequence[int]) -> dict[str, Any]:
    closed, wrong, texts = before
    reviews, errors, all_texts = (now - then for now, then in zip(_counts(stream), before, strict=True))
    alarm = next((each for each in stream.alarms if each.kind == ERRORS), None)
    # Only a wrong answer raises an alarm, which names it last.
    raised_by = None if alarm is None else alarm.texts[-1].text_id
    after = next((place for place, each in enumerate(stream.closed, 1 - closed) if each.text_id == raised_by), None)
    return {
        "data": shift.data,
        "change": shift.name,
        "before": {"texts": texts, "reviews": closed, "errors": wrong},
        "then": {"texts": all_texts, "reviews": reviews, "errors": errors},
        "alarm_after": after,
    }
