"""The life of a service process: connect, start, work, drain, stop. `__main__` gives it a `build` function."""

import asyncio
import logging
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError, KafkaError

from sprat.cache import RedisCache
from sprat.deadline import Deadline
from sprat.declaration import Declaration
from sprat.delivery.answering import Answering
from sprat.delivery.assignment import Assignment
from sprat.delivery.backoff import Backoff
from sprat.delivery.batch_loop import BatchLoop
from sprat.delivery.failure import Failure
from sprat.delivery.faults import KillSwitch
from sprat.delivery.flight_loop import FlightHandler, FlightLoop
from sprat.delivery.gate import Gate
from sprat.delivery.offsets import Consumer
from sprat.delivery.outbox import Outbox
from sprat.delivery.outcomes import Handler
from sprat.delivery.publisher import AUTHORISATION_ERRORS, Publisher
from sprat.delivery.subscription import make_broker, subscribe
from sprat.errors import Fatal, SpratError, UserError
from sprat.health import STALLED_S, HealthServer, Progress
from sprat.keyed_hash import KeyedHash
from sprat.settings import ServiceSettings, load_settings
from sprat.telemetry.logs import configure_logs
from sprat.telemetry.tracing import Tracing, configure_tracing
from sprat_contracts import Topics

log = logging.getLogger(__name__)

S = TypeVar("S", bound=ServiceSettings)
T = TypeVar("T")

CONNECT_S = 120.0


@dataclass(slots=True)
class Subscription:
    """What a built service reads, and how."""

    declaration: Declaration
    group: str
    handle: Callable[[Sequence[ConsumerRecord]], Awaitable[None]]
    let_go: Callable[[], Awaitable[None]] | None = None
    max_records: int | None = None


@dataclass(slots=True)
class Chassis:
    """What the chassis lends to a service."""

    name: str
    version: str
    settings: ServiceSettings
    publisher: Publisher
    cache: RedisCache
    stack: AsyncExitStack
    tracing: Tracing
    counts: Counter[str] = field(default_factory=Counter)
    gate: Gate = field(default_factory=Gate)
    failure: Failure = field(default_factory=Failure)
    consumers: list[Consumer] = field(default_factory=list)
    kill: KillSwitch = field(init=False)

    def __post_init__(self) -> None:
        """One switch, so that it counts all that the process handles."""
        self.kill = KillSwitch(self.settings.faults)

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
        return Outbox(self.name, self.version, self.topics, self.publisher, self.kill)

    def batch_loop(
        self, handler: Handler, answering: Answering | None = None, refresh: Callable[[], Awaitable[None]] | None = None
    ) -> BatchLoop:
        """Make the loop of a service that handles batches."""
        return BatchLoop(
            handler,
            self.outbox(),
            self.consumer,
            self.tracing,
            self.gate,
            self.failure,
            self.kill,
            self.counts,
            answering,
            refresh,
            give_up_s=self.settings.kafka.give_up_s,
        )

    def flight_loop(self, handler: FlightHandler, capacity: int) -> FlightLoop:
        """Make the loop of a service whose work is slow and independent."""
        return FlightLoop(
            handler,
            self.outbox(),
            self.consumer,
            self.tracing,
            self.gate,
            self.failure,
            self.kill,
            self.counts,
            capacity,
            self.settings.kafka.give_up_s,
        )


Build = Callable[[Chassis, S], Awaitable[Subscription]]


def run_service(name: str, version: str, settings_type: type[S], build: Build[S]) -> int:
    """Run a service until it is told to stop, and give the exit code: 0 stopped, 1 failed, 2 a person's mistake."""
    try:
        settings = load_settings(settings_type)
        configure_logs(name, settings.log_level, settings.log_format)
        exporting = configure_tracing(f"sprat-{name}", version)
        return asyncio.run(_run(name, version, settings, build, exporting=exporting))
    except UserError as error:
        print(f"sprat-{name}: {error}", file=sys.stderr)  # noqa: T201 - a message to a person, before there are logs
        return 2


