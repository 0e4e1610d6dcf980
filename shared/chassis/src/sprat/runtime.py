"""The life of a service process: connect, start, work, drain, stop. `__main__` gives it a `build` function."""

import asyncio
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from sprat.cache import RedisCache
from sprat.context import ServiceContext, Subscription
from sprat.errors import Fatal, Retryable, SpratError, UserError
from sprat.health import HealthServer, LoopProgress
from sprat.kafka import aiokafka_compat
from sprat.kafka.connection_errors import CapturedRefusals, Refusal, capture_refusals
from sprat.kafka.consumer import make_broker, on_consumer_created, subscribe, watch_polls, watchdog
from sprat.kafka.publisher import AUTHORISATION_ERRORS, Publisher
from sprat.kafka.rebalance import Assignment
from sprat.kafka.trailing_offsets import TrailingOffsets
from sprat.model import DEFAULT_MODEL
from sprat.retry import Deadline, retry_until
from sprat.settings import ServiceSettings, load_settings
from sprat.telemetry.logs import configure_logs
from sprat.telemetry.tracing import Tracing, configure_tracing, flush_tracing

log = logging.getLogger(__name__)

S = TypeVar("S", bound=ServiceSettings)
Build = Callable[[ServiceContext, S], Awaitable[Subscription]]

CONNECT_S = 120.0
CLOSE_S = 8.0
"""How long letting connections go may take after the drain; a broker that is frozen must not hold a stop up."""


def run_service(
    name: str, version: str, settings_type: type[S], build: Build[S], model_of: Callable[[S], str] | None = None
) -> int:
    """Run a service until it is told to stop, and give the exit code: 0 stopped, 1 failed, 2 a person's mistake.

    `model_of` gives the name by which texts ask for its model, where it runs one.
    """
    try:
        settings = load_settings(settings_type)
        model = model_of(settings) if model_of is not None else None
        configure_logs(name, settings.log_level, settings.log_format, model)
        exporting = configure_tracing(f"sprat-{name}", version, model)
        code = asyncio.run(_run(name, version, model, settings, build, exporting=exporting))
    except UserError as error:
        print(f"sprat-{name}: {error}", file=sys.stderr)  # noqa: T201 - a message to a person, before there are logs
        return 2
    flush_tracing()
    if code:
        # A model that hangs on its thread would keep the process: Python waits for threads at its end.
        logging.shutdown()
        os._exit(code)
    return code


def client_id(name: str, model: str | None) -> str:
    """Give the name by which Kafka knows a service: one of its own for a model with a name of its own."""
    return f"sprat-{name}" if model in (None, DEFAULT_MODEL) else f"sprat-{name}.{model}"


