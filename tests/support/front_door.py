"""The door's HTTP side on loopback: real keys, the real server and gate; no Kafka behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Publisher
from sprat_gateway.answers.kept import TextStore
from sprat_gateway.app import build_app
from sprat_gateway.catalogue import Catalogue
from sprat_gateway.door import Door
from sprat_gateway.http.callers import RequestAdmission
from sprat_gateway.http.limits import KeyLimits
from sprat_gateway.http.server import HttpServer
from sprat_gateway.http.sessions import Sessions
from sprat_gateway.replies.waiters import Waiters
from sprat_operations.api_keys import KeyRing
from sprat_policy import DoorSigner, Policy, TaskFiles

HOSTS = ("localhost", "127.0.0.1", "[::1]")


def admission(
    keys_file: Path, *, a_minute: int = 100_000, at_a_time: int = 1_000, streams: int = 8
) -> RequestAdmission:
    """Return what lets requests in by the keys of a file."""
    return RequestAdmission(
        KeyRing(keys_file, lambda _: None), KeyLimits(a_minute, at_a_time, streams), Sessions(b"k" * 32)
    )


def door_app(admitting: RequestAdmission, answers: TextStore | None = None, **more: Any) -> Any:
    """Return the door's application; what would be published is not. `more` are arguments of `build_app`."""
    kafka = KafkaSettings()
    door = Door(kafka, Publisher(kafka, "test"), Waiters(10), DoorSigner(Policy(), {}), answers)
    return build_app(door, admitting, HOSTS, Catalogue(TaskFiles()), lambda _: 30_000, **more)


@asynccontextmanager
async def served(app: ASGIApp, connections: int = 1_000, **options: Any) -> AsyncIterator[int]:
    """Serve an application as the door does; give its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app, listener, connections, **options)
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await serving
