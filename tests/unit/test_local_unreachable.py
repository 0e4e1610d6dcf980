"""A broker that is frozen or gone: looking at it and closing its clients goes on, and says so."""

import asyncio
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


def watching(measure: object) -> Traffic:
    traffic = Traffic.__new__(Traffic)
    traffic.figures = TrafficFigures(texts=5, texts_per_s=2.0, lag={"sprat.router": 7})
    traffic._consumer = SimpleNamespace(getmany=nothing)
    traffic._meter = SimpleNamespace(measure=measure)
    return traffic


@pytest.mark.parametrize("measure", [never, cancelled_inside], ids=["frozen", "gone"])
async def test_what_cannot_be_measured_is_left_blank(measure, monkeypatch):
    monkeypatch.setattr("sprat_operations.traffic._LOOK_S", 0.05)
    figures = await watching(measure).look()
    assert (figures.reachable, figures.lag, figures.texts_per_s) == (False, {}, 0.0)
    assert figures.texts == 5


async def test_a_look_can_be_cancelled():
    looking = asyncio.create_task(watching(never).look())
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking


async def test_a_client_that_cancels_itself_while_it_closes_hides_nothing():
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


async def test_closing_can_be_cancelled():
    closing = asyncio.create_task(close_in_time(never, never))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