async def _run(name: str, version: str, model: str | None, settings: S, build: Build[S], *, exporting: bool) -> int:
    stop = asyncio.Event()
    _on_signals(stop)
    stack = AsyncExitStack()
    chassis = ServiceContext(
        name,
        version,
        settings,
        Publisher(settings.kafka, client_id(name, model)),
        RedisCache(settings.redis, f"{settings.kafka.prefix}:"),
        stack,
        Tracing(exporting=exporting),
        model,
    )
    work = asyncio.create_task(work_until_cancelled(chassis, settings, build))
    stopping = asyncio.create_task(stop.wait())
    failing = asyncio.create_task(chassis.failure.wait())
    await asyncio.wait({work, stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
    code = await stop_work(chassis, work)
    for task in (stopping, failing):
        task.cancel()
    await asyncio.gather(stopping, failing, return_exceptions=True)
    return code


def _on_signals(stop: asyncio.Event) -> None:
    """Stop at the first SIGTERM or SIGINT; exit at once at the second."""

    def told() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told)


async def stop_work(chassis: ServiceContext, work: asyncio.Task[None]) -> int:
    """Admit nothing more, drain, let go of everything, and give the exit code."""
    chassis.gate.close(for_good=True)
    error = chassis.failure.error
    if error is not None:
        log.error("stopping: %s", describe(error))
    for consumer in chassis.consumers:
        consumer.pause(*consumer.assignment())
    deadline = Deadline(chassis.settings.drain_s)
    if not await chassis.gate.drained(deadline):
        log.warning("not drained within %.0f s; what is in hand comes again", chassis.settings.drain_s)
    work.cancel()
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    if error is None and isinstance(outcome, Exception):
        error = outcome
        log.error("stopping: %s", describe(error))
    try:
        async with asyncio.timeout(CLOSE_S):
            await chassis.stack.aclose()
    except TimeoutError:
        log.warning("connections not closed within %.0f s", CLOSE_S)
    if isinstance(error, UserError):
        return 2
    if error is None:
        log.info("stopped")
    return 1 if error is not None else 0


async def work_until_cancelled(chassis: ServiceContext, settings: S, build: Build[S]) -> None:
    """Everything between start and stop; cancelled to stop.

    Raises:
        Fatal: what the service needs is not there.
    """
    aiokafka_compat.install()
    progress = LoopProgress()

    def about() -> dict[str, object]:
        return {"service": chassis.name, "version": chassis.version, "counts": dict(chassis.counts)}

    health = HealthServer(settings.health_host, settings.health_port, progress, about)
    serving = asyncio.create_task(health.serve_bound())

    def refused(refusal: Refusal) -> None:
        """Stop, now and later: whoever starts it again may have changed something."""
        chassis.failure.report(_refused(settings, refusal))

    try:
        with capture_refusals(settings.kafka, refused) as overheard:
            await _connect(chassis, overheard)
            try:
                subscription = await build(chassis, settings)
                log.info("health on port %d", health.port)
                await _consume(chassis, settings, subscription, progress)
            except AUTHORISATION_ERRORS as error:
                raise _not_allowed(error) from None
            except KafkaError as error:
                raise Fatal(f"Kafka: {type(error).__name__}; `sprat doctor` says what is missing") from None
    finally:
        health.should_exit = health.force_exit = True
        await asyncio.gather(serving, return_exceptions=True)


async def _connect(chassis: ServiceContext, overheard: CapturedRefusals) -> None:
    """Connect the publisher, once Kafka answers.

    Raises:
        Fatal: it does not for `CONNECT_S`, or this service may do nothing there.
        UserError: it refuses, and will the next time.
    """

    async def start() -> None:
        try:
            await chassis.publisher.start()
        except AUTHORISATION_ERRORS as error:
            raise _not_allowed(error) from None
        except (KafkaError, OSError) as error:
            refusal = overheard.refusal
            if refusal is not None and refusal.settled:
                raise _refused(chassis.settings, refusal) from None
            raise Retryable(type(error).__name__ if refusal is None else refusal.reason) from None

    await retry_until(start, Retryable, CONNECT_S, _where(chassis.settings))
    chassis.stack.push_async_callback(chassis.cache.close)
    chassis.stack.push_async_callback(chassis.publisher.stop)


async def _consume(
    chassis: ServiceContext, settings: ServiceSettings, subscription: Subscription, progress: LoopProgress
) -> None:
    """Join the group and watch over the consumer until cancelled."""
    chassis.tracing.group = subscription.group
    assignment = Assignment(chassis.gate, chassis.failure, settings.drain_s, subscription.let_go)
    progress.assigned = lambda: assignment.assigned
    broker = make_broker(settings.kafka, client_id(chassis.name, chassis.model))
    subscriber = subscribe(
        broker, subscription.declaration, subscription.group, subscription.handle, assignment, settings.kafka
    )
    trailing = TrailingOffsets(chassis.gate)
    assignment.started = trailing.forget

    def created(consumer: Any) -> None:
        chassis.consumers.append(consumer)
        trailing.follow(consumer)
        watch_polls(consumer, progress, chassis.gate, chassis.failure)

    await on_consumer_created(broker, created)
    chassis.stack.push_async_callback(broker.stop)
    if subscription.let_go is not None:
        chassis.stack.push_async_callback(subscription.let_go)
    await broker.start()
    progress.started = True
    log.info("ready", extra={"group": subscription.group})
    await watchdog(chassis.consumers[0], subscriber, progress, chassis.gate)


def _where(settings: ServiceSettings) -> str:
    return f"Kafka at {settings.kafka.bootstrap}"


def _refused(settings: ServiceSettings, refusal: Refusal) -> UserError:
    return UserError(f"{_where(settings)} does not let this service in: {refusal.reason}")


def _not_allowed(error: BaseException) -> Fatal:
    return Fatal(f"Kafka does not let this service in: {type(error).__name__}; mend its ACLs")


def describe(error: BaseException) -> str:
    """Tell an error without what it may hold of a text: ours by its message, others by type and place."""
    if isinstance(error, SpratError):
        return str(error)
    return f"{type(error).__name__} (a defect)\n{''.join(traceback.format_tb(error.__traceback__))}"
