"""Calls on threads of their own, and servers that are started by such calls."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from sprat_local.processes.embedded_server import EmbeddedServer
from sprat_local.processes.notices import OnNotice
from sprat_local.processes.supervisor import SupervisedServer, Supervisor

T = TypeVar("T")


def in_background(call: Callable[[], T], name: str) -> Future[T]:
    """Call it on a daemon thread: the process can exit before its end. The threads of a pool would be joined then."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # who no longer waits for it cannot cancel it

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


class ConcurrentStarts:
    """Starts servers concurrently; from then on the supervisor restarts them."""

    def __init__(self, supervisor: Supervisor, on_notice: OnNotice, *, restart: bool) -> None:
        self._supervisor = supervisor
        self._on_notice = on_notice
        self._restart = restart
        self._calls: list[Future[None]] = []

    def begin(self, name: str, server: EmbeddedServer) -> None:
        """Begin to start a server, and return at once."""
        supervised = SupervisedServer(name, server, self._on_notice, restart=self._restart)
        self._supervisor.supervise(supervised)
        self._calls.append(in_background(supervised.start, f"sprat-start-{name}"))

    def wait(self) -> None:
        """Wait until all serve.

        Raises:
            LocalError: one does not start.
        """
        for call in self._calls:
            call.result()

    def have_ended(self, timeout_s: float) -> bool:
        """Wait for the end of all starts, with or without success; return whether all have ended."""
        ended = not wait(self._calls, timeout_s).not_done
        self._calls.clear()
        return ended
