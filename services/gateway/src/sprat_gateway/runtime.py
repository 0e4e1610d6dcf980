"""The life of the door: connect, serve, stop."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sprat.base.errors import Retryable, UserError
from sprat.base.exit_code import exit_code_of
from sprat.base.garbage import collect_seldom
from sprat.base.retry import retry_until
from sprat.base.settings import environment
from sprat.kafka.clients import CONNECT_S, NO_ANSWER, client_arguments
from sprat.kafka.connection_errors import capture_refusals
from sprat.kafka.lag import LagMeter
from sprat.kafka.publisher import Publisher
from sprat.processing.leases import Leases
from sprat.telemetry import signals
from sprat.telemetry.health import HealthServer, LoopProgress
from sprat.telemetry.logs import configure_logs
from sprat.telemetry.process import watch_process
from sprat.telemetry.providers import Telemetry, configure_telemetry
from sprat_gateway.answers.kept import TextStore, TextStores
from sprat_gateway.answers.redis import RedisAnswers
from sprat_gateway.app import build_app
from sprat_gateway.catalogue import Catalogue, follow
from sprat_gateway.door import Door
from sprat_gateway.http.callers import RequestAdmission
from sprat_gateway.http.limits import KeyLimits
from sprat_gateway.http.server import HttpServer, tls_context
from sprat_gateway.http.sessions import Sessions, session_key
from sprat_gateway.page.answer_desk import AnswerDesk, Labelling
from sprat_gateway.page.answers import PageAnswers
from sprat_gateway.page.pages import Page
from sprat_gateway.page.running import running_store
from sprat_gateway.page.store import PageStore
from sprat_gateway.replies.forecast import Forecast
from sprat_gateway.replies.reader import ReplyReader
from sprat_gateway.replies.search import ReplySearch
from sprat_gateway.replies.waiters import UNATTENDED, Waiters
from sprat_gateway.settings import GatewaySection, GatewaySettings
from sprat_operations.api_keys import KeyRing, read_keys
from sprat_operations.gateway_stores import keep_noted, leases_namespace
from sprat_policy import DoorSigner, Policy, load_door_policy

log = logging.getLogger(__name__)

NAME = "gateway"
_CATALOGUE_S: Final = 10.0
"""How long it waits for the topic of models before it serves."""
T = TypeVar("T")
_STOP_S: Final = 3
"""How long a stop waits for responses."""


def run(settings: GatewaySettings, version: str) -> int:
    """Serve until a signal; return the exit code: 0 stopped, 1 failed, 2 a mistake of the user."""
    configure_logs(NAME, settings.log_level, settings.log_format)
    telemetry = configure_telemetry(NAME, version)
    watch_process()
    code = exit_code_of(_run(settings, version, telemetry))
    telemetry.shutdown()
    return code


async def _run(settings: GatewaySettings, version: str, telemetry: Telemetry) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving = asyncio.create_task(_serve(settings, version, telemetry))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    ended = serving.done()
    serving.cancel()
    (outcome,) = await asyncio.gather(serving, return_exceptions=True)
    if isinstance(outcome, UserError):
        log.error("stopping: %s", outcome)
        return 2
    if ended and isinstance(outcome, BaseException):
        log.error("stopping: %s", type(outcome).__name__, exc_info=outcome)
        return 1
    log.info("stopped")
    return 0


def build_admission(section: GatewaySection) -> RequestAdmission:
    """Return what lets requests in.

    Raises:
        UserError: the file of keys is not valid.
    """
    if section.keys_file is None or not read_keys(section.keys_file):
        log.warning("nobody is let in: there is no API key; `sprat keys add` makes one")
    seal_key = None if section.seal_key is None else section.seal_key.get_secret_value().encode()
    return RequestAdmission(
        KeyRing(section.keys_file, lambda error: log.error("nobody is let in: %s", error)),
        KeyLimits(section.requests_a_minute, section.connections_a_key),
        Sessions(session_key(section.data, seal_key)),
    )


def _policy(settings: GatewaySettings) -> tuple[Policy, DoorSigner]:
    """Return the policy, and what it lets the door send in whose name; without one, the router alone judges.

    Raises:
        UserError: the policy is not valid, or a key of the door is missing.
    """
    if settings.policy is None:
        policy = Policy.model_validate({})
        return policy, DoorSigner(policy, {})
    return load_door_policy(settings.policy, environment(), settings.task_files.table)


async def _serve(settings: GatewaySettings, version: str, telemetry: Telemetry) -> None:
    progress = LoopProgress()
    async with AsyncExitStack() as stack:
        health = HealthServer(
            settings.health_host,
            settings.health_port,
            progress,
            lambda: {"service": NAME, "version": version},
            telemetry.page,
        )
        _in_background(stack, health.serve_bound())
        door = await stack.enter_async_context(open_door(settings))
        collect_seldom()
        log.info("serving on port %d", door.port)
        progress.assigned = door.reads
        progress.started = True
        await door.failure()


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """A door that serves."""

    port: int
    reads: Callable[[], bool]
    """Whether it reads replies at present."""
    waiters: Waiters
    work: tuple["asyncio.Task[None]", ...]

    async def failure(self) -> None:
        """Wait until a part of it ends, and raise why."""
        done, _ = await asyncio.wait(self.work, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


@asynccontextmanager
async def open_door(settings: GatewaySettings) -> AsyncIterator[OpenDoor]:
    """Serve until the block ends: then requests in hand are answered with what is known.

    Raises:
        UserError: a setting is wrong, Kafka refuses it, a topic does not exist, or the port cannot be taken.
        Fatal: Kafka does not answer for two minutes.
    """
    section = settings.gateway
    admission, tls = build_admission(section), tls_context(section.tls_cert, section.tls_key)
    policy, signer = _policy(settings)
    async with AsyncExitStack() as stack:
        publisher = Publisher(settings.kafka, f"sprat-{NAME}")
        await _connect(settings, publisher)
        stack.push_async_callback(publisher.stop)
        store = await stack.enter_async_context(running_store(settings))
        answers = _answers(stack, settings, store)
        if section.data is not None and "url" in settings.redis.model_fields_set:  # also where Results stand here alone
            _in_background(stack, keep_noted(settings.redis, settings.kafka.prefix, section.data))
        waiters = Waiters(section.max_waiting, 0 if answers is None else UNATTENDED)
        stack.callback(signals.GATEWAY_WAITING.watch(lambda: [(len(waiters), {})]))
        reader = ReplyReader(settings.kafka, waiters)
        reading = _in_background(stack, reader.run())
        started = _in_background(stack, reader.reading.wait())
        await asyncio.wait({reading, started}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            reading.result()
        listener = _bound(settings)
        catalogue = Catalogue(settings.task_files)
        following = _in_background(stack, follow(settings.kafka, catalogue))
        known = _in_background(stack, catalogue.known.wait())
        await asyncio.wait({following, known}, timeout=_CATALOGUE_S, return_when=asyncio.FIRST_COMPLETED)
        forecast = Forecast(
            lambda: LagMeter(client_arguments(settings.kafka), settings.kafka.topics), lambda: catalogue.groups
        )
        _in_background(stack, forecast.run())
        search = ReplySearch(settings.kafka) if section.data is None else None  # the store's ingestion reads on
        door = Door(settings.kafka, publisher, waiters, signer, answers, search=search, late=forecast.late)
        page = None
        if store and section.page == "on":
            labelling = await _labelling(stack, settings, publisher)
            page = Page(
                store, settings.task_files.table, settings.trace_url, labelling, policy if settings.policy else None
            )
        app = build_app(
            door, admission, section.hosts, catalogue, lambda tenant: policy.tenant(tenant).deadline_ms, page
        )
        server = HttpServer(app, listener, section.connections, proxies=section.proxies, tls=tls)
        serving = asyncio.create_task(server.serve())
        try:
            yield OpenDoor(listener.getsockname()[1], reader.reading.is_set, waiters, (serving, reading))
        finally:
            server.should_exit = True
            waiters.close()
            await asyncio.wait({serving}, timeout=_STOP_S + 1)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def _labelling(stack: AsyncExitStack, settings: GatewaySettings, publisher: Publisher) -> Labelling:
    """Return where the answers of people go."""
    shared = settings.redis if "url" in settings.redis.model_fields_set else None
    leases = Leases(shared, leases_namespace(settings.kafka.prefix))
    stack.push_async_callback(leases.close)
    desk = AnswerDesk(publisher, settings.kafka.topics.feedback)
    stack.push_async_callback(desk.close)
    return Labelling(desk, leases)


def _answers(stack: AsyncExitStack, settings: GatewaySettings, store: PageStore | None) -> TextStore | None:
    """Return where texts stand for those who ask later; None: nowhere."""
    places: list[TextStore] = [] if store is None else [PageAnswers(store, settings.kafka.topics.tasks)]
    if (seal_key := settings.gateway.seal_key) is not None:
        redis = RedisAnswers(settings.redis, settings.kafka.prefix, seal_key)
        stack.push_async_callback(redis.close)
        places.append(redis)
    return TextStores(places) if places else None


def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Start work that is cancelled when the stack is closed."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
    return task


async def _connect(settings: GatewaySettings, publisher: Publisher) -> None:
    """Connect the publisher, once Kafka answers.

    Raises:
        UserError: Kafka refuses the settings.
        Fatal: it does not answer for two minutes.
    """
    with capture_refusals(settings.kafka) as captured:

        async def start() -> None:
            try:
                await publisher.start()
            except NO_ANSWER as error:
                if captured.refusal is not None and captured.refusal.permanent:
                    raise UserError(f"Kafka does not let the gateway in: {captured.refusal.reason}") from None
                raise Retryable(type(error).__name__) from None

        await retry_until(start, Retryable, CONNECT_S, f"Kafka at {settings.kafka.bootstrap}")


def _bound(settings: GatewaySettings) -> socket.socket:
    """Return the socket that it listens on.

    Raises:
        UserError: the port is taken, or the address is not this machine's.
    """
    section = settings.gateway
    try:
        family = socket.AF_INET6 if ":" in section.host else socket.AF_INET
        return socket.create_server((section.host, section.port), family=family, backlog=1024)
    except OSError as error:
        raise UserError(
            f"SPRAT_GATEWAY__PORT: {section.port} on {section.host} cannot be taken ({error.strerror}); name another"
        ) from None
