"""The cache of answers on Redis, and the names of its entries.

Redis is an accelerator: slow, unreachable or holding something invalid is a counted miss, never an error. It is not
trusted: what it holds is encrypted, and only what a service of this installation wrote under the same key is read.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol
from uuid import uuid4

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sprat.base.retry import OnceAMinute
from sprat.base.sealing import Expired, NotSealed, Seal
from sprat.base.settings import RedisSettings
from sprat.telemetry import signals
from sprat.telemetry.process import event_loop_lag_s
from sprat.telemetry.spans import child_span

log = logging.getLogger(__name__)

_PAUSE_S = 1.0
_MAX_PAUSE_S = 15.0
_RETRY_S = 0.3
_CONNECTIONS = 8
_GROUP = 24
"""Hexadecimal digits: 96 bits tell apart all tenants and texts that there will be."""


def cache_key(hash: Callable[..., str], tenant: str, text: str, *parts: str) -> str:
    """Return the key of an answer about a tenant's text: hashes of the tenant, of the text, and of all parts.

    Whoever holds the secret finds all answers of a tenant, or about a text, by how their keys begin (`key_prefix`).
    """
    return f"{key_prefix(hash, tenant, text)}{hash(*parts, tenant, text)}"


def key_prefix(hash: Callable[..., str], tenant: str, text: str | None = None) -> str:
    """Return how the keys begin of all answers of a tenant, or of those about one of its texts."""
    of_tenant = f"{hash('cache-tenant', tenant)[:_GROUP]}:"
    return of_tenant if text is None else f"{of_tenant}{hash('cache-text', tenant, text)[:_GROUP]}:"


class Cache(Protocol):
    """Keys to bytes."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of all keys in one round trip; None for a miss."""
        ...

    async def put_many(self, values: Mapping[str, bytes]) -> None:
        """Store all values in one round trip."""
        ...