async def _run(name: str, version: str, settings: S, build: Build[S], *, exporting: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        chassis = Chassis(
            name,
            version,
            settings,
            Publisher(settings.kafka, f"sprat-{name}"),
            RedisCache(settings.redis, f"{settings.kafka.prefix}:"),
            stack,
            Tracing(exporting=exporting),
        )
        work = asyncio.create_task(_work(chassis, settings, build))
        stopping = asyncio.create_task(stop.wait())
        failing = asyncio.create_task(chassis.failure.wait())
        await asyncio.wait({work, stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
        if failing.done() and not work.done():
            log.error("stopping: %s", describe(failing.result()))
        return await _stop(chassis, work, [stopping, failing])
    raise AssertionError("unreachable")


async def _stop(chassis: Chassis, work: asyncio.Task[None], others: list[asyncio.Task[Any]]) -> int:
    chassis.gate.close(for_good=True)
    deadline = Deadline(chassis.settings.drain_s)
    if not await chassis.gate.drained(deadline):
        log.warning("not drained within %.0f s; what is in hand comes again", chassis.settings.drain_s)
    for task in (work, *others):
        task.cancel()
    (outcome, *_) = await asyncio.gather(work, *others, return_exceptions=True)
    error = chassis.failure.error
    if error is None and isinstance(outcome, Exception):
        error = outcome
        log.error("stopping: %s", describe(error))
    if isinstance(error, UserError):
        return 2
    return 1 if error is not None else 0


async def _work(chassis: Chassis, settings: S, build: Build[S]) -> None:
    """Everything between start and stop; cancelled to stop."""
    progress = Progress()
    about = lambda: {"service": chassis.name, "version": chassis.version, "counts": dict(chassis.counts)}  # noqa: E731
    health = HealthServer(settings.health_host, settings.health_port, progress, about)
    serving = asyncio.create_task(health.serve())
    try:
        await _patiently(chassis.publisher.start, "Kafka")
        chassis.stack.push_async_callback(chassis.cache.close)
        chassis.stack.push_async_callback(chassis.publisher.stop)
        subscription = await build(chassis, settings)
        chassis.tracing.group = subscription.group
        assignment = Assignment(chassis.gate, settings.drain_s, subscription.let_go)
        broker = make_broker(settings.kafka, f"sprat-{chassis.name}")
        subscriber = subscribe(
            broker,
            tuple(subscription.declaration.reads),
            subscription.group,
            subscription.handle,
            payload=subscription.declaration.payload,
            listener=assignment,
            settings=settings.kafka,
            max_records=subscription.max_records or settings.kafka.max_records,
            description=subscription.declaration.description,
        )
        progress.assigned = lambda: assignment.assigned_once
        starting = asyncio.create_task(broker.start())
        chassis.stack.push_async_callback(broker.stop)
        if subscription.let_go is not None:
            chassis.stack.push_async_callback(subscription.let_go)
        while subscriber.consumer is None and not starting.done():  # noqa: ASYNC110 - FastStream has no event for it
            await asyncio.sleep(0.001)
        if starting.done():
            await starting
        chassis.consumers[:] = [subscriber.consumer]
        _watch_polls(subscriber.consumer, progress, chassis.failure)
        await starting
        progress.started = True
        log.info("ready", extra={"group": subscription.group, "health_port": settings.health_port})
        await _watchdog(chassis, progress, subscriber)
    finally:
        health.should_exit = health.force_exit = True
        await asyncio.gather(serving, return_exceptions=True)


def _watch_polls(consumer: Any, progress: Progress, failure: Failure) -> None:
    """Note every poll.

    FastStream shows its handler only polls that found something, and goes on for ever after an authorisation
    error; there is no hook for either, so the consumer's own method is wrapped.
    """
    poll = consumer.getmany

    async def watched(*arguments: Any, **options: Any) -> Any:
        try:
            records = await poll(*arguments, **options)
        except AUTHORISATION_ERRORS as error:
            failure.report(Fatal(f"Kafka does not let this service read: {type(error).__name__}; mend its ACLs"))
            raise
        progress.turn()
        return records

    consumer.getmany = watched


async def _watchdog(chassis: Chassis, progress: Progress, subscriber: Any) -> None:
    """Watch the consume loop: a dead one must end the process, for nobody else sees it.

    Raises:
        Fatal: the loop is dead or stalled.
    """
    while True:
        await asyncio.sleep(1)
        if chassis.gate.in_hand:
            progress.turn()
        if not progress.alive:
            raise Fatal(f"the consume loop has not turned for {STALLED_S:.0f} s; the process must start anew")
        if subscriber.tasks and all(task.done() for task in subscriber.tasks):
            raise Fatal("the consume loop has ended; the process must start anew")


async def _patiently(connect: Callable[[], Coroutine[Any, Any, T]], what: str) -> T:
    """Try until it succeeds, for CONNECT_S: services may start before what they need.

    Raises:
        Fatal: it did not.
    """
    deadline, backoff = Deadline(CONNECT_S), Backoff()
    while True:
        try:
            return await connect()
        except (KafkaConnectionError, KafkaError, OSError) as error:
            if deadline.passed:
                raise Fatal(f"{what} cannot be reached: {type(error).__name__}") from None
            pause = backoff.next()
            log.warning("%s cannot be reached: %s; again in %.1f s", what, type(error).__name__, pause)
            await asyncio.sleep(pause)


def describe(error: BaseException) -> str:
    """Tell an error without what it may hold of a text: ours by its message, others by type and place."""
    if isinstance(error, SpratError):
        return str(error)
    return f"{type(error).__name__} (a defect)\n{''.join(traceback.format_tb(error.__traceback__))}"
