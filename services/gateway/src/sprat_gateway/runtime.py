"""The life of the door: connect, serve, stop."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import uvicorn

from sprat.base.errors import Retryable, UserError
from sprat.base.retry import retry_until
from sprat.kafka.clients import NO_ANSWER
from sprat.kafka.connection_errors import capture_refusals
from sprat.kafka.publisher import Publisher
from sprat.runtime import CONNECT_S, exit_code_of
from sprat.telemetry.health import HealthServer, LoopProgress
from sprat.telemetry.logs import configure_logs
from sprat.telemetry.process import watch_process
from sprat.telemetry.providers import Telemetry, configure_telemetry
from sprat_gateway.app import build_app
from sprat_gateway.door import Door
from sprat_gateway.http.callers import Caller
from sprat_gateway.replies.reader import ReplyReader
from sprat_gateway.replies.waiters import Waiters
from sprat_gateway.settings import GatewaySettings

log = logging.getLogger(__name__)

NAME = "gateway"


class _HttpServer(uvicorn.Server):
    """Leaves the signals to the door, which stops it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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
    serving = asyncio.create_task(_serve(settings, version, telemetry, _keys(settings)))
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


def _keys(_: GatewaySettings) -> Callable[[str], Caller | None]:
    """Return what finds the caller of a key: nobody is let in without a file of keys."""
    return lambda _: None


async def _serve(
    settings: GatewaySettings, version: str, telemetry: Telemetry, keys: Callable[[str], Caller | None]
) -> None:
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
        publisher = Publisher(settings.kafka, f"sprat-{NAME}")
        await _connect(settings, publisher)
        stack.push_async_callback(publisher.stop)
        waiters = Waiters(settings.gateway.max_waiting)
        reader = ReplyReader(settings.kafka, waiters)
        reading = _in_background(stack, reader.run())
        await asyncio.wait({reading, asyncio.ensure_future(reader.reading.wait())}, return_when=asyncio.FIRST_COMPLETED)
        listener = _bound(settings)
        app = build_app(Door(settings.kafka, publisher, waiters), keys)
        config = uvicorn.Config(app, http="h11", log_config=None, access_log=False, lifespan="off", server_header=False)
        log.info("serving on port %d", listener.getsockname()[1])
        progress.assigned = reader.reading.is_set
        progress.started = True
        server = asyncio.create_task(_HttpServer(config).serve(sockets=[listener]))
        done, _ = await asyncio.wait({server, reading}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


def _in_background(stack: AsyncExitStack, work: object) -> "asyncio.Task[None]":
    """Start work that is cancelled when the stack is closed."""
    task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]

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
                    raise UserError(f"Kafka does not let the door in: {captured.refusal.reason}") from None
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
