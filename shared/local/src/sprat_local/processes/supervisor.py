"""Looks after the processes of an installation from a thread of its own, until it is told to stop them."""

import threading
import time
from collections.abc import Iterable

from sprat_local.errors import StartError
from sprat_local.events import Event, OnEvent
from sprat_local.processes.service_process import ServiceProcess, State
from sprat_local.servers.supervised import SupervisedServer

_QUICK_S = 0.05
_CALM_S = 0.25
_GIVE_UP_AFTER = 3
"""A service that dies so often before it was ever ready will not come up by itself."""


class Supervisor:
    """The processes, and the thread that ticks them. All methods may be called from any thread."""

    def __init__(self, on_event: OnEvent) -> None:
        self.services: dict[str, ServiceProcess] = {}
        self.servers: dict[str, SupervisedServer] = {}
        self._on_event = on_event
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None

    def supervise(self, server: SupervisedServer) -> None:
        """Bring this server back when it dies, once it was started."""
        with self._lock:
            self.servers[server.name] = server
        self._run_thread()

    def start(self, process: ServiceProcess) -> None:
        """Start a service and look after it from now on."""
        with self._lock:
            process.start()
            self.services[process.name] = process
        self._run_thread()
        self._wake.set()

    def wait_ready(self, processes: Iterable[ServiceProcess], timeout_s: float) -> None:
        """Wait until all of them are ready.

        Raises:
            StartError: one stays down, keeps dying, or is not ready in time; with what it said last.
        """
        deadline = time.monotonic() + timeout_s
        waiting = list(processes)
        while waiting := [process for process in waiting if process.state is not State.READY]:
            for process in waiting:
                if process.state is State.STOPPED or process.restarts >= _GIVE_UP_AFTER:
                    why = f"{process.name} does not start: {process.last_end}"
                    raise StartError(why, process.log, process.last_words())
            if time.monotonic() > deadline:
                late = waiting[0]
                why = f"{late.name} is not ready after {timeout_s:.0f} s"
                raise StartError(why, late.log, late.last_words())
            time.sleep(0.01)

    def stop_services(self, names: Iterable[str], grace_s: float) -> None:
        """Stop services together: SIGTERM, and SIGKILL to those still there after `grace_s`."""
        with self._lock:
            leaving = [self.services[name] for name in list(names) if name in self.services]
            for process in leaving:
                process.terminate()
        deadline = time.monotonic() + grace_s
        for process in leaving:
            if not process.wait(deadline):
                self._on_event(Event(process.name, "warning", f"did not stop within {grace_s:g} s: killed"))
            self.services.pop(process.name, None)  # only now: `kill_all` must find it until it is gone

    def crash_server(self, name: str) -> None:
        """End a server as a crash does and leave it down."""
        with self._lock:
            self.servers[name].crash()

    def start_server(self, name: str) -> None:
        """Bring a server back that was taken down.

        Raises:
            LocalError: it does not come up.
        """
        with self._lock:
            self.servers[name].start()

    def end(self) -> None:
        """Look after nothing any more; the servers are the owner's to stop."""
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.servers.clear()

    def kill_all(self) -> None:
        """Kill every process at once. Takes no lock: it is called while a stop is under way, from a signal handler."""
        self._ending = True
        for process in self._all():
            process.kill()

    def _all(self) -> list[ServiceProcess | SupervisedServer]:
        return [*self.servers.values(), *self.services.values()]

    def _run_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sprat-supervisor", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._ending:
            with self._lock:
                for process in self._all():
                    if not self._ending:
                        process.tick()
                busy = any(process.state is State.STARTING for process in self.services.values())
            self._wake.wait(_QUICK_S if busy else _CALM_S)
            self._wake.clear()
