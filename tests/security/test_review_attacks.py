"""Attacks on reviews and alarms: on a real broker, with the router and the guardian, by who can write to every topic.

The attacker does not know the secret. It reads the topics, so it has the tokens of draws and old records with their
signatures. A flood of one tenant is in tests/unit/test_router_draws.py.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from conftest import Kafka
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.kafka.publisher import OutRecord
from sprat.registry.alarms import alarm_record, cleared
from sprat_contracts import AlarmRaised, KafkaRecord, ReviewAsked, ReviewCell, ReviewClosed, Topics, decode
from sprat_contracts.reviews import CLEARED, RAISED, WRONG
from sprat_guardian.__main__ import GuardianSettings
from sprat_guardian.__main__ import build as build_guardian
from sprat_guardian.writing import RecordWriter
from sprat_inference.serving import serve_model
from sprat_inference.specialist import SpecialistHandler
from sprat_operations.feedback import feedback_record
from sprat_router.__main__ import RouterSettings
from sprat_router.__main__ import build as build_router
from sprat_testing.service import running
from support.review_logs import answer_to, asked_record, drawn
from support.stream import (
    FORGED,
    SECRET,
    SIGNATURES,
    FakeModel,
    eventually,
    made_topics,
    producing,
    read_all,
    read_until,
    settings_for,
)

POLICY = "tasks: {intent: {goal: 0.97, on_alarm: escalate, review: {share: 1, per_day: 1000000}}}\n"
SAID, OTHER = "greet", "leave"
"""What the model says of every text, and what it does not say."""
WITHIN_S = 60


@dataclass
class Attacked:
    """A router and a guardian, an honest reviewer, and what an attacker can do."""

    bootstrap: str
    topics: Topics
    sent: int = 0

    async def send(self, number: int) -> list[ReviewAsked]:
        """Publish texts that are kept, and return their draws."""
        await self._publish(number)
        before, self.sent = self.sent, self.sent + number
        return [
            decode(each, ReviewAsked).message for each in (await self.records(self.topics.reviews, self.sent))[before:]
        ]

    async def is_escalated(self) -> bool:
        """Return what becomes of a further text: an alarm has it escalated. Where it is kept, it is reviewed."""
        results, requests = self.topics.results("intent"), self.topics.frontier_requests
        before = len(await read_all(self.bootstrap, results, requests))
        escalated = len(await read_all(self.bootstrap, requests))
        await self._publish(1)
        await read_until(self.bootstrap, [results, requests], before + 1)
        if len(await read_all(self.bootstrap, requests)) > escalated:
            return True
        self.sent += 1
        asked = await self.records(self.topics.reviews, self.sent)
        await self.answer([decode(asked[-1], ReviewAsked).message], SAID)
        await self.closed(self.sent)
        return False

    async def records(self, topic: str, least: int = 0) -> list[KafkaRecord]:
        """Wait for so many different records with a valid signature, and return the first of each."""
        found: dict[bytes, KafkaRecord] = {}

        async def enough() -> bool:
            for each in await read_all(self.bootstrap, topic):
                if SIGNATURES.accepts(each):
                    found.setdefault(dict(each.headers)["ce_id"], each)
            return len(found) >= least

        await eventually(enough, WITHIN_S)
        return list(found.values())

    async def closed(self, least: int) -> list[ReviewClosed]:
        return [decode(each, ReviewClosed).message for each in await self.records(self.topics.reviews_closed, least)]

    async def alarms(self, least: int) -> list[AlarmRaised]:
        return [decode(each, AlarmRaised).message for each in await self.records(self.topics.alarms, least)]

    async def answer(self, draws: Iterable[ReviewAsked], said: str, **changes: Any) -> None:
        answers = (answer_to(each, said, **changes) for each in draws)
        await self.write(*(feedback_record(each, self.topics.feedback) for each in answers))

    async def write(self, *records: OutRecord) -> None:
        async with producing(self.bootstrap) as producer:
            for each in records:
                await producer.send_and_wait(each.topic, each.value, each.key, headers=list(each.headers))

    async def replay(self, records: Sequence[KafkaRecord], times: int = 1) -> None:
        """Write records once more, as they are."""
        copies = [OutRecord(each.topic, each.key, each.value, tuple(each.headers)) for each in records]
        await self.write(*copies * times)

    async def _publish(self, number: int) -> None:
        text = json.dumps({"text": "hello", "tasks": {"intent": {}}, "language": "en"}).encode()
        await self.write(*[OutRecord(self.topics.texts, b"key", text, ())] * number)


async def _serve(context: ServiceContext, settings: ServiceSettings) -> Subscription:
    return await serve_model(context, FakeModel(), "default", SpecialistHandler)


@pytest.fixture
async def attacked(kafka: Kafka, prefix: str, tmp_path: Path) -> AsyncIterator[Attacked]:
    common = settings_for(kafka.bootstrap, prefix)
    topics = await made_topics(common)
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    own = {name: getattr(common, name) for name in ("kafka", "redis", "health_port", "drain_s")}
    own |= {"policy": policy, "secret": SECRET, "_env_file": None}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running("router", RouterSettings(lag_every_s=0, **own), build_router))
        await stack.enter_async_context(running("guardian", GuardianSettings(**own), build_guardian))
        await stack.enter_async_context(running("intent", common, _serve))
        yield Attacked(kafka.bootstrap, topics)


def forged_end(asked: ReviewAsked) -> ReviewClosed:
    """Return that a draw ended with an error."""
    of = asked.prediction
    about = {"text_id": of.text_id, "text_source": of.text_source, "task": of.task, "model": of.model, "says": "some"}
    drawn_as = asked.model_dump(include={"cell", "goal", "hash", "share", "least_share"})
    return ReviewClosed(**about, **drawn_as, confidence=0.9, drawn_at=of.origin.appended_at, verdict=WRONG)


async def test_forged_and_replayed_records_change_nothing_and_an_older_alarm_does_not_come_back(
    attacked: Attacked,
) -> None:
    # Forged: answers without the token of their draw, and what only services write, signed with another secret.
    draws = await attacked.send(60)
    tokens = cycle([None, "0" * 64, draws[0].token])
    for each, token in zip(draws[1:], tokens, strict=False):
        await attacked.answer([each], OTHER, token=token)
    ends = RecordWriter(attacked.topics, "guardian", FORGED)
    alarm = AlarmRaised(kind="errors", task="intent", cell=ReviewCell(), number=9, steps=1, raised_at=1)
    await attacked.write(
        asked_record(drawn(id="forged"), attacked.topics, FORGED),
        *(ends.record(forged_end(each)) for each in draws),
        alarm_record(attacked.topics, alarm, "/guardian", FORGED),
    )
    await attacked.answer([drawn(id="forged")], OTHER)
    await attacked.answer(draws, SAID)
    assert {each.verdict for each in await attacked.closed(60)} == {"right"}
    assert await attacked.alarms(0) == []
    assert not await attacked.is_escalated()

    # Replayed: two draws that ended with an error, with their answers and ends.
    wrong = await attacked.send(2)
    await attacked.answer(wrong, OTHER)
    await attacked.closed(attacked.sent)
    for topic in (attacked.topics.reviews, attacked.topics.feedback, attacked.topics.reviews_closed):
        ids = [each.prediction.text_id.encode() for each in wrong]
        copied = [each for each in await read_all(attacked.bootstrap, topic) if any(id in each.value for id in ids)]
        assert len(copied) >= 2
        await attacked.replay(copied[-2:], 30)
    assert not await attacked.is_escalated()
    assert await attacked.alarms(0) == []

    # Real errors, each counted once. The alarm holds until it is cleared, whatever older record is written.
    await attacked.answer(await attacked.send(15), OTHER)
    await attacked.closed(attacked.sent)
    raised = await attacked.alarms(2)
    assert {each.cell.language for each in raised} == {None, "en"}
    assert {(each.reviews, each.errors) for each in raised} <= {(attacked.sent - 15 + n, 2 + n) for n in range(16)}
    assert await attacked.is_escalated()
    older = await attacked.records(attacked.topics.alarms)
    clears = [cleared(each, "lee", "looked into", None) for each in raised]
    await attacked.write(*(alarm_record(attacked.topics, each, "/cli", SIGNATURES) for each in clears))
    assert not await attacked.is_escalated()
    await attacked.replay(older)
    assert not await attacked.is_escalated()

    # Nor does an older clear end an alarm, also not for a router that starts later: the guardian writes it again.
    await attacked.answer(await attacked.send(15), OTHER)
    (again,) = [each for each in await attacked.alarms(5) if each.number == 3]
    assert (again.state, again.cell, again.clears) == (RAISED, ReviewCell(), 1)
    assert await attacked.is_escalated()
    clear = [each for each in await attacked.records(attacked.topics.alarms) if each.key == again.key][1]
    assert decode(clear, AlarmRaised).message.state == CLEARED
    await attacked.replay([clear])
    assert await attacked.is_escalated()

    async def is_written_again() -> bool:
        records = await read_all(attacked.bootstrap, attacked.topics.alarms)
        return decode([each for each in records if each.key == again.key][-1], AlarmRaised).message == again

    await eventually(is_written_again, WITHIN_S)
