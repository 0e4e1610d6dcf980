"""With a frozen or dead broker, the traffic figures say that it is unreachable, and its clients can be closed."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import pytest

from sprat.kafka.clients import close_in_time
from sprat_operations.traffic import Traffic, TrafficFigures


async def cancelled_inside() -> None:
    raise asyncio.CancelledError


async def never() -> None:
    await asyncio.Event().wait()


async def nothing(**_: object) -> dict[str, object]:
    return {}


def watching(measure: object, *, broker_answers: bool = False) -> Traffic:
    async def answers(_timeout_s: float) -> bool:
        return broker_answers

    traffic = Traffic.__new__(Traffic)
    traffic.figures = TrafficFigures(texts=5, texts_per_s=2.0, lag={"sprat.router": 7})
    traffic._consumer = SimpleNamespace(getmany=nothing)
    traffic._meter = SimpleNamespace(measure=measure, answers=answers)
    return traffic


@pytest.mark.parametrize("answers", [True, False], ids=["another broker answers", "none answers"])
@pytest.mark.parametrize("measure", [never, cancelled_inside], ids=["frozen", "dead"])
async def test_figures_that_cannot_be_measured_are_blank(measure, answers):
    figures = await watching(measure, broker_answers=answers).look(timeout_s=0.05)
    assert (figures.reachable, figures.measured, figures.lag, figures.texts_per_s) == (answers, False, {}, 0.0)
    assert figures.texts == 5


async def test_a_measurement_can_be_cancelled():
    looking = asyncio.create_task(watching(never).look())
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking


async def test_a_client_that_cancels_itself_while_closing_hides_no_error():
    closed = []

    async def close() -> None:
        closed.append("the next one")

    async def fail() -> None:
        try:
            raise ValueError("what went wrong")
        finally:
            await close_in_time(cancelled_inside, close)

    with pytest.raises(ValueError, match="what went wrong"):
        await fail()
    assert closed == ["the next one"]


async def swallow() -> None:
    """Close as aiokafka's client does, which suppresses every cancellation while its own task ends."""
    with suppress(asyncio.CancelledError):
        await never()


@pytest.mark.parametrize("close", [never, swallow])
async def test_closing_can_be_cancelled(close):
    closing = asyncio.create_task(close_in_time(close, never))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
