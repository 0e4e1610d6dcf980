"""The cache on a real Redis: an accelerator that is never an error."""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import SecretStr

from conftest import Redis
from sprat.base.keys import Keys
from sprat.base.sealing import Seal
from sprat.base.settings import RedisSettings
from sprat.processing.cache import RedisCache
from sprat.runtime import CLOSE_S
from sprat_frontier.__main__ import STORE_RETRIES, STORE_S
from sprat_local.processes.ports import free_port
from sprat_local.redis import EmbeddedRedis
from support.metrics import Metrics
from support.spans import RECORD, Spans
from support.stream import eventually

SEAL = Seal(Keys(SecretStr("a secret for the tests")))


def cache(
    url: str,
    *,
    name: Literal["answers", "frontier"] = "answers",
    retries: int = 0,
    clock: Callable[[], float] = time.monotonic,
    **more: object,
) -> RedisCache:
    return RedisCache(RedisSettings(url=SecretStr(url), **more), "test:", SEAL, name=name, retries=retries, clock=clock)


def failures(metrics: Metrics) -> int:
    """Return how many operations of Redis have failed."""
    return sum(
        metrics.count("sprat.cache.duration", error=code) for code in ("timeout", "busy", "unreachable", "refused")
    )


class Clock:
    """The monotonic clock, which a test can set ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


async def test_what_was_put_is_found_and_expires(metrics: Metrics, redis_server: Redis, prefix: str) -> None:
    kept = cache(redis_server.url, ttl_s=1, timeout_s=0.5)
    await kept.put_many({f"{prefix}a": b"1", f"{prefix}b": b"\x00\xff"})
    assert await kept.get_many([f"{prefix}a", f"{prefix}x", f"{prefix}b"]) == [b"1", None, b"\x00\xff"]
    other = cache(redis_server.url, name="frontier", timeout_s=0.5)
    await eventually(lambda: _is_missing(other, f"{prefix}a"), 3)
    await other.close()
    assert await kept.get(f"{prefix}a") is None
    assert metrics.value("sprat.cache.lookups", cache="answers", result="hit") == 2
    assert metrics.value("sprat.cache.lookups", cache="answers", result="miss") == 2
    assert metrics.count("sprat.cache.duration", cache="answers", database_operation="MGET") == 2
    assert metrics.count("sprat.cache.duration", cache="answers", database_operation="SET") == 1
    assert failures(metrics) == 0
    await kept.close()


async def _is_missing(cache: RedisCache, key: str) -> bool:
    return await cache.get(key) is None


async def test_hundreds_at_once_wait_for_a_connection_instead_of_missing(
    metrics: Metrics, redis_server: Redis, prefix: str
) -> None:
    kept = cache(redis_server.url, timeout_s=5)
    await kept.put(prefix, b"here")
    assert await asyncio.gather(*(kept.get(prefix) for _ in range(300))) == [b"here"] * 300
    assert failures(metrics) == 0
    await kept.close()


async def test_what_is_asked_for_during_a_lookup_shares_the_next_round_trip(
    metrics: Metrics, redis_server: Redis, prefix: str
) -> None:
    kept = cache(redis_server.url, timeout_s=5)
    await kept.put_many({f"{prefix}{n}": str(n).encode() for n in range(0, 600, 2)})
    lookups = [asyncio.create_task(kept.get(f"{prefix}{n}")) for n in range(300)]
    await asyncio.sleep(0)
    lookups += [asyncio.create_task(kept.get(f"{prefix}{n}")) for n in range(300, 600)]
    lookups[0].cancel()
    found = await asyncio.gather(*lookups, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [str(n).encode() if n % 2 == 0 else None for n in range(1, 600)]
    assert metrics.count("sprat.cache.duration", database_operation="MGET") == 2
    assert metrics.value("sprat.cache.lookups", cache="answers", result="hit") == 300
    await kept.close()


async def test_a_redis_that_is_gone_costs_one_timeout_a_second_and_comes_back(metrics: Metrics) -> None:
    clock = Clock()
    with EmbeddedRedis() as server:
        kept = cache(server.url, clock=clock, timeout_s=0.4)
        await kept.put("a", b"1")
        server.kill()
        began = time.monotonic()
        assert [await kept.get("a") for _ in range(50)] == [None] * 50
        assert time.monotonic() - began < 0.5
        assert metrics.value("sprat.cache.lookups", result="miss") == 50, "in the pause, too"
        assert metrics.count("sprat.cache.duration", error="unreachable") == failures(metrics) == 1
        server.start()
        clock.ahead_s = 1.1
        await kept.put("a", b"2")
        assert await kept.get("a") == b"2"
        await kept.close()


async def test_a_redis_that_hangs_is_left_after_50_ms_and_counts_as_a_timeout(metrics: Metrics, spans: Spans) -> None:
    with EmbeddedRedis() as server:
        kept = cache(server.url)
        await kept.put("a", b"1")
        server.pause()
        try:
            began = time.monotonic()
            with spans.record():
                assert await kept.get("a") is None
            assert time.monotonic() - began < 0.3
        finally:
            server.resume()
        span = spans.one("MGET")
        code = span.attributes["error.type"]
        assert code in {"timeout", "busy"}, "on a busy machine, this process may be late itself"
        assert span.status.status_code == StatusCode.ERROR
        assert metrics.count("sprat.cache.duration", database_operation="MGET", error=code) == 1
        assert metrics.value("sprat.cache.duration", error=code) >= 0.05
        assert metrics.value("sprat.cache.lookups", result="miss") == 1
        await kept.close()


async def test_where_a_miss_costs_money_a_redis_that_hangs_for_a_moment_is_asked_again(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddedRedis() as server:
        kept = cache(server.url, timeout_s=0.2, retries=3)
        await kept.put("a", b"1")
        server.pause()
        asyncio.get_running_loop().call_later(0.5, server.resume)
        assert await kept.get("a") == b"1"
        server.pause()
        asyncio.get_running_loop().call_later(0.5, server.resume)
        await kept.put("b", b"2")
        assert await kept.get("b") == b"2"
        assert failures(metrics) >= 2
        assert metrics.value("sprat.cache.lookups", result="miss") in {None, 0}
        assert "fails" not in caplog.text
        await kept.close()


async def test_where_a_miss_costs_money_a_process_that_was_held_up_asks_again() -> None:
    with EmbeddedRedis() as server:
        kept = cache(server.url, timeout_s=0.1, retries=1)
        await kept.put("a", b"1")
        asking = asyncio.create_task(kept.get("a"))
        await asyncio.sleep(0)
        time.sleep(0.3)  # it is this loop that is held up
        assert await asking == b"1"
        await kept.close()


async def test_where_a_miss_costs_money_the_rest_after_a_failure_is_waited_for(metrics: Metrics) -> None:
    with EmbeddedRedis() as server:
        kept = cache(server.url, timeout_s=0.1, retries=1)
        await kept.put("a", b"1")
        server.pause()
        assert await kept.get("a") is None
        server.resume()
        began = time.monotonic()
        found, _ = await asyncio.gather(kept.get("a"), kept.put("b", b"2"))
        assert 0.7 < time.monotonic() - began < kept.most_s
        assert found == b"1", "a miss would be paid for"
        assert await kept.get("b") == b"2", "it was paid for"
        assert failures(metrics) == 2, "of the first look-up, which is tried twice"
        await kept.close()


async def test_where_a_miss_costs_money_a_redis_that_stays_away_costs_ever_fewer_timeouts() -> None:
    clock = Clock()
    with EmbeddedRedis() as server:
        kept = cache(server.url, timeout_s=0.1, retries=2, clock=clock)
        await kept.put("a", b"1")
        server.pause()
        try:
            for _ in range(2):  # all its tries; then the first rest, and one more
                began = time.monotonic()
                assert await kept.get("a") is None
                assert time.monotonic() - began < kept.most_s + 0.2
            began = time.monotonic()
            assert [await kept.get("a") for _ in range(50)] == [None] * 50
            assert time.monotonic() - began < 0.2, "nobody waits for a Redis that is known to be away"
        finally:
            server.resume()
        clock.ahead_s = 2.1  # the second pause is twice the first
        assert await kept.get("a") == b"1"
        assert kept.most_s == pytest.approx(1.1)
        await kept.close()


async def test_a_stop_of_the_frontier_has_time_to_keep_a_paid_answer() -> None:
    kept = cache("redis://127.0.0.1:1/0", timeout_s=STORE_S, retries=STORE_RETRIES)
    assert kept.most_s < CLOSE_S
    await kept.close()


async def test_a_long_outage_is_in_the_log_each_minute_also_soon_after_a_short_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    with EmbeddedRedis() as server:
        kept = cache(server.url, clock=clock, timeout_s=0.5)
        await kept.put("a", b"1")
        for outage_s in (1.1, 200):
            server.pause()
            try:
                for _ in range(int(outage_s // 20) + 1):
                    assert await kept.get("a") is None
                    clock.ahead_s += 20
            finally:
                server.resume()
            assert await kept.get("a") == b"1"
        assert sum("does not answer: timeout" in each for each in caplog.messages) == 4, (
            "once, and then at 60, 120 and 180 s"
        )
        await kept.close()


async def test_that_the_service_itself_is_late_is_no_fault_of_redis(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sprat.processing.cache")
    with EmbeddedRedis() as server:
        kept = cache(server.url, timeout_s=0.5)
        await kept.put("a", b"1")
        server.pause()  # else its answer might be there before the service is late
        asyncio.get_running_loop().call_later(0.1, time.sleep, 1.0)  # as one that gets no CPU
        assert await kept.get("a") is None
        server.resume()
        await kept.close()
    assert metrics.count("sprat.cache.duration", error="busy") == 1
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("INFO", "this machine is too busy to wait for the cache of answers; continuing without it")
    ]


async def test_the_log_says_once_why_the_cache_fails_and_once_that_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "sprat.processing.cache")
    clock = Clock()
    with EmbeddedRedis() as server:
        kept = cache(server.url, clock=clock, timeout_s=0.5)
        await kept.put("a", b"1")
        server.pause()
        try:
            for _ in range(3):
                assert await kept.get("a") is None
                clock.ahead_s += 1.1
        finally:
            server.resume()
        for _ in range(3):
            assert await kept.get("a") == b"1"
        assert caplog.messages == [
            "the cache of answers does not answer: timeout (none within 500 ms); continuing without it",
            "the cache of answers works again",
        ]
        await kept.close()
    caplog.clear()
    away = cache(f"redis://127.0.0.1:{free_port()}/0")
    await away.get("a")
    assert caplog.messages == ["the cache of answers does not answer: unreachable; continuing without it"]
    await away.close()


async def test_a_redis_that_never_was_is_a_miss() -> None:
    kept = cache(f"redis://127.0.0.1:{free_port()}/0")
    assert await kept.get("a") is None
    await kept.put("a", b"1")
    await kept.close()


async def test_an_operation_is_a_span_below_the_current_one(
    metrics: Metrics, spans: Spans, redis_server: Redis, prefix: str
) -> None:
    kept = cache(redis_server.url, name="frontier", timeout_s=0.5)
    await kept.put_many({f"{prefix}a": b"hidden", f"{prefix}b": b"2"})
    assert spans.all == (), "outside a traced record there is none"
    with spans.record():
        await kept.put_many({f"{prefix}a": b"hidden", f"{prefix}b": b"2"})
        await kept.get_many([f"{prefix}a", f"{prefix}b", f"{prefix}c"])
    writing, reading = spans.all
    about = {"db.system.name": "redis", "sprat.cache.name": "frontier"}
    assert (writing.name, writing.attributes) == ("SET", about | {"db.operation.name": "SET", "sprat.cache.keys": 2})
    assert (reading.name, reading.attributes) == (
        "MGET",
        about | {"db.operation.name": "MGET", "sprat.cache.keys": 3, "sprat.cache.hits": 2},
    )
    assert {span.kind for span in spans.all} == {SpanKind.CLIENT}
    assert {spans.parent(span) for span in spans.all} == {RECORD}
    assert prefix not in spans.words
    assert "hidden" not in spans.words
    await kept.close()


async def test_an_error_of_redis_itself_is_told_from_a_redis_that_is_away(metrics: Metrics) -> None:
    with EmbeddedRedis() as server:
        kept = cache(server.url, timeout_s=0.5)
        await kept._redis.config_set("min-replicas-to-write", 1)
        await kept.put("a", b"1")
        assert metrics.count("sprat.cache.duration", database_operation="SET", error="refused") == 1
        assert metrics.count("sprat.cache.duration") == 1
        await kept.close()
