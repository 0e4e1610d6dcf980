"""A service of Sprat inside this process: for tests of services, and for the process with the fixed answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sprat.base.sealing import Seal
from sprat.base.settings import ServiceSettings
from sprat.context import ServiceContext, Subscription
from sprat.kafka.publisher import Publisher
from sprat.processing.cache import RedisCache
from sprat.runtime import stop_work, work_until_cancelled
from sprat.telemetry.tracing import Tracing

_POLL_S = 0.02


@asynccontextmanager
async def running(
    name: str,
    settings: ServiceSettings,
    build: Callable[[ServiceContext, Any], Awaitable[Subscription]],
    *,
    version: str = "0.test",
    exporting: bool = False,
    model: str | None = None,
    timeout_s: float = 20.0,
) -> AsyncIterator[ServiceContext]:
    """Run a service in this process until the block ends; it is stopped as SIGTERM would.

    Where it fails later, `context.failure` says so.

    Args:
        name: of the service.
        settings: of the service.
        build: of the service, as its `__main__` has it.
        version: of the service.
        exporting: whether it makes spans.
        model: the name by which texts ask for its model, where it has one.
        timeout_s: how long its start may take, in seconds.

    Raises:
        TimeoutError: it has not started in time.
    """
    context = ServiceContext(
        name,
        version,
        settings,
        Publisher(settings.kafka, f"sprat-{name}"),
        RedisCache(settings.redis, f"{settings.kafka.prefix}:", Seal(settings.keys)),
        AsyncExitStack(),
        Tracing(exporting=exporting),
        model,
    )
    work = asyncio.create_task(work_until_cancelled(context, settings, build))
    work.add_done_callback(lambda done: _report(context, done))
    try:
        async with asyncio.timeout(timeout_s):
            while not context.consumers and not work.done():
                await asyncio.wait({work}, timeout=_POLL_S)
        if work.done():
            work.result()
        yield context
    finally:
        await stop_work(context, work)


def _report(context: ServiceContext, work: asyncio.Task[None]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        context.failure.report(error)
