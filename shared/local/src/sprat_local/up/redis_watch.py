"""Whether Redis answers, for the view of a running installation: a process that hangs looks as one that runs."""

from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sprat_local.processes.notices import OnNotice
from sprat_local.up.answer_notices import AnswerNotices

_TIMEOUT_S: Final = 0.5
_MEANING: Final = "the services go on without it, and their circuit breakers try it every 15 s at most"


class RedisWatch:
    """Asks Redis, and tells when its answer changes."""

    def __init__(self, url: str, on_notice: OnNotice) -> None:
        self._redis: Redis = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        self._notices = AnswerNotices("redis", _MEANING, on_notice)

    async def look(self) -> bool:
        """Return whether it answers now."""
        try:
            answers = bool(await self._redis.ping())
        except (RedisError, OSError):
            answers = False
        self._notices.tell(answers=answers)
        return answers

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()
