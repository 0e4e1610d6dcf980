"""What the chassis lends to a service, and what a built service gives back."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord

from sprat.cache import KeyedHash, RedisCache
from sprat.channels import Channels
from sprat.kafka.offsets import Consumer
from sprat.kafka.publisher import Publisher
from sprat.lifecycle import AdmissionControl, Failure
from sprat.processing.batch_loop import BatchLoop
from sprat.processing.cached_inference import CachedInference
from sprat.processing.checkpoint import Checkpoint, ignore
from sprat.processing.concurrent_loop import ConcurrentHandler, ConcurrentLoop
from sprat.processing.handler import Handler
from sprat.processing.outbox import Outbox
from sprat.settings import ServiceSettings
from sprat.telemetry.tracing import Tracing
from sprat_contracts import KafkaRecord, Topics


@dataclass(slots=True)
class Subscription:
    """What a built service reads, and how."""

    declaration: Channels
    group: str
    handle: Callable[[Sequence[ConsumerRecord]], Awaitable[None]]
    let_go: Callable[[], Awaitable[None]] | None = None


@dataclass(slots=True)
class ServiceContext:
    """What the chassis lends to a service."""

    name: str
    version: str
    settings: ServiceSettings
    publisher: Publisher
    cache: RedisCache
    stack: AsyncExitStack
    tracing: Tracing
    model: str | None = None
    """The name by which texts ask for the model that the service runs; None where it runs none."""
    counts: Counter[str] = field(default_factory=Counter)
    gate: AdmissionControl = field(default_factory=AdmissionControl)
    failure: Failure = field(default_factory=Failure)
    consumers: list[Consumer] = field(default_factory=list)
    checkpoint: Checkpoint = ignore
    """Called by the loops that are made afterwards; only tests set it."""

    @property
    def topics(self) -> Topics:
        """The names of the topics."""
        return self.settings.kafka.topics

    @property
    def group(self) -> str:
        """The consumer group of this service: one for each service, by its name."""
        return f"{self.settings.kafka.prefix}.{self.name}"

    @property
    def keyed_hash(self) -> KeyedHash:
        """Hashes under the installation's secret."""
        return KeyedHash(self.settings.secret)

    def consumer(self) -> Consumer:
        """Give the running consumer."""
        return self.consumers[0]

    def outbox(self) -> Outbox:
        """Give what publishes under this service's name."""
        return Outbox(self.name, self.version, self.topics, self.publisher)

    def batch_loop(
        self,
        handler: Handler,
        answering: CachedInference | None = None,
        refresh: Callable[[], Awaitable[None]] | None = None,
        owns: Callable[[KafkaRecord], bool] | None = None,
    ) -> BatchLoop:
        """Make the loop of a service that handles batches."""
        return BatchLoop(
            handler,
            self.outbox(),
            self.consumer,
            self.tracing,
            self.gate,
            self.failure,
            self.counts,
            answering,
            refresh,
            owns,
            checkpoint=self.checkpoint,
            give_up_s=self.settings.kafka.give_up_s,
        )

    def flight_loop(self, handler: ConcurrentHandler, capacity: int) -> ConcurrentLoop:
        """Make the loop of a service whose work is slow and independent."""
        return ConcurrentLoop(
            handler,
            self.outbox(),
            self.consumer,
            self.tracing,
            self.gate,
            self.failure,
            self.counts,
            capacity,
            self.settings.kafka.give_up_s,
            checkpoint=self.checkpoint,
        )
