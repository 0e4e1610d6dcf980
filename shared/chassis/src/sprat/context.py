"""What a service gets from the chassis, and what it returns when it is built."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition

from sprat.base.channels import Channels
from sprat.base.errors import Retryable
from sprat.base.keys import KeyedHash
from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.base.retry import retry_until
from sprat.base.settings import ServiceSettings
from sprat.kafka.clients import require_topics
from sprat.kafka.consumer import poll_records
from sprat.kafka.offsets import Consumer
from sprat.kafka.publisher import Publisher
from sprat.kafka.signatures import Signatures
from sprat.processing.batch_loop import BatchLoop
from sprat.processing.batch_steps import BatchSteps, Refresh
from sprat.processing.cache import RedisCache
from sprat.processing.cached_inference import CachedInference
from sprat.processing.concurrent_loop import ConcurrentLoop
from sprat.processing.handler import ConcurrentHandler, Handler, ModelHandler
from sprat.processing.loop import Checkpoint, LoopContext, no_checkpoint
from sprat.processing.outbox import Outbox
from sprat.telemetry import attributes
from sprat.telemetry.health import LoopProgress
from sprat.telemetry.providers import Telemetry
from sprat.telemetry.tracing import Tracing
from sprat_contracts import KafkaRecord, TextSubmitted, Topics

NO_TENANT: Final[str] = TextSubmitted.model_fields["tenant"].default
"""The tenant of texts that name none."""


@dataclass(slots=True)
class Subscription:
    """What a built service reads, and how."""

    channels: Channels
    group: str
    handle: Callable[[Sequence[ConsumerRecord]], Awaitable[None]]
    release: Callable[[], Awaitable[None]] | None = None
    """Called when partitions are revoked and when the service stops, after the drain."""
    model_version: str | None = None
    """The version of the service's model, where it has one."""
    client_suffix: str = ""
    """Ends the client id. By it, whoever looks at the group sees which members have another setting."""
    can_wait: Collection[str] = ()
    """Topics whose records may wait a fifth of a second: they are fetched ten times a second, for batches."""


@dataclass(slots=True)
class ServiceContext:
    """What a service gets from the chassis: settings, connections, and loops."""

    name: str
    version: str
    settings: ServiceSettings
    publisher: Publisher
    cache: RedisCache
    stack: AsyncExitStack
    """Closed when the service stops."""
    tracing: Tracing
    model: str | None = None
    """The name by which texts ask for the service's model; None where it has none."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    admission: AdmissionControl = field(default_factory=AdmissionControl)
    failure: Failure = field(default_factory=Failure)
    progress: LoopProgress = field(default_factory=LoopProgress)
    consumers: list[Consumer] = field(default_factory=list)
    checkpoint: Checkpoint = no_checkpoint
    """Observes the loops that are made afterwards; only tests set it."""
    signatures: Signatures = field(init=False)

    def __post_init__(self) -> None:
        """Derive the keys of the signatures."""
        self.signatures = Signatures.of(self.settings)

    @property
    def topics(self) -> Topics:
        """The names of the topics."""
        return self.settings.kafka.topics

    @property
    def group(self) -> str:
        """The consumer group of this service, by its name."""
        return f"{self.settings.kafka.prefix}.{self.name}"

    @property
    def keyed_hash(self) -> KeyedHash:
        """Hashes with a key of the installation."""
        return self.settings.keys.keyed_hash

    def consumer(self) -> Consumer:
        """Return the running consumer."""
        return self.consumers[0]

    async def wait_for_topics(self, *topics: str) -> None:
        """Wait for topics: at the first start of an installation, another process may still be creating them.

        Raises:
            Fatal: one does not exist, or Kafka does not answer, for as long as a service tries.
        """

        async def require() -> None:
            await require_topics(self.settings.kafka, topics)

        await retry_until(require, Retryable, self.settings.kafka.give_up_s)

    def name_tenants(self, names: Collection[str]) -> None:
        """Let metrics name these tenants alone, and that of texts without one; all others are `other`.

        Who writes texts may invent tenants: the first ones would take the labels from those that the owner knows.
        Without any name, the first tenants get the labels.
        """
        if names:
            self.stack.enter_context(attributes.TENANT.only((NO_TENANT, *names)))

    def is_assigned(self, topic: str, partition: int) -> bool:
        """Return whether the group has assigned this partition to this instance, as far as it knows."""
        return any(TopicPartition(topic, partition) in consumer.assignment() for consumer in self.consumers)

    def assigned_part(self, topic: str) -> float:
        """Return which part of a topic's partitions the group has assigned to this instance: one of them at least."""
        own = [each for consumer in self.consumers for each in consumer.assignment() if each.topic == topic]
        return min(1.0, max(1, len(own)) / self.topics.partitions)

    def batch_loop(
        self,
        handler: Handler | ModelHandler,
        cached_inference: CachedInference | None = None,
        refresh: Refresh | None = None,
        owns: Callable[[KafkaRecord], bool] | None = None,
        may_ask: Callable[[KafkaRecord], bool] | None = None,
    ) -> BatchLoop:
        """Return the loop of a service that handles batches."""

        async def poll() -> Sequence[KafkaRecord]:
            records = await poll_records(self.consumer(), self.settings.kafka.max_records)
            self.progress.taken = True
            return records

        steps = BatchSteps(self._loop_context(), handler, cached_inference, refresh, owns, may_ask)
        return BatchLoop(steps, poll)

    def concurrent_loop(self, handler: ConcurrentHandler, capacity: int) -> ConcurrentLoop:
        """Return the loop of a service whose records are slow and independent."""
        return ConcurrentLoop(self._loop_context(), handler, capacity)

    def _loop_context(self) -> LoopContext:
        return LoopContext(
            outbox=Outbox(self.name, self.version, self.topics, self.publisher, self.signatures),
            signatures=self.signatures,
            consumer=self.consumer,
            tracing=self.tracing,
            admission=self.admission,
            failure=self.failure,
            give_up_s=self.settings.kafka.give_up_s,
            default_language=self.settings.default_language,
            checkpoint=self.checkpoint,
        )
