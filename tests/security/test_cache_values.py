"""Who can read and write Redis learns nothing of the texts, and can change no answer."""

import logging
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis as Client

from conftest import Redis
from sprat.base.keys import Keys
from sprat.base.sealing import Seal
from sprat.base.settings import RedisSettings
from sprat.processing.cache import RedisCache
from support.clock import Clock
from support.metrics import Metrics

SECRET = SecretStr("the secret of this installation")
VALUE = b'0.999\n{"label": "transfer"}'
PLANTED = b"Anna Schmidt"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def cache(redis_server: Redis, prefix: str, clock: Clock) -> AsyncIterator[RedisCache]:
    settings = RedisSettings.model_validate({"url": redis_server.url, "timeout_s": 5, "ttl_s": 60})
    made = RedisCache(settings, f"{prefix}:", Seal(Keys(SECRET), clock))
    yield made
    await made.close()


@pytest.fixture
async def intruder(redis_server: Redis) -> AsyncIterator[Client]:
    """Yield a client of somebody who may read and write everything in Redis."""
    client = Client.from_url(redis_server.url)
    yield client
    await client.aclose()


async def test_nothing_of_a_value_can_be_read(cache: RedisCache, intruder: Client, prefix: str) -> None:
    for key in ("a", "b"):
        await cache.put(key, PLANTED * 20)
    stored = [await intruder.get(f"{prefix}:{key}") for key in ("a", "b")]
    assert all(value is not None and PLANTED not in value for value in stored)
    assert stored[0] != stored[1], "equal values do not look equal"


async def test_the_same_value_looks_different_each_time(cache: RedisCache, intruder: Client, prefix: str) -> None:
    looks = set()
    for _ in range(3):
        await cache.put("a", VALUE)
        looks.add(await intruder.get(f"{prefix}:a"))
    assert len(looks) == 3


@pytest.mark.parametrize("forged", [VALUE, b"", b"\x01", b"\x01" + bytes(12), b"\x01" + bytes(60)], ids=range(5))
async def test_a_forged_value_is_a_counted_miss(
    cache: RedisCache,
    intruder: Client,
    prefix: str,
    forged: bytes,
    metrics: Metrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await intruder.set(f"{prefix}:a", forged)
            assert await cache.get("a") is None
    assert metrics.value("sprat.cache.lookups", cache="answers", result="rejected") == 3
    assert caplog.text.count("the cache answers holds a value that this installation did not write under this key") == 1
    await cache.put("a", VALUE)
    assert await cache.get("a") == VALUE, "what is computed anew takes its place"


async def test_a_value_of_another_key_is_a_counted_miss(
    cache: RedisCache, intruder: Client, prefix: str, metrics: Metrics
) -> None:
    """The key stands for tenant, text, task and model: a moved value would answer another question."""
    await cache.put("a", VALUE)
    moved = await intruder.get(f"{prefix}:a")
    assert moved is not None
    await intruder.set(f"{prefix}:b", moved)
    assert await cache.get_many(["a", "b"]) == [VALUE, None]
    assert metrics.value("sprat.cache.lookups", result="rejected") == 1


async def test_a_value_that_is_kept_past_its_time_is_a_counted_miss(
    cache: RedisCache, intruder: Client, prefix: str, clock: Clock, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    await cache.put("a", VALUE)
    await intruder.persist(f"{prefix}:a")
    clock.now_s += 59
    assert await cache.get("a") == VALUE
    clock.now_s += 2
    assert await cache.get("a") is None
    assert metrics.value("sprat.cache.lookups", result="miss") == 1
    assert caplog.messages == [], "clocks differ: that is no alarm"


async def test_values_of_another_secret_are_a_counted_miss(
    cache: RedisCache, redis_server: Redis, prefix: str, metrics: Metrics
) -> None:
    other = RedisCache(
        RedisSettings.model_validate({"url": redis_server.url, "timeout_s": 5}),
        f"{prefix}:",
        Seal(Keys(SecretStr("another"))),
    )
    await other.put("a", VALUE)
    assert await cache.get("a") is None
    assert metrics.value("sprat.cache.lookups", result="rejected") == 1
    await other.close()


async def test_nobody_can_make_a_count_that_uses_up_a_quota(
    cache: RedisCache, intruder: Client, redis_server: Redis, prefix: str, clock: Clock, metrics: Metrics
) -> None:
    settings = RedisSettings.model_validate({"url": redis_server.url, "timeout_s": 5})
    other = RedisCache(settings, f"{prefix}:", Seal(Keys(SECRET), clock))
    try:
        assert await other.share_count("n", 5, 60) == 0
        assert await cache.share_count("n", 2, 60) == 5
        assert await other.share_count("n", 6, 60) == 2, "its own count is not among those of others"
        stored = await intruder.hvals(f"{prefix}:n")
        await intruder.hset(f"{prefix}:n", mapping={"forged": b"1000000", "copied": stored[0]})
        assert await cache.share_count("n", 3, 60) == 6
        assert metrics.value("sprat.cache.lookups", cache="answers", result="rejected") == 2
        await intruder.set(f"{prefix}:n", b"1000000")
        assert await cache.share_count("n", 4, 60) is None, "it cannot be told"
        assert await cache.share_count("n", 5, 60) == 0
        assert await cache.get("another") is None
        assert metrics.value("sprat.cache.breaker", cache="answers", state="closed") == 1
    finally:
        await other.close()
