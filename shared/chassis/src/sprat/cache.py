"""Keyed hashes: cache keys and the like say nothing of the text to who does not hold the secret."""

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from pydantic import SecretStr
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from sprat.settings import RedisSettings


class KeyedHash:
    """HMAC-SHA-256 over a sequence of strings, unambiguous about where one ends and the next begins."""

    def __init__(self, secret: SecretStr) -> None:
        self._key = secret.get_secret_value().encode()

    def __call__(self, *parts: str) -> str:
        """Give 64 hexadecimal digits."""
        message = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256).hex()


# The cache of answers. Redis is an accelerator: slow, gone or holding nonsense is a counted miss, never an error.

log = logging.getLogger(__name__)

_PAUSE_S = 1.0
_RETRY_S = 0.3
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

    After a failure it rests for a second in which all is a miss at once: to who asks one after the other, a dead Redis
    costs one time-out a second and not one a batch.

    Where a miss costs money, `retries` says how often an operation is tried again before it counts as a failure. A
    time-out also ends when this process itself was held up, while Redis was well. What comes in the first rest then
    waits until it is over, and is tried. A Redis that is away longer costs no more than elsewhere.
    """

    def __init__(self, settings: RedisSettings, namespace: str, *, retries: int = 0) -> None:
        self._timeout_s = settings.timeout_s
        self._retries = retries
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
        self._rests = 0
        """Since the last success."""
        self.counts: Counter[str] = Counter()
        """hit, miss, error."""

    @property
    def most_s(self) -> float:
        """The longest that an operation takes, in seconds: all its tries, or the first rest and one try."""
        tries_s = (self._retries + 1) * self._timeout_s + self._retries * _RETRY_S
        return max(tries_s, _PAUSE_S + self._timeout_s) if self._retries else tries_s

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Look all up in one MGET, each try within the time-out."""
        nothing: list[bytes | None] = [None] * len(keys)
        if not keys or not await self._awake():
            self.counts["miss"] += len(keys)
            return nothing
        found: list[Any] | None = await self._tried(lambda: self._redis.mget([self._namespace + key for key in keys]))
        if found is None:
            self.counts["miss"] += len(keys)
            return nothing
        hits = sum(value is not None for value in found)
        self.counts["hit"] += hits
        self.counts["miss"] += len(keys) - hits
        return found

    async def put_many(self, values: Mapping[str, bytes]) -> None:
        """Keep all in one pipelined SET, each try within the time-out."""
        if not values or not await self._awake():
            return
        await self._tried(lambda: self._set(values))

    async def get(self, key: str) -> bytes | None:
        """Look one up."""
        return (await self.get_many([key]))[0]

    async def put(self, key: str, value: bytes) -> None:
        """Keep one."""
        await self.put_many({key: value})

    async def close(self) -> None:
        """Let the connections go."""
        await self._redis.aclose()

    async def _set(self, values: Mapping[str, bytes]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in values.items():
            pipeline.set(self._namespace + key, value, ex=self._ttl_s)
        await pipeline.execute()

    async def _awake(self) -> bool:
        """Tell whether to try. Where a miss costs money, wait for the end of the first rest."""
        rest_s = self._resume_at - time.monotonic()
        if rest_s > 0 and self._retries and self._rests == 1:
            await asyncio.sleep(rest_s)
            return True
        return rest_s <= 0

    async def _tried(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Give what an operation gives within its time-out; None, and a rest, when its last try has failed too."""
        for left in range(0 if self._rests else self._retries, -1, -1):
            try:
                async with asyncio.timeout(self._timeout_s):
                    given = await operation()
            except (RedisError, OSError, TimeoutError) as error:
                if left == 0:
                    self._rest(error)
            else:
                self._rests = 0
                return given
            if left:
                await asyncio.sleep(_RETRY_S)
        return None

    def _rest(self, error: Exception) -> None:
        now = time.monotonic()
        if self.counts["error"] == 0 or now > self._resume_at + 60:
            log.warning("the cache is away: %s; going on without it", type(error).__name__)
        self.counts["error"] += 1
        self._rests += now >= self._resume_at  # many may have failed at once
        self._resume_at = now + _PAUSE_S
