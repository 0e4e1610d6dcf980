"""The cache of answers. Redis is an accelerator: slow, gone or holding nonsense is a counted miss, never an error."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from sprat.settings import RedisSettings

log = logging.getLogger(__name__)

_PAUSE_S = 1.0
_CONNECTIONS = 8


class Cache(Protocol):
    """Keys to bytes."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Look all up in one round trip; None for what is not there."""
        ...

    async def put_many(self, values: Mapping[str, bytes]) -> None:
        """Keep all, in one round trip."""
        ...


class RedisCache:
    """`Cache` on Redis: one MGET and one pipelined SET a batch.

    After a failure it rests for a second, so that a dead Redis costs one time-out a second and not one a batch.
    """

    def __init__(self, settings: RedisSettings, namespace: str) -> None:
        self._timeout_s = settings.timeout_s
        self._ttl_s = settings.ttl_s
        self._namespace = namespace
        # Who finds all connections taken waits for one; redis-py's own pool would raise instead.
        pool = BlockingConnectionPool.from_url(
            settings.url.get_secret_value(),
            max_connections=_CONNECTIONS,
            timeout=settings.timeout_s,
            socket_timeout=settings.timeout_s,
            socket_connect_timeout=settings.timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._resume_at = 0.0
        self.counts: Counter[str] = Counter()
        """hit, miss, error."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Look all up in one MGET within the time-out."""
        nothing: list[bytes | None] = [None] * len(keys)
        if not keys or time.monotonic() < self._resume_at:
            self.counts["miss"] += len(keys)
            return nothing
        try:
            async with asyncio.timeout(self._timeout_s):
                found: list[Any] = await self._redis.mget([self._namespace + key for key in keys])
        except (RedisError, OSError, TimeoutError) as error:
            self._rest(error)
            self.counts["miss"] += len(keys)
            return nothing
        hits = sum(value is not None for value in found)
        self.counts["hit"] += hits
        self.counts["miss"] += len(keys) - hits
        return found

    async def put_many(self, values: Mapping[str, bytes]) -> None:
        """Keep all in one pipelined SET within the time-out."""
        if not values or time.monotonic() < self._resume_at:
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                pipeline = self._redis.pipeline(transaction=False)
                for key, value in values.items():
                    pipeline.set(self._namespace + key, value, ex=self._ttl_s)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._rest(error)

    async def get(self, key: str) -> bytes | None:
        """Look one up."""
        return (await self.get_many([key]))[0]

    async def put(self, key: str, value: bytes) -> None:
        """Keep one."""
        await self.put_many({key: value})

    async def close(self) -> None:
        """Let the connections go."""
        await self._redis.aclose()

    def _rest(self, error: Exception) -> None:
        if self.counts["error"] == 0 or time.monotonic() > self._resume_at + 60:
            log.warning("the cache is away: %s; going on without it", type(error).__name__)
        self.counts["error"] += 1
        self._resume_at = time.monotonic() + _PAUSE_S
