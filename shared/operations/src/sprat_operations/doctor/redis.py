"""Checks of Redis: reachable, fast, and what it does when it is full."""

import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sprat.base.checks import Check, ok, unknown, warning
from sprat.base.settings import RedisSettings

_TIMEOUT_S = 2.0
_MOST_CHARACTERS = 160
_LOSES = (
    "nothing is lost without it: the services' circuit breakers are open, answers are computed again, and quotas are "
    "each replica's own"
)


async def check_redis(settings: RedisSettings) -> AsyncIterator[Check]:
    """Check Redis; its URL may hold a password, so only host and port are shown."""
    url = settings.url.get_secret_value()
    parts = urlsplit(url)
    where = f"{parts.hostname or parts.path or '?'}:{parts.port or 6379}"
    try:
        client = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
    except ValueError:
        yield warning("redis", "SPRAT_REDIS__URL is not a Redis URL", "redis://HOST:PORT/0 or rediss://…")
        return
    try:
        await client.ping()
        began = time.monotonic()
        await client.ping()
        took_ms = (time.monotonic() - began) * 1000
        yield _speed(where, took_ms, settings.timeout_s * 1000)
        yield await _policy(client)
    except AuthenticationError:
        yield warning("redis", f"{where} refuses the password; {_LOSES}", "correct it in SPRAT_REDIS__URL")
    except ResponseError as error:
        # Such as "DENIED Redis is running in protected mode because …": the first sentence says why.
        yield warning("redis", f"{where} refuses commands: {_first_sentence(error)}; {_LOSES}", "let services in")
    except (RedisError, OSError) as error:
        hangs = isinstance(error, RedisTimeoutError)
        away = (
            f"{where} does not answer within {_TIMEOUT_S:g} s"
            if hangs
            else f"{where} cannot be reached ({type(error).__name__})"
        )
        if "url" in settings.model_fields_set:
            fix = "start one, or set SPRAT_REDIS__URL; `sprat up` brings its own"
            yield warning("redis", f"{away}; {_LOSES}", fix)
        else:
            fix = "set SPRAT_REDIS__URL to what the services have; `sprat up` brings its own Redis"
            yield unknown("redis", f"{away}, and SPRAT_REDIS__URL is not set here: the services may have another", fix)
    finally:
        await client.aclose()


def _first_sentence(error: ResponseError) -> str:
    return str(error).partition(". ")[0][:_MOST_CHARACTERS]


def _speed(where: str, took_ms: float, timeout_ms: float) -> Check:
    finding = f"{where} answers in {took_ms:.1f} ms"
    if took_ms < timeout_ms / 2:
        return ok("redis", finding)
    return warning("redis", f"{finding}, services wait {timeout_ms:.0f} ms at most", "run it closer to the services")


async def _policy(client: Redis) -> Check:
    try:
        config = await client.config_get("maxmemory*")
    except ResponseError:
        return ok("redis memory", "its policy cannot be read here (CONFIG is not permitted)")
    policy, limit = str(config.get("maxmemory-policy")), int(str(config.get("maxmemory", 0)))
    finding = f"{policy}, {f'at most {limit // 1_048_576} MiB' if limit else 'no limit'}"
    if limit and policy == "noeviction":
        return warning("redis memory", f"{finding}: when it is full it refuses writes", "maxmemory-policy allkeys-lru")
    if not limit:
        return warning(
            "redis memory", f"{finding}: it grows until the machine is full", "set maxmemory and allkeys-lru"
        )
    return ok("redis memory", finding)
