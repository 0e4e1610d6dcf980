"""FastStream's part of a loop: the options with which it loses nothing, and what watches over it."""

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import ConsumerStoppedError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from sprat.base.channels import Channels
from sprat.base.errors import Fatal, ends_task
from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import AUTHORISATION_ERRORS, ISOLATION_LEVEL
from sprat.kafka.compat import Poll, consume_loop_has_ended, fetch_has_ended, wrap_polls
from sprat.telemetry import signals
from sprat.telemetry.health import STALLED_S, LoopProgress

log = logging.getLogger("sprat.faststream")

POLL_MS = 1_000
"""How long one poll waits for records, which end it at once. FastStream sleeps as long after a poll without records, so
`watch_polls` returns none: it polls again."""
REBALANCE_MS = 60_000
MAX_POLL_MS = 300_000
HEARTBEAT_MS = 500
"""How soon a member learns of a rebalance: until then, nobody reads the partitions of one that has left."""

HUNG_S = 300.0
"""Work that has not advanced for so long is stuck: Kafka revokes the partitions after `max.poll.interval.ms`."""

_TOPICS_DIGITS = 8
"""Hexadecimal digits of a hash that tell lists of topics apart."""

Handle = Callable[[Sequence[ConsumerRecord]], Awaitable[None]]


def make_broker(settings: KafkaSettings, client_id: str) -> KafkaBroker:
    """Return the FastStream broker of a service: it only consumes; `Publisher` publishes."""
    return KafkaBroker(
        settings.bootstrap.split(","),
        client_id=client_id,
        security=_security(settings),
        consumer_only=True,
        allow_auto_create_topics=False,
        # Work is drained before the broker is stopped; None would cancel without any wait.
        graceful_timeout=0.5,
        # Handlers get the records: no validation of a batch as one value, no change of thread for injection.
        apply_types=False,
        parser=_tolerant_parser,
        decoder=_identity,
        logger=log,
        log_level=logging.DEBUG,
    )


def subscribe(
    broker: KafkaBroker,
    channels: Channels,
    group: str,
    handle: Handle,
    listener: Any,
    settings: KafkaSettings,
) -> Any:
    """Register a batch subscriber that commits nothing by itself and reads no records of aborted transactions."""

    async def consume(message: Any) -> None:  # annotated below with the message that AsyncAPI shows
        await handle(message.raw_message)

    consume.__annotations__["message"] = channels.payload
    subscriber = broker.subscriber(
        *channels.reads,
        group_id=group,
        batch=True,
        ack_policy=AckPolicy.MANUAL,
        no_reply=True,
        auto_offset_reset="earliest",
        isolation_level=ISOLATION_LEVEL,
        batch_timeout_ms=POLL_MS,
        max_records=settings.max_records,
        partition_assignment_strategy=(StickyPartitionAssignor,),
        group_instance_id=static_member(settings.instance_id, channels.reads),
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=min(HEARTBEAT_MS, settings.session_timeout_ms // 3),
        rebalance_timeout_ms=REBALANCE_MS,
        max_poll_interval_ms=MAX_POLL_MS,
        listener=listener,
        title=group,
        description=channels.description,
    )
    subscriber(consume)
    return subscriber


def static_member(instance_id: str | None, topics: Iterable[str]) -> str | None:
    """Return the `group.instance.id` of an instance that reads these topics; None without an instance id.

    A static member that comes back to a stable group gets its old assignment, whatever it subscribes to now (KIP-345):
    nobody would read a topic that is new to it. With other topics it is therefore another member.
    """
    if instance_id is None:
        return None
    return f"{instance_id}-{hashlib.sha256(' '.join(sorted(topics)).encode()).hexdigest()[:_TOPICS_DIGITS]}"


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
    mechanisms = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return mechanisms[client["sasl_mechanism"]](
        client["sasl_plain_username"],
        client["sasl_plain_password"],
        ssl_context=context,
        use_ssl=context is not None,
    )


def watch_polls(
    consumer: Any, group: str, progress: LoopProgress, admission: AdmissionControl, failure: Failure
) -> None:
    """Poll until there are records; record and count every poll, and end the process at the first that fails.

    FastStream sleeps after a poll without records, and would not see those that come meanwhile. It stops a subscriber
    by cancelling the task that polls, so a stop does not wait for a poll.

    A failed poll may have lost records of other partitions whose positions have moved on: the next commit would skip
    them. FastStream only logs the error, waits and polls again. It also drops what it has polled after an error of its
    own, before the service's loop has it (`LoopProgress.taken`): then the next poll fails.
    """

    def fail(error: Fatal) -> None:
        admission.close(permanently=True)
        failure.report(error)

    def watch(poll: Poll) -> Poll:
        async def watched(*arguments: Any, **options: Any) -> Mapping[TopicPartition, list[Any]]:
            records: Mapping[TopicPartition, list[Any]] = {}
            if not progress.taken:
                lost = Fatal("records that were polled did not reach the loop; nothing was committed after them")
                fail(lost)
                raise lost
            while not records:
                try:
                    records = await poll(*arguments, **options)
                except ConsumerStoppedError:
                    raise
                except BaseException as error:
                    if not ends_task(error):
                        fail(_poll_failure(error))
                    raise
                progress.turn()
            progress.taken = False
            _count_polled(records, group)
            return records

        return watched

    wrap_polls(consumer, watch)


async def poll_records(consumer: Any, max_records: int) -> list[ConsumerRecord]:
    """Wait for records as FastStream does, and return them; cancelling it loses none."""
    batches = await consumer.getmany(timeout_ms=POLL_MS, max_records=max_records)
    return [record for batch in batches.values() for record in batch]


def _count_polled(records: Mapping[TopicPartition, list[Any]], group: str) -> None:
    by_topic: Counter[str] = Counter()
    for partition, batch in records.items():
        by_topic[partition.topic] += len(batch)
    if by_topic.total():
        signals.BATCH_SIZE.record(by_topic.total(), group=group)
    for topic, count in by_topic.items():
        signals.CONSUMED.add(count, operation="poll", destination=topic, group=group)


def _poll_failure(error: BaseException) -> Fatal:
    name = type(error).__name__
    if isinstance(error, AUTHORISATION_ERRORS):
        return Fatal(f"Kafka does not let this service read: {name}; check the ACLs")
    return Fatal(f"Kafka cannot be read: {name}; nothing was committed after it, the records are read again")


async def watchdog(consumer: Any, subscriber: Any, progress: LoopProgress, admission: AdmissionControl) -> None:
    """Watch the loops inside the libraries and the service's own work.

    Raises:
        Fatal: one has ended or does not make progress.
    """
    while True:
        await asyncio.sleep(1)
        if admission.in_progress:
            progress.turn()
            if time.monotonic() - admission.changed_at > HUNG_S:
                raise Fatal(f"the work in progress has not advanced for {HUNG_S:.0f} s; the process must restart")
        if not progress.alive:
            raise Fatal(f"the consume loop has not polled for {STALLED_S:.0f} s; the process must restart")
        if consume_loop_has_ended(subscriber):
            raise Fatal("the consume loop has ended; the process must restart")
        if fetch_has_ended(consumer):
            raise Fatal("the consumer has stopped fetching; the process must restart")
