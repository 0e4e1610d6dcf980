"""What relies on private parts of a consumer of aiokafka, or of FastStream.

* `fetch_has_ended`: `AIOKafkaConsumer._fetcher._fetch_task`; aiokafka does not report that its fetch has ended.
* `wrap_polls`, `wrap_commits`: methods of one consumer are replaced; FastStream has no hook for polls.
* `on_consumer_created`: `broker.config.broker_config.builder`; FastStream has no hook before a consumer starts.
* `consume_loop_has_ended`: `subscriber.tasks`; FastStream does not report that its loop has ended.

The versions of both libraries are bounded in pyproject.toml; tests/unit/test_kafka_compat.py fails where a part is
gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

if TYPE_CHECKING:  # a command reads with aiokafka alone, and FastStream takes longer to import than all else
    from faststream.kafka import KafkaBroker

Poll = Callable[..., Awaitable[Mapping[TopicPartition, list[Any]]]]
Commit = Callable[[Mapping[TopicPartition, int]], Awaitable[None]]


def fetch_has_ended(consumer: Any) -> bool:
    """Return whether aiokafka's background fetch has ended: polls then return nothing, for ever."""
    task = getattr(getattr(consumer, "_fetcher", None), "_fetch_task", None)
    return isinstance(task, asyncio.Future) and task.done()


def consume_loop_has_ended(subscriber: Any) -> bool:
    """Return whether all tasks of a FastStream subscriber have ended."""
    return bool(subscriber.tasks) and all(task.done() for task in subscriber.tasks)


def wrap_polls(consumer: Any, wrap: Callable[[Poll], Poll]) -> None:
    """Replace a consumer's `getmany`, which FastStream polls, by what `wrap` makes of it."""
    consumer.getmany = wrap(consumer.getmany)


def wrap_commits(consumer: Any, wrap: Callable[[Commit], Commit]) -> None:
    """Replace a consumer's `commit` by what `wrap` makes of it."""
    consumer.commit = wrap(consumer.commit)


async def on_consumer_created(broker: "KafkaBroker", created: Callable[[Any], object]) -> None:
    """Call `created` with each consumer that the broker makes, before it is started.

    FastStream makes and starts a consumer in one call, so the builder in the broker's configuration is wrapped.
    `connect` makes the builder and therefore comes first; a broker that only consumes opens no connection there.
    """
    await broker.connect()
    configuration = broker.config.broker_config
    build = configuration.builder

    def build_and_report(**options: Any) -> Any:
        consumer = build(**options)
        created(consumer)
        return consumer

    configuration.builder = build_and_report
