"""Calls on threads of their own, and servers that are started by such calls."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from sprat_local.processes.embedded_server import EmbeddedServer
from sprat_local.processes.notices import OnNotice
from sprat_local.processes.supervisor import SupervisedServer, Supervisor

T = TypeVar("T")

_POLL_S = 0.1


class BackgroundCall(Generic[T]):
    """A call on a daemon thread: waiting for it can be interrupted by signals, and the process can exit before its end.

    The threads of a pool would be joined when the interpreter exits.
    """

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._done = threading.Event()
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def result(self) -> T:
        """Wait for its end; return its result or raise its exception."""
        while not self._done.wait(_POLL_S):  # in short steps, so that signal handlers of the main thread can run
            pass
        if self._error is not None:
            raise self._error
        return self._value

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end, with or without success. Return whether it has ended."""
        return self._done.wait(timeout_s)

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            self._error = error
        finally:
            self._done.set()


class ConcurrentStarts:
    """Starts servers concurrently; from then on the supervisor restarts them."""

    def __init__(self, supervisor: Supervisor, on_notice: OnNotice, *, restart: bool) -> None:
        self._supervisor = supervisor
        self._on_notice = on_notice
        self._restart = restart
        self._calls: list[BackgroundCall[None]] = []

    def begin(self, name: str, server: EmbeddedServer) -> None:
        """Begin to start a server, and return at once."""
        supervised = SupervisedServer(name, server, self._on_notice, restart=self._restart)
        self._supervisor.supervise(supervised)
        self._calls.append(BackgroundCall(supervised.start, f"sprat-start-{name}"))

    def wait(self) -> None:
        """Wait until all serve.

        Raises:
            LocalError: one does not start.
        """
        for call in self._calls:
            call.result()

    def have_ended(self, timeout_s: float) -> bool:
        """Wait for the end of each start, with or without success; return whether all have ended."""
        ended = all(call.wait(timeout_s) for call in self._calls)
        self._calls.clear()
        return ended
