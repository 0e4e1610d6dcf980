"""A call whose record is not acknowledged in time is not made, and the audit says so: `not_sent`."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from sprat.kafka.publisher import Acknowledged, OutRecord
from support import frontier_parts as parts
from support.audit_log import Log, audit, message, verified
from support.stream import eventually


class SlowLog(Log):
    """A Kafka that acknowledges nothing before `free` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.free = asyncio.Event(), asyncio.Event()

    async def publish(self, records: Sequence[OutRecord], hold_s: float | None = None) -> list[Acknowledged]:
        self.asked.set()
        await self.free.wait()
        return await super().publish(records, hold_s)

    def phases(self) -> list[tuple[str, str | None]]:
        return [(record.phase, record.outcome) for record in map(message, self.records)]


@pytest.fixture
def log() -> SlowLog:
    return SlowLog()


@pytest.fixture
def frontier(log: SlowLog) -> parts.FrontierHarness:
    harness = parts.FrontierHarness()
    harness.audit = audit(log)
    harness.restart()
    return harness


def nothing_left(answered: Any) -> bool:
    return (answered.declined.code, answered.egress.left, answered.egress.call_id) == ("deadline", False, None)


async def test_a_call_that_nobody_waits_for_any_longer_has_attempt_and_outcome(log, frontier):
    assert nothing_left(await frontier.answer(parts.request(deadline_ms=100)))
    assert log.phases() == []
    log.free.set()
    await eventually(lambda: len(log.records) == 2)
    await frontier.audit.close()
    assert log.phases() == [("attempt", None), ("outcome", "not_sent")]
    assert frontier.provider.questions == []
    assert verified(log).findings == []
    assert log.checkpoints[-1].value.count(b'"closed":true') == 1, "no call is left without its outcome"


async def test_who_still_has_time_asks_again_when_the_record_came_too_late_for_the_first(log, frontier):
    first = asyncio.create_task(frontier.answer(parts.request(deadline_ms=100, id="first")))
    await log.asked.wait()
    second = asyncio.create_task(frontier.answer(parts.request(deadline_ms=20_000, id="second")))
    assert nothing_left(await first)
    frontier.clock.ms += 100
    log.free.set()
    answered = await second
    assert answered.output is not None
    log.answers += [await first, answered]
    await frontier.audit.close()
    assert log.phases() == [("attempt", None), ("outcome", "not_sent"), ("attempt", None), ("outcome", "answered")]
    assert len(frontier.provider.questions) == 1
    assert verified(log).findings == []