class RedisCache:
    """`Cache` on Redis: one MGET and one pipelined SET a batch.

    A failure opens its circuit breaker for a second, in which everything is a miss at once. Then one operation probes,
    while the others still miss; each probe that fails doubles the pause, up to 15 s. So a Redis that is unreachable, or
    that hangs, costs a time-out every 15 s and not one a batch.

    Where a miss costs money, `retries` is how often an operation is retried before it counts as a failure: a time-out
    also occurs when this process was busy and Redis was well. An operation in the first pause waits for its end and is
    then tried. A Redis that is unreachable for longer costs no more than without retries.

    Keys hold the tenant (they are hashes over all that an answer depends on: see `cache_key`), and each value is sealed
    to its key.
    `name` tells this cache from others in metrics and spans.
    """

    def __init__(
        self,
        settings: RedisSettings,
        namespace: str,
        seal: Seal,
        *,
        name: Literal["answers", "frontier", "door"] = "answers",
        retries: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._clock = clock
        self._timeout_s = settings.timeout_s
        self._retries = retries
        self._ttl_s = settings.ttl_s
        self._namespace = namespace
        self._seal = seal
        self._looking_up = asyncio.Lock()
        self._next_lookup: _Lookup | None = None
        """The keys for the next lookup of `get`; None: nobody waits for one."""
        self._process = uuid4().hex
        """Tells the counts of this process from those of others."""
        # Waits for a free connection; redis-py's default pool would raise instead.
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
        self._resume_at = -math.inf
        self._pauses = 0
        """Since the last success; none while the circuit breaker is closed."""
        self._probing = False
        """Whether an operation finds out, after a pause, if Redis works again."""
        self._reported = False
        """Whether the log says that it fails, and not yet that it works again."""
        self._failure, self._rejection = OnceAMinute(clock), OnceAMinute(clock)
        self._state = ""
        """What the metric shows."""
        self._show_state()

    @property
    def most_s(self) -> float:
        """The longest that an operation takes, in seconds: all its attempts, or the first pause and one attempt.

        `get` may wait for the lookup before its own, too.
        """
        attempts_s = (self._retries + 1) * self._timeout_s + self._retries * _RETRY_S
        return max(attempts_s, _PAUSE_S + self._timeout_s) if self._retries else attempts_s

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of all keys with one MGET, each attempt within the time-out."""
        found: list[Any] | None = None
        names = [self._namespace + key for key in keys]
        if keys and await self._available():
            found = await self._attempt("MGET", len(keys), lambda: self._redis.mget(names))
        sealed = [None] * len(keys) if found is None else found
        values: list[bytes | None] = []
        rejected = 0
        for name, value in zip(names, sealed, strict=True):
            try:
                values.append(None if value is None else self._seal.unseal(name, value))
            except Expired:  # Redis keeps it for a moment longer than the writer's clock says
                values.append(None)
            except NotSealed as error:
                values.append(None)
                rejected += 1
                self._report_rejected(error)
        hits = _present(values)
        self._count("hit", hits)
        self._count("rejected", rejected)
        self._count("miss", len(keys) - hits - rejected)
        return values

    async def put_many(self, values: Mapping[str, bytes]) -> None:
        """Store all values in one pipelined SET, each attempt within the time-out."""
        if values and await self._available():
            await self._attempt("SET", len(values), lambda: self._set(values))

    async def get(self, key: str) -> bytes | None:
        """Return the value of one key; None for a miss. All keys asked for during a lookup share the next MGET.

        Hundreds of operations side by side would hold each other up until they take longer than the time-out.
        """
        lookup = self._next_lookup
        if lookup is None:
            lookup = self._next_lookup = _Lookup()
            lookup.values = asyncio.create_task(self._look_up(lookup))
        lookup.keys.add(key)
        return (await asyncio.shield(lookup.values))[key]

    async def put(self, key: str, value: bytes) -> None:
        """Store one value."""
        await self.put_many({key: value})

    async def share_count(self, key: str, count: int, ttl_s: int) -> int | None:
        """Store what this process has counted, for so long, and return the sum over all other processes.

        Each process has a value of its own, sealed as all values are: who writes to Redis can delete counts, not make
        one. None where Redis does not tell.
        """
        name = self._namespace + key
        if not await self._available():
            return None
        found = await self._attempt("HSET", 1, lambda: self._share_count(name, count, ttl_s))
        if found is None:
            return None
        total = rejected = 0
        others = {process: sealed for process, sealed in found[-1].items() if process != self._process.encode()}
        for process, sealed in others.items():
            try:
                total += int(self._seal.unseal(_count_name(name, process.decode()), sealed))
            except Expired:
                continue
            except (NotSealed, UnicodeDecodeError) as error:
                rejected += 1
                self._report_rejected(error)
        self._count("rejected", rejected)
        return total

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _count(self, result: str, keys: int) -> None:
        if keys:
            signals.CACHE_LOOKUPS.add(keys, cache=self._name, result=result)

    async def _look_up(self, lookup: "_Lookup") -> dict[str, bytes | None]:
        async with self._looking_up:
            self._next_lookup = None
            keys = list(lookup.keys)
            return dict(zip(keys, await self.get_many(keys), strict=True))

    async def _set(self, values: Mapping[str, bytes]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in values.items():
            name = self._namespace + key
            pipeline.set(name, self._seal.seal(name, value, self._ttl_s), ex=self._ttl_s)
        await pipeline.execute()

    async def _share_count(self, name: str, count: int, ttl_s: int) -> list[Any] | None:
        pipeline = self._redis.pipeline(transaction=False)
        sealed = self._seal.seal(_count_name(name, self._process), str(count).encode(), ttl_s)
        pipeline.hset(name, self._process, sealed)
        pipeline.expire(name, ttl_s)
        pipeline.hgetall(name)
        try:
            found: list[Any] = await pipeline.execute()
        except ResponseError:  # somebody wrote a value of another kind there; Redis itself is well
            await self._redis.delete(name)
            return None
        return found

    def _report_rejected(self, error: Exception) -> None:
        if self._rejection.due():
            log.warning(
                "the cache %s holds a value that this installation did not write under this key: %s; ignored",
                self._name,
                error,
            )

    async def _available(self) -> bool:
        """Return whether to try Redis. Where a miss costs money, wait for the end of the first pause."""
        pause_s = self._resume_at - self._clock()
        if self._retries and self._pauses == 1:
            await asyncio.sleep(pause_s)  # returns at once after the pause
            return True
        return pause_s <= 0 and (not self._pauses or self._probe())

    def _probe(self) -> bool:
        """Return whether the caller's operation is the one that probes."""
        if self._probing:
            return False
        self._probing = True
        self._show_state()
        return True

    async def _attempt(self, command: str, keys: int, operation: Callable[[], Awaitable[Any]]) -> list[Any] | None:
        """Return the values that a command finds; None, after a pause has begun, when its last attempt has failed too.

        A command that finds nothing because it writes returns None as well.
        """
        try:
            return await self._attempts(command, keys, operation)
        finally:  # a cancelled probe, too, lets another operation probe
            self._probing = False
            self._show_state()

    async def _attempts(self, command: str, keys: int, operation: Callable[[], Awaitable[Any]]) -> list[Any] | None:
        for left in range(0 if self._pauses else self._retries, -1, -1):
            error: Exception | None = None
            labels = {"cache": self._name, "database_operation": command}
            with child_span(signals.REDIS, command, keys=keys, **labels) as span:
                began_s = time.perf_counter()
                try:
                    async with asyncio.timeout(self._timeout_s):
                        found: list[Any] | None = await operation()
                    span.set(hits=None if found is None else _present(found))
                except (RedisError, OSError, TimeoutError) as failed:
                    error = failed
                    labels["error"] = self._code(failed, time.perf_counter() - began_s)
                    span.fail(labels["error"])
                signals.CACHE_SECONDS.record(time.perf_counter() - began_s, **labels)
            if error is None:
                self._pauses = 0
                if self._reported:
                    self._reported = False
                    log.info("the cache of %s works again", self._name)
                return found
            if left:
                await asyncio.sleep(_RETRY_S)
            else:
                self._pause(labels["error"], error)
        return None

    def _code(self, error: Exception, took_s: float) -> str:
        """Return the error's code for the log, metrics and spans.

        `busy`: this process was late itself, so nobody knows whether Redis answered in time. `refused`: Redis answers
        with an error.
        """
        if isinstance(error, TimeoutError | RedisTimeoutError):
            late_s = max(event_loop_lag_s(), took_s - self._timeout_s)
            return "busy" if late_s > self._timeout_s / 2 else "timeout"
        return "unreachable" if isinstance(error, OSError | RedisConnectionError) else "refused"

    def _pause(self, code: str, error: Exception) -> None:
        now = self._clock()
        if self._failure.due():
            self._report_failed(code, error)
            self._reported = True
        if now >= self._resume_at:  # several may have failed at once
            self._resume_at = now + min(_MAX_PAUSE_S, _PAUSE_S * 2.0**self._pauses)
            self._pauses = min(self._pauses + 1, 32)

    def _report_failed(self, code: str, error: Exception) -> None:
        if code == "busy":  # no fault of Redis, and ordinary while everything starts on a small machine
            log.info("this machine is too busy to wait for the cache of %s; continuing without it", self._name)
            return
        details = {"timeout": f" (none within {self._timeout_s * 1000:g} ms)", "refused": f" ({type(error).__name__})"}
        cause = code + details.get(code, "")
        log.warning("the cache of %s does not answer: %s; continuing without it", self._name, cause)

    def _show_state(self) -> None:
        state = "half_open" if self._probing and self._pauses else "open" if self._pauses else "closed"
        if state == self._state:
            return
        self._state = state
        for each in ("closed", "half_open", "open"):
            signals.CACHE_BREAKER.set(int(each == state), cache=self._name, state=each)


class _Lookup:
    """Keys that share a round trip."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.values: asyncio.Task[dict[str, bytes | None]]


def _count_name(name: str, process: str) -> str:
    return f"{name}:{process}"


def _present(values: Sequence[Any]) -> int:
    return sum(value is not None for value in values)
