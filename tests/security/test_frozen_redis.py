"""A Redis that hangs, as after SIGSTOP: it costs ever fewer time-outs, and operators see it."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.sealing import Seal
from sprat.base.settings import RedisSettings
from sprat.processing.cache import RedisCache
from sprat_local.processes.notices import Notice
from sprat_local.redis import EmbeddedRedis
from sprat_local.up.answers import RedisWatch
from sprat_operations.doctor.redis import check_redis
from support.metrics import Metrics

STATES = ("closed", "half_open", "open")


class Clock:
    """A monotonic clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis() as running:
        yield running
        running.resume()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(metrics: Metrics, server: EmbeddedRedis, clock: Clock) -> AsyncIterator[RedisCache]:
    settings = RedisSettings(url=SecretStr(server.url), timeout_s=0.4)
    made = RedisCache(settings, "t:", Seal(Keys(SecretStr("a secret for the tests"))), clock=clock)
    yield made
    await made.close()


def shown(metrics: Metrics) -> str:
    (state,) = [each for each in STATES if metrics.value("sprat.cache.breaker", cache="answers", state=each)]
    return state


def timeouts(metrics: Metrics) -> int:
    """Return how many operations got no answer in time; `busy` where this process was late, too, on a full machine."""
    return sum(metrics.count("sprat.cache.duration", error=error) for error in ("timeout", "busy"))


async def test_one_operation_probes_and_each_failed_probe_doubles_the_pause(
    cache: RedisCache, server: EmbeddedRedis, clock: Clock, metrics: Metrics
) -> None:
    await cache.put("a", b"1")
    assert shown(metrics) == "closed"
    server.pause()
    for number, pause_s in enumerate((1, 2, 4, 8, 15, 15)):
        together = 20 if number else 1
        assert await asyncio.gather(*(cache.get("a") for _ in range(together))) == [None] * together
        assert (timeouts(metrics), shown(metrics)) == (number + 1, "open")
        clock.now_s += pause_s - 0.1
        assert await cache.get("a") is None
        assert timeouts(metrics) == number + 1, "no operation is tried in the pause"
        clock.now_s += 0.1
    probe = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0.05)
    assert shown(metrics) == "half_open"
    server.resume()
    assert await probe == b"1"
    assert shown(metrics) == "closed"
    assert [await cache.get("a") for _ in range(3)] == [b"1"] * 3


async def test_a_cancelled_probe_lets_another_probe(cache: RedisCache, server: EmbeddedRedis, clock: Clock) -> None:
    await cache.put("a", b"1")
    server.pause()
    assert await cache.get("a") is None
    clock.now_s += 1
    probe = asyncio.create_task(cache.get("a"))
    await asyncio.sleep(0.05)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    server.resume()
    assert await cache.get("a") == b"1"


async def test_none_says_that_the_counts_of_others_cannot_be_told(cache: RedisCache, server: EmbeddedRedis) -> None:
    assert await cache.share_count("n", 1, 60) == 0
    server.pause()
    assert await cache.share_count("n", 2, 60) is None


async def test_up_tells_when_redis_hangs_and_when_it_answers_again(server: EmbeddedRedis) -> None:
    notices: list[Notice] = []
    watch = RedisWatch(server.url, notices.append)
    assert await watch.look()
    server.pause()
    began = time.monotonic()
    assert [await watch.look(), await watch.look()] == [False, False]
    assert time.monotonic() - began < 3
    server.resume()
    assert await watch.look()
    await watch.close()
    away, back = notices
    assert (away.service, away.level, away.text.partition(";")[0]) == ("redis", "warning", "does not answer")
    assert back.level == "info"
    assert re.fullmatch(r"answers again, after [012] s", back.text), back.text


async def test_doctor_tells_that_redis_hangs(server: EmbeddedRedis) -> None:
    server.pause()
    (check,) = [each async for each in check_redis(RedisSettings(url=SecretStr(server.url)))]
    assert check.status.value == "warning"
    assert "does not answer within 2 s; nothing is lost without it: the services' circuit breakers are open" in (
        check.finding
    )
