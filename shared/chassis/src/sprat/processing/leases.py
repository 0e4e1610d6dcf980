"""Who has what in hand: for five minutes nobody else gets it. In Redis for all instances, else in this process."""

import logging
import time
from collections.abc import Callable
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sprat.base.retry import OnceAMinute
from sprat.base.settings import RedisSettings

log = logging.getLogger(__name__)

LEASE_S: Final = 300
"""How long somebody has something in hand."""
_TIMEOUT_S: Final = 1.0
_PAUSE_S: Final = 15.0
"""How long a Redis that does not answer is not asked."""
_MANY: Final = 10_000


class Leases:
    """Names that are held. Where Redis does not answer, those of this process alone count.

    Args:
        redis: that all instances share; None: there is one instance.
        namespace: how the names begin in Redis.
        clock: monotonic, in seconds.
    """

    def __init__(
        self, redis: RedisSettings | None, namespace: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis: Redis | None = None
        if redis is not None:
            self._redis = Redis.from_url(
                redis.url.get_secret_value(),
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                decode_responses=True,
            )
        self._namespace = namespace
        self._clock = clock
        self._own: dict[str, tuple[str, float]] = {}
        self._away_until = 0.0
        self._failed = OnceAMinute()

    async def take(self, name: str, holder: str) -> bool:
        """Return whether a holder has a name from now on, or has it already."""
        found = self._take_own(name, holder)
        if not found or (redis := self._reachable()) is None:
            return found
        try:
            key = self._namespace + name
            found = bool(await redis.set(key, holder, nx=True, ex=LEASE_S)) or await redis.get(key) == holder
        except (RedisError, OSError) as error:
            self._away(error)
        if not found:
            del self._own[name]
        return found

    async def assign(self, name: str, holder: str, for_s: int = LEASE_S) -> None:
        """Assign a name to a holder, whoever has it; to nobody, so that it is not handed out."""
        self._own[name] = (holder, self._clock() + for_s)
        if (redis := self._reachable()) is None:
            return
        try:
            await redis.set(self._namespace + name, holder, ex=for_s)
        except (RedisError, OSError) as error:
            self._away(error)

    async def close(self) -> None:
        """Disconnect."""
        if self._redis is not None:
            await self._redis.aclose()

    def _take_own(self, name: str, holder: str) -> bool:
        now = self._clock()
        if len(self._own) > _MANY:
            self._own = {each: held for each, held in self._own.items() if held[1] > now}
        has, until = self._own.get(name, (holder, 0.0))
        if has != holder and until > now:
            return False
        if until <= now:
            self._own[name] = (holder, now + LEASE_S)
        return True

    def _reachable(self) -> Redis | None:
        return None if self._clock() < self._away_until else self._redis

    def _away(self, error: Exception) -> None:
        self._away_until = self._clock() + _PAUSE_S
        if self._failed.due():
            log.warning(
                "Redis does not say what is in hand (%s): two instances may hand out the same",
                type(error).__name__,
            )
