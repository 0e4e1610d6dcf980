"""Kafka clients: the one place that makes consumers, and what commands share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)

from sprat.base.errors import Retryable
from sprat.base.settings import KafkaSettings
from sprat.kafka.bounded_records import install_bounded_records
from sprat.kafka.requests import metadata_request

ISOLATION_LEVEL: Final = "read_committed"
"""aiokafka's default is `read_uncommitted`: it returns the records of aborted transactions as well."""

AUTHORISATION_ERRORS: Final = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)
"""The ACLs deny it: a retry does not help."""

NO_ANSWER: Final = (KafkaError, OSError, TimeoutError)
"""What a client raises while Kafka is away, or where it refuses."""

CONNECT_S: Final = 120.0
"""How long a service that starts waits for Kafka."""

CLOSE_S = 1.0
"""A client of an unreachable broker would take up to 40 s to close."""

_POLL_RECORDS = 100
"""Of a poll without a number of its own: compressed records may be 1 MiB each where they are unpacked."""

REQUEST_TIMEOUT_MS = 10_000
"""Of a command: a user waits for it. Services wait longer."""


def make_consumer(client: Mapping[str, Any], *topics: str, **options: Any) -> Any:
    """Return a consumer, not started, that reads committed records within limits, and commits nothing by itself.

    Args:
        client: the arguments of an aiokafka client, see `KafkaSettings.client`.
        topics: what to subscribe to.
        options: more arguments of `AIOKafkaConsumer`.
    """
    install_bounded_records()
    bounded = {"isolation_level": ISOLATION_LEVEL, "enable_auto_commit": False, "max_poll_records": _POLL_RECORDS}
    return AIOKafkaConsumer(*topics, **client, **bounded, **options)


def client_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the arguments of an aiokafka client of a command.

    Raises:
        UserError: a certificate or a SASL setting is missing.
    """
    return kafka.client() | {"request_timeout_ms": REQUEST_TIMEOUT_MS}


def missing_topics(descriptions: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the topics that do not exist, of those that a broker described.

    Raises:
        KafkaError: the broker reports another error, for instance that this user may not describe a topic.
    """
    missing = []
    for description in descriptions:
        error = for_code(description["error_code"])
        if error is UnknownTopicOrPartitionError:
            missing.append(description["topic"])
        elif description["error_code"]:
            raise error(description["topic"])
    return sorted(missing)


async def require_topics(kafka: KafkaSettings, topics: Iterable[str]) -> None:
    """Check that topics exist. It creates none, whatever the broker does for clients that ask for a topic.

    A topic that the ACLs hide counts as existing: whoever reads it is told what is missing.

    Raises:
        Retryable: one does not exist, or Kafka does not answer.
    """
    client = AIOKafkaClient(**kafka.client())
    try:
        await client.bootstrap()
        answer = await client.send(client.get_random_node(), metadata_request(topics))
    except (KafkaError, OSError) as error:
        raise Retryable(type(error).__name__) from None
    finally:
        await close_in_time(client.close)
    for description in answer.to_object()["topics"]:
        if for_code(description["error_code"]) is UnknownTopicOrPartitionError:
            raise Retryable(f"topic {description['topic']} does not exist: run `sprat topics create`")


async def close_in_time(*closers: Callable[[], Awaitable[None]]) -> None:
    """Call each in turn; give up on one that fails or takes longer than `CLOSE_S`."""
    for close in closers:
        requests = cancel_requests()
        try:
            async with asyncio.timeout(CLOSE_S):
                await close()
        except (*NO_ANSWER, asyncio.CancelledError):
            pass
        if cancel_requests() > requests:  # also where aiokafka suppressed it
            raise asyncio.CancelledError


def cancel_requests() -> int:
    """Return how often this task was asked to cancel.

    aiokafka cancels tasks of its own, which surfaces as a CancelledError although nobody cancelled this task: then this
    number has not grown.
    """
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
