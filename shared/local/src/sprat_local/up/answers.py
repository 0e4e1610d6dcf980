"""Notices of a server that stops answering, and of one that answers again: one that hangs seems to run."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sprat_cli.traffic import format_age
from sprat_local.kafka import probe
from sprat_local.processes.notices import Notice, OnNotice
from sprat_local.processes.service_process import ProcessState
from sprat_local.processes.supervisor import SupervisedServer

_TIMEOUT_S: Final = 0.5
_OTHERS_SERVE: Final = "the others serve what it has, while two of three are left"
_MEANING: Final = "the services go on without it, and their circuit breakers try it every 15 s at most"


class AnswerNotices:
    """Sends a notice when a server stops answering, and one with how long it took once it answers again."""

    def __init__(
        self, service: str, meaning: str, on_notice: OnNotice, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with a server that answers.

        Args:
            service: the name of the server.
            meaning: what follows while it does not answer.
            on_notice: receives what happens.
            clock: in seconds.
        """
        self._service = service
        self._meaning = meaning
        self._on_notice = on_notice
        self._clock = clock
        self._away_since: float | None = None

    def tell(self, *, answers: bool) -> None:
        """Send a notice of a change against the last time."""
        if not answers and self._away_since is None:
            self._away_since = self._clock()
            self._on_notice(Notice(self._service, "warning", f"does not answer; {self._meaning}"))
        elif answers and self._away_since is not None:
            took = format_age(self._clock() - self._away_since)
            self._away_since = None
            self._on_notice(Notice(self._service, "info", f"answers again, after {took}"))


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


class BrokerWatch:
    """Asks each broker of several, and tells when its answer changes."""

    def __init__(self, brokers: Mapping[int, SupervisedServer], on_notice: OnNotice) -> None:
        """Take the brokers by their node ids."""
        self._brokers = brokers
        self._notices = {each.name: AnswerNotices(each.name, _OTHERS_SERVE, on_notice) for each in brokers.values()}

    async def look(self) -> list[str]:
        """Return the names of those that run but do not answer now; the supervisor tells of those that do not run."""
        asked = {node: each for node, each in self._brokers.items() if each.state is ProcessState.READY}
        answers = await asyncio.gather(
            *(asyncio.to_thread(probe.is_serving, each.port, node) for node, each in asked.items())
        )
        silent = []
        for broker, serves in zip(asked.values(), answers, strict=True):
            if broker.state is ProcessState.READY and broker.pid is not None:  # still: else it has died meanwhile
                self._notices[broker.name].tell(answers=serves)
                silent += [] if serves else [broker.name]
        return silent
