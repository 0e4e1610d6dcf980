"""Servers that start at the same time."""

from concurrent.futures import Future, wait

from sprat.base.retry import Deadline
from sprat_local.processes.background import in_background
from sprat_local.processes.embedded_server import EmbeddedServer
from sprat_local.processes.notices import OnNotice
from sprat_local.processes.supervisor import SupervisedServer, Supervisor

_KILL_EVERY_S = 0.02


class ConcurrentStarts:
    """Starts servers concurrently; from then on the supervisor restarts them."""

    def __init__(self, supervisor: Supervisor, on_notice: OnNotice, *, restart: bool) -> None:
        self._supervisor = supervisor
        self._on_notice = on_notice
        self._restart = restart
        self._calls: dict[Future[None], EmbeddedServer] = {}

    def begin(self, name: str, server: EmbeddedServer) -> None:
        """Begin to start a server, and return at once."""
        supervised = SupervisedServer(name, server, self._on_notice, restart=self._restart)
        self._supervisor.supervise(supervised)
        self._calls[in_background(supervised.start, f"sprat-start-{name}")] = server

    def wait(self) -> None:
        """Wait until all serve.

        Raises:
            LocalError: one does not start.
        """
        for call in self._calls:
            call.result()

    def end(self, timeout_s: float) -> bool:
        """End all starts, by killing what does not serve yet; return whether all have ended in time."""
        deadline = Deadline(timeout_s)
        while (pending := wait(self._calls, _KILL_EVERY_S).not_done) and not deadline.passed:
            for call in pending:
                self._calls[call].kill()
        self._calls.clear()
        return not pending
