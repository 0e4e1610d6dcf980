"""The life of a service process: connect, build, consume, drain, stop. `__main__` passes a `build` function."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from sprat.base.errors import Fatal, Retryable, UserError
from sprat.base.exit_code import describe, exit_code_of
from sprat.base.garbage import collect_seldom
from sprat.base.model import DEFAULT_MODEL
from sprat.base.retry import Deadline, retry_until
from sprat.base.sealing import Seal
from sprat.base.settings import ServiceSettings, asked_for_help, load_settings
from sprat.context import ServiceContext, Subscription
from sprat.kafka.bounded_records import install_bounded_records
from sprat.kafka.clients import AUTHORISATION_ERRORS, CONNECT_S
from sprat.kafka.compat import on_consumer_created
from sprat.kafka.connection_errors import CapturedRefusals, Refusal, capture_refusals
from sprat.kafka.consumer import make_broker, subscribe, watch_polls, watchdog
from sprat.kafka.fetch_pace import install_paced_fetches, let_wait
from sprat.kafka.group_coordinator import install_group_checks
from sprat.kafka.membership import MembershipFile
from sprat.kafka.offsets import TrailingOffsets
from sprat.kafka.publisher import Publisher
from sprat.kafka.rebalance import Assignment
from sprat.processing.cache import RedisCache
from sprat.telemetry import attributes, signals
from sprat.telemetry.health import HealthServer
from sprat.telemetry.logs import configure_logs, log_unhandled_errors
from sprat.telemetry.process import watch_event_loop, watch_process
from sprat.telemetry.providers import Telemetry, configure_telemetry
from sprat.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

S = TypeVar("S", bound=ServiceSettings)
Build = Callable[[ServiceContext, S], Awaitable[Subscription]]

CLOSE_S = 8.0
"""How long closing the connections may take after the drain: an unresponsive broker must not block a stop."""


def run_service(
    name: str,
    version: str,
    settings_type: type[S],
    build: Build[S],
    model_of: Callable[[S], str] | None = None,
    name_of: Callable[[S], str] | None = None,
) -> int:
    """Run a service until a signal stops it.

    Args:
        name: of the service.
        version: of the service.
        settings_type: what `load_settings` reads.
        build: connects the service's parts and returns what it reads.
        model_of: returns the name by which texts ask for the service's model, where it has one.
        name_of: returns the name of this process, where one program runs under several.

    Returns:
        The exit code: 0 stopped, 1 failed, 2 a mistake of the user.
    """
    if asked_for_help(f"sprat_{name.replace('-', '_')}"):
        return 0
    try:
        settings = load_settings(settings_type)
        name = name if name_of is None else name_of(settings)
        model = model_of(settings) if model_of is not None else None
        configure_logs(name, settings.log_level, settings.log_format, model)
        telemetry = configure_telemetry(name, version, model, settings.kafka.max_records)
        watch_process()
        collect_seldom()
        code = exit_code_of(_run(name, version, model, settings, build, telemetry))
    except UserError as error:
        print(f"sprat-{name}: {error}", file=sys.stderr)  # noqa: T201 - for the user, before there are logs
        return 2
    telemetry.shutdown()
    if code:
        # Python waits for threads at exit: a model that hangs on its thread would keep the process alive.
        logging.shutdown()
        os._exit(code)
    return code


def client_id(name: str, model: str | None) -> str:
    """Return a service's client id in Kafka; a model with a name has one of its own."""
    return f"sprat-{name}" if model in (None, DEFAULT_MODEL) else f"sprat-{name}.{model}"


async def _run(name: str, version: str, model: str | None, settings: S, build: Build[S], telemetry: Telemetry) -> int:
    log_unhandled_errors(asyncio.get_running_loop())
    stop = asyncio.Event()
    _on_signals(stop)
    stack = AsyncExitStack()
    context = ServiceContext(
        name,
        version,
        settings,
        Publisher(settings.kafka, client_id(name, model)),
        RedisCache(settings.redis, f"{settings.kafka.prefix}:", Seal(settings.keys)),
        stack,
        Tracing(exporting=telemetry.tracers is not None),
        model,
        telemetry,
    )
    work = asyncio.create_task(work_until_cancelled(context, settings, build))
    stopping = asyncio.create_task(stop.wait())
    failing = asyncio.create_task(context.failure.wait())
    await asyncio.wait({work, stopping, failing}, return_when=asyncio.FIRST_COMPLETED)
    code = await stop_work(context, work)
    for task in (stopping, failing):
        task.cancel()
    await asyncio.gather(stopping, failing, return_exceptions=True)
    return code


def _on_signals(stop: asyncio.Event) -> None:
    """Stop at the first SIGTERM or SIGINT; exit at once at the second."""

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)


async def stop_work(context: ServiceContext, work: asyncio.Task[None]) -> int:
    """Admit no more work, drain, close all connections, and return the exit code."""
    context.admission.close(permanently=True)
    error = context.failure.error
    if error is not None:
        log.error("stopping: %s", describe(error))
    for consumer in context.consumers:
        consumer.pause(*consumer.assignment())
    deadline = Deadline(context.settings.drain_s)
    if not await context.admission.drained(deadline):
        log.warning("not drained within %.0f s; unfinished records are read again", context.settings.drain_s)
    ended_by_itself = work.done()
    work.cancel()
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    cancelled = isinstance(outcome, asyncio.CancelledError) and not ended_by_itself
    if error is None and isinstance(outcome, BaseException) and not cancelled:
        error = outcome
        log.error("stopping: %s", describe(error))
    try:
        async with asyncio.timeout(CLOSE_S):
            await context.stack.aclose()
    except TimeoutError:
        log.warning("connections not closed within %.0f s", CLOSE_S)
    if isinstance(error, UserError):
        return 2
    if error is None:
        log.info("stopped")
    return 1 if error is not None else 0


