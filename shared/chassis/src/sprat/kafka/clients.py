"""The one place that makes Kafka consumers, so that all of them read committed records alone."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import (
    KafkaError,
    UnknownTopicOrPartitionError,
    for_code,
)

from sprat.settings import KafkaSettings

ISOLATION_LEVEL: Final = "read_committed"
"""aiokafka's default is `read_uncommitted`: it returns the records of aborted transactions as well."""


def make_consumer(client: Mapping[str, Any], *topics: str, **options: Any) -> Any:
    """Return a consumer, not started, that commits nothing by itself.

    Args:
        client: the arguments of an aiokafka client, see `KafkaSettings.client`.
        topics: what to subscribe to.
        options: more arguments of `AIOKafkaConsumer`.
    """
    return AIOKafkaConsumer(*topics, **client, isolation_level=ISOLATION_LEVEL, enable_auto_commit=False, **options)


# Closing clients of a broker that may be gone: they would wait for it up to 40 s.

CLOSE_S = 1.0


async def close_in_time(*closers: Callable[[], Awaitable[None]]) -> None:
    """Call each in turn and give up on one that takes longer than `CLOSE_S` or fails."""
    for close in closers:
        requests = cancel_requests()
        try:
            async with asyncio.timeout(CLOSE_S):
                await close()
        except (TimeoutError, KafkaError, OSError):
            continue
        except asyncio.CancelledError:
            if cancel_requests() > requests:
                raise


def cancel_requests() -> int:
    """Give how often this task was asked to end.

    aiokafka cancels its own inner tasks, and that surfaces as a CancelledError although nobody cancelled this task:
    then this number has not grown.
    """
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


# Makes the topics of an installation and compares those that exist with the table. Changes none that exist.


def missing_topics(described: Iterable[Mapping[str, Any]]) -> list[str]:
    """Give the topics that do not exist, of those that a broker described.

    Raises:
        KafkaError: it says something else of one, as that this user may not know of it.
    """
    missing = []
    for each in described:
        error = for_code(each["error_code"])
        if error is UnknownTopicOrPartitionError:
            missing.append(each["topic"])
        elif each["error_code"]:
            raise error(each["topic"])
    return sorted(missing)


# How commands reach Kafka: shared options, settings, and errors that say what to do.

REQUEST_TIMEOUT_MS = 10_000
"""A person waits; services are more patient."""


def client_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Give what an aiokafka client of a command takes.

    Raises:
        UserError: a certificate or a SASL setting is missing.
    """
    return kafka.client() | {"request_timeout_ms": REQUEST_TIMEOUT_MS}
