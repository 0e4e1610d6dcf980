"""The FastStream side of a loop: what this library must be told so that it loses nothing."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import ConsumerStoppedError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from sprat.channels import Channels
from sprat.errors import Fatal
from sprat.health import STALLED_S, LoopProgress
from sprat.kafka.clients import ISOLATION_LEVEL
from sprat.kafka.publisher import AUTHORISATION_ERRORS
from sprat.lifecycle import AdmissionControl, Failure
from sprat.settings import KafkaSettings

log = logging.getLogger("sprat.faststream")

POLL_MS = 20
"""FastStream sleeps this long after an empty poll of the same length: it bounds both latency and idle CPU."""
REBALANCE_MS = 60_000
MAX_POLL_MS = 300_000

Handle = Callable[[Sequence[ConsumerRecord]], Awaitable[None]]


def make_broker(settings: KafkaSettings, client_id: str) -> KafkaBroker:
    """Make the FastStream broker of a service: it only consumes; publishing is `Publisher`'s."""
    return KafkaBroker(
        settings.bootstrap.split(","),
        client_id=client_id,
        security=_security(settings),
        consumer_only=True,
        allow_auto_create_topics=False,
        # The gate has drained before the broker is stopped; None would cancel without a wait at all.
        graceful_timeout=0.5,
        # Handlers get the records themselves: no validation of a batch as one value, no thread hop for injection.
        apply_types=False,
        parser=_tolerant_parser,
        decoder=_identity,
        logger=log,
        log_level=logging.DEBUG,
    )


def subscribe(
    broker: KafkaBroker,
    declaration: Channels,
    group: str,
    handle: Handle,
    listener: Any,
    settings: KafkaSettings,
) -> Any:
    """Register a batch subscriber that commits nothing by itself and reads no records of aborted transactions."""

    async def consume(message: Any) -> None:  # annotated below with what AsyncAPI is to show
        await handle(message.raw_message)

    consume.__annotations__["message"] = declaration.payload
    subscriber = broker.subscriber(
        *declaration.reads,
        group_id=group,
        batch=True,
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        auto_offset_reset="earliest",
        isolation_level=ISOLATION_LEVEL,
        batch_timeout_ms=POLL_MS,
        max_records=settings.max_records,
        partition_assignment_strategy=(StickyPartitionAssignor,),
        group_instance_id=settings.instance_id,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=min(3_000, settings.session_timeout_ms // 3),
        rebalance_timeout_ms=REBALANCE_MS,
        max_poll_interval_ms=MAX_POLL_MS,
        listener=listener,
        title=group,
        description=declaration.description,
    )
    subscriber(consume)
    return subscriber


async def on_consumer_created(broker: KafkaBroker, created: Callable[[Any], object]) -> None:
    """Call `created` with each consumer that the broker makes, before it is started.

    FastStream makes the consumer and starts it in one call and has no hook between the two. So the builder in the
    broker's configuration is wrapped; it is not documented. `connect` makes the builder, hence it comes first; a broker
    that only consumes opens no connection there.
    """
    await broker.connect()
    configuration = broker.config.broker_config
    build = configuration.builder

    def build_and_report(**options: Any) -> Any:
        consumer = build(**options)
        created(consumer)
        return consumer

    configuration.builder = build_and_report


async def _identity(message: KafkaAckableMessage) -> KafkaAckableMessage:
    return message


async def _tolerant_parser(records: tuple[ConsumerRecord, ...]) -> KafkaAckableMessage:
    """Wrap the records as they are.

    FastStream's own parser decodes every header as UTF-8 and fails the whole batch on one that is not.
    """
    return KafkaAckableMessage(raw_message=records, body=b"", headers={}, consumer=None)


def _security(settings: KafkaSettings) -> BaseSecurity | None:
    client = settings.client()
    context = client.get("ssl_context")
    if "sasl_mechanism" not in client:
        return BaseSecurity(ssl_context=context) if context else None
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return kinds[client["sasl_mechanism"]](
        client["sasl_plain_username"],
        client["sasl_plain_password"],
        ssl_context=context,
        use_ssl=context is not None,
    )


# Watching a consumer: what it would hide must end the process, for nobody else sees it.

HUNG_S = 300.0
"""Work that has not moved for so long is stuck: Kafka takes the partitions away after `max.poll.interval.ms`."""


def watch_polls(consumer: Any, progress: LoopProgress, gate: AdmissionControl, failure: Failure) -> None:
    """Note every poll, and end the process at the first that fails.

    A poll that raises may have taken records of other partitions with it, whose positions have moved on: the next
    commit would pass them. FastStream logs, sleeps and polls on; it has no hook for polls, so the consumer's own method
    is wrapped.
    """
    poll = consumer.getmany

    async def watched(*arguments: Any, **options: Any) -> Any:
        try:
            records = await poll(*arguments, **options)
        except ConsumerStoppedError:
            raise
        except Exception as error:
            gate.close(for_good=True)
            failure.report(_told(error))
            raise
        progress.turn()
        return records

    consumer.getmany = watched


def _told(error: Exception) -> Fatal:
    name = type(error).__name__
    if isinstance(error, AUTHORISATION_ERRORS):
        return Fatal(f"Kafka does not let this service read: {name}; mend its ACLs")
    return Fatal(f"Kafka cannot be read: {name}; nothing was committed after it, the records come again")


async def watchdog(consumer: Any, subscriber: Any, progress: LoopProgress, gate: AdmissionControl) -> None:
    """Watch the loops inside the libraries and our own work.

    Raises:
        Fatal: one is dead or does not move.
    """
    while True:
        await asyncio.sleep(1)
        if gate.in_hand:
            progress.turn()
            if time.monotonic() - gate.moved_at > HUNG_S:
                raise Fatal(f"the work in hand has not moved for {HUNG_S:.0f} s; the process must start anew")
        if not progress.alive:
            raise Fatal(f"the consume loop has not turned for {STALLED_S:.0f} s; the process must start anew")
        if subscriber.tasks and all(task.done() for task in subscriber.tasks):
            raise Fatal("the consume loop has ended; the process must start anew")
        if _fetcher_is_dead(consumer):
            raise Fatal("the consumer fetches no more; the process must start anew")


def _fetcher_is_dead(consumer: Any) -> bool:
    """Say whether aiokafka's background fetch has ended: polls then find nothing, and nothing public tells."""
    task = getattr(getattr(consumer, "_fetcher", None), "_fetch_task", None)
    return isinstance(task, asyncio.Future) and task.done()