async def work_until_cancelled(context: ServiceContext, settings: S, build: Build[S]) -> None:
    """Connect, build and consume until cancelled.

    Raises:
        Fatal: Kafka does not answer, or does not let this service in.
        UserError: Kafka refuses the settings, or a setting is wrong.
    """
    install_bounded_records()
    file = settings.kafka.membership_file
    membership = None if file is None else MembershipFile(file)

    def name_taken(name: str) -> None:
        context.admission.close(permanently=True)
        said = f"another process has joined its group as {name}: give each process its own SPRAT_KAFKA__INSTANCE_ID"
        context.failure.report(Fatal(said))

    install_group_checks(None if membership is None else membership.note, name_taken)
    install_paced_fetches()
    attributes.TENANT.limit = settings.telemetry.tenants

    def details() -> dict[str, object]:
        return {"service": context.name, "version": context.version}

    progress = context.progress
    health = HealthServer(settings.health_host, settings.health_port, progress, details, context.telemetry.page)
    end_ready = signals.READY.watch(lambda: [(float(progress.ready), {})])
    serving = asyncio.create_task(health.serve_bound())
    watching = asyncio.create_task(watch_event_loop())

    def refused(refusal: Refusal) -> None:
        """Stop, also later: the settings may be corrected before the next start."""
        context.failure.report(_refused(settings, refusal))

    try:
        with capture_refusals(settings.kafka, refused) as captured:
            await _connect(context, captured)
            if membership is not None:
                await membership.leave_former(settings.kafka)
            try:
                subscription = await build(context, settings)
                log.info("health on port %d", health.port)
                await context.wait_for_topics(*subscription.channels.reads)
                await _consume(context, settings, subscription)
            except AUTHORISATION_ERRORS as error:
                raise _not_allowed(error) from None
            except KafkaError as error:
                raise Fatal(f"Kafka: {type(error).__name__}; `sprat doctor` says what is missing") from None
    finally:
        end_ready()
        health.stop()
        watching.cancel()
        await asyncio.gather(serving, watching, return_exceptions=True)


async def _connect(context: ServiceContext, captured: CapturedRefusals) -> None:
    """Connect the publisher, once Kafka answers.

    Raises:
        Fatal: Kafka does not answer for `CONNECT_S`, or its ACLs deny this service.
        UserError: Kafka refuses the settings.
    """

    async def start() -> None:
        try:
            await context.publisher.start()
        except AUTHORISATION_ERRORS as error:
            raise _not_allowed(error) from None
        except (KafkaError, OSError) as error:
            refusal = captured.refusal
            if refusal is not None and refusal.permanent:
                raise _refused(context.settings, refusal) from None
            raise Retryable(type(error).__name__ if refusal is None else refusal.reason) from None

    await retry_until(start, Retryable, CONNECT_S, _where(context.settings))
    context.stack.push_async_callback(context.cache.close)
    context.stack.push_async_callback(context.publisher.stop)


async def _consume(context: ServiceContext, settings: ServiceSettings, subscription: Subscription) -> None:
    """Join the group, and watch the consumer until cancelled.

    Raises:
        Fatal: the group does not let this member in for as long as a service tries, or the consumer does not work.
    """
    progress = context.progress
    context.tracing.group = subscription.group
    signals.BUILD.replace([(1, _build_labels(context, subscription))])
    assignment = Assignment(context.admission, context.failure, settings.drain_s, subscription.release)
    progress.assigned = lambda: assignment.assigned

    async def handle(records: Sequence[ConsumerRecord]) -> None:
        progress.taken = True
        await subscription.handle(records)

    broker = make_broker(settings.kafka, client_id(context.name, context.model) + subscription.client_suffix)
    subscriber = subscribe(broker, subscription.channels, subscription.group, handle, assignment, settings.kafka)
    trailing = TrailingOffsets(context.admission)
    assignment.started = trailing.forget

    def created(consumer: Any) -> None:
        context.consumers.append(consumer)
        trailing.follow(consumer)
        watch_polls(consumer, subscription.group, progress, context.admission, context.failure)

    await on_consumer_created(broker, created)
    context.stack.push_async_callback(broker.stop)
    if subscription.release is not None:
        context.stack.push_async_callback(subscription.release)
    give_up_s = settings.kafka.give_up_s
    try:
        async with asyncio.timeout(give_up_s):
            await broker.start()
    except TimeoutError:
        raise Fatal(f"group {subscription.group} was not joined within {give_up_s:.0f} s") from None
    let_wait(context.consumers[0], subscription.can_wait)
    progress.turn()
    progress.started = True
    log.info("ready", extra={"group": subscription.group})
    await watchdog(context.consumers[0], subscriber, progress, context.admission)


def _build_labels(context: ServiceContext, subscription: Subscription) -> dict[str, str]:
    labels = {"version": context.version, "model": context.model, "model_version": subscription.model_version}
    return {key: value for key, value in labels.items() if value is not None}


def _where(settings: ServiceSettings) -> str:
    return f"Kafka at {settings.kafka.bootstrap}"


def _refused(settings: ServiceSettings, refusal: Refusal) -> UserError:
    return UserError(f"{_where(settings)} does not let this service in: {refusal.reason}")


def _not_allowed(error: BaseException) -> Fatal:
    return Fatal(f"Kafka does not let this service in: {type(error).__name__}; check the ACLs")
