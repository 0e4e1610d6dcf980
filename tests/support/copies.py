"""What several brokers have of a topic: who leads, and which copies are in sync."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from support.stream import eventually


async def described(bootstrap: str, topics: Iterable[str]) -> list[dict[str, Any]]:
    """Return what one of the brokers knows of the partitions of topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        shown: Iterator[Any] = (topic["partitions"] for topic in await admin.describe_topics(list(topics)))
        return [partition for partitions in shown for partition in partitions]
    finally:
        await admin.close()


async def leader(bootstrap: str, topic: str) -> int:
    """Return which broker leads the first partition of a topic."""
    return next(int(each["leader"]) for each in await described(bootstrap, [topic]) if each["partition"] == 0)


async def in_sync(bootstrap: str, topics: Iterable[str], count: int, timeout_s: float = 90) -> None:
    """Wait until exactly so many copies of each partition of topics are in sync."""
    names = list(topics)

    async def are() -> bool:
        with suppress(KafkaError, OSError):  # it may ask one that is away
            return {len(each["isr"]) for each in await described(bootstrap, names)} == {count}
        return False

    await eventually(are, timeout_s)
