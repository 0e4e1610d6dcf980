"""Supervises the processes of an installation from a thread of its own: restarts what dies, until it is stopped.

Written by hand: systemd, supervisord and the like are no Python libraries and do not share the life of one command.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sprat.base.retry import Backoff
from sprat_local.processes.background import in_background
from sprat_local.processes.embedded_server import EmbeddedServer
from sprat_local.processes.notices import LocalError, Notice, OnNotice, StartError
from sprat_local.processes.service_process import AT_WORK, ProcessState, ServiceProcess

_BUSY_S = 0.05
_CALM_S = 0.25
_BUSY_FACTOR = 5
"""Services that are at work have so many times the time that is usual for their start."""
_BUSY_LOOK_S = 10.0
_MORE_TIME = ": start again when less runs here, or give it longer, as with `sprat up --start-timeout 300`"
_LOOK_S = 0.8
"""Time before the end of the grace in which is looked at what still runs: does it work, or hang?"""
_ANSWER_S = 0.5
"""How long a process is waited for to answer a request."""
_MAX_FAILED_STARTS = 3
"""A service that dies so often before it was ever ready will not start by itself."""


def _wait_for(processes: Iterable[ServiceProcess], until: float) -> None:
    """Wait for the end of all of them, until this time at most."""
    while time.monotonic() < until and any(process.pid is not None for process in processes):
        time.sleep(_BUSY_S / 5)


def _ignore(_: Iterable[ServiceProcess]) -> None:
    """Do nothing."""


class SupervisedServer:
    """An embedded server and its restarts. Only `kill` may be called concurrently with other methods."""

    def __init__(self, name: str, server: EmbeddedServer, on_notice: OnNotice, *, restart: bool = True) -> None:
        self.name = name
        self.state = ProcessState.STOPPED
        self.restarts = 0
        self.last_exit = ""
        self._server = server
        self._on_notice = on_notice
        self._restart = restart
        self._backoff = Backoff(0.5, 30.0)
        self._due_at = 0.0
        self._restarting: Future[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._server.pid

    @property
    def port(self) -> int:
        """Its port; 0 before its first start."""
        try:
            return self._server.port
        except LocalError:
            return 0

    def start(self) -> None:
        """Start it and return when it serves.

        Raises:
            LocalError: it does not start.
        """
        self.state = ProcessState.STARTING
        self._server.start()
        self.state = ProcessState.READY

    def crash(self) -> None:
        """End it as a crash does and do not restart it; its data stays."""
        self.end_restart()
        self.state = ProcessState.STOPPED
        self._server.kill()

    def tick(self) -> None:
        """Detect its death; restart it when that is due."""
        now = time.monotonic()
        if self._restarting is not None and self._restarting.done():
            self._tell(self._restarting)
            self._restarting = None
        elif self.state is ProcessState.READY and self.pid is None:
            self._handle_death(now)
        elif self.state is ProcessState.WAITING and now >= self._due_at:
            self.restarts += 1
            self.state = ProcessState.STARTING
            # Not on this thread: of several brokers none serves before most of them run.
            self._restarting = in_background(self.start, f"sprat-restart-{self.name}")

    def end_restart(self) -> None:
        """End a restart that is in progress: from then on the server can be stopped."""
        while self._restarting is not None and wait([self._restarting], _BUSY_S).not_done:
            self._server.kill()
        self._restarting = None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal; the supervisor handles what follows."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _tell(self, restart: "Future[None]") -> None:
        try:
            restart.result()
        except (LocalError, OSError) as error:  # OSError: such as a full disk
            self.state, self._due_at = ProcessState.WAITING, time.monotonic() + self._backoff.next()
            self._on_notice(Notice(self.name, "error", str(error)))
        else:
            self._on_notice(Notice(self.name, "info", "serves again"))

    def _handle_death(self, now: float) -> None:
        self.last_exit = self._server.last_exit
        pause = self._backoff.next()
        if self._restart:
            self.state, self._due_at = ProcessState.WAITING, now + pause
            restart = f"; restart {self.restarts + 1} in {pause:.1f} s"
        else:
            self.state, restart = ProcessState.STOPPED, ""
        # A killed process had no time to log why: its last lines are about something else.
        lines = "" if self.last_exit.startswith("killed") else self._server.last_lines()
        details = f"; log: {self._server.log_path}" + (f"\n{lines}" if lines else "")
        self._on_notice(Notice(self.name, "error", f"died: {self.last_exit}{restart}{details}"))


class Supervisor:
    """The processes, and the thread that ticks them. All methods may be called from any thread."""

    def __init__(self, on_notice: OnNotice, on_tick: Callable[[Iterable[ServiceProcess]], None] = _ignore) -> None:
        self.services: dict[str, ServiceProcess] = {}
        self.servers: dict[str, SupervisedServer] = {}
        self._on_notice = on_notice
        self._on_tick = on_tick
        """Receives the services several times a second."""
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def supervise(self, server: SupervisedServer) -> None:
        """Restart this server when it dies, after its first start."""
        with self._lock:
            self.servers[server.name] = server
        self._run_thread()

    def start(self, process: ServiceProcess) -> None:
        """Start a service and supervise it from now on."""
        with self._lock:
            process.start()
            self.services[process.name] = process
        self._run_thread()
        self._wake.set()

    def wait_ready(self, processes: Iterable[ServiceProcess], timeout_s: float) -> None:
        """Wait until all of them are ready; those that are still at work after `timeout_s` are given more time.

        So are those whose log says "ready": on a busy machine they wait to be asked.

        Raises:
            StartError: one has stopped, keeps dying, or is not ready in time; with the last lines of its log.
        """
        began = time.monotonic()
        deadline, latest = began + timeout_s, began + _BUSY_FACTOR * timeout_s
        worked: dict[str, float] = {}
        told = ""
        waiting = list(processes)
        while waiting := [process for process in waiting if process.state is not ProcessState.READY]:
            for process in waiting:
                if process.state is ProcessState.STOPPED or process.restarts >= _MAX_FAILED_STARTS:
                    reason = f"{process.name} does not start: {process.last_exit}"
                    raise StartError(reason, process.log, process.last_lines())
            if (now := time.monotonic()) > deadline:
                window_s = min(_BUSY_LOOK_S, timeout_s / 4)
                cpu_s = {process.name: process.cpu_s() or 0.0 for process in waiting}
                least = AT_WORK * window_s
                # One that waits for a core, on a busy machine, has work and cannot do it.
                idle = [
                    each
                    for each in waiting
                    if worked
                    and cpu_s[each.name] < worked[each.name] + least
                    and not each.is_runnable()
                    and not each.says_ready
                ]
                if idle or now > latest:
                    late = (idle or waiting)[0]
                    what = "has started, but was not found ready" if late.says_ready else "is not ready"
                    reason = f"{late.name} {what} after {now - began:.0f} s{_busy_machine()}{_MORE_TIME}"
                    raise StartError(reason, late.log, late.last_lines())
                if worked and not told:
                    told = f"not ready after {now - began:.0f} s, but at work{_busy_machine()}; waiting on"
                    self._on_notice(Notice(", ".join(cpu_s), "warning", told))
                worked, deadline = cpu_s, now + window_s
            time.sleep(0.01)

    def stop_services(self, names: Iterable[str], grace_s: float) -> None:
        """Stop services together: SIGTERM, and SIGKILL to those that still run after `grace_s`."""
        with self._lock:
            stopping = [self.services[name] for name in list(names) if name in self.services]
            for process in stopping:
                process.terminate()
        deadline, window_s = time.monotonic() + grace_s, min(_LOOK_S, grace_s / 2)
        _wait_for(stopping, deadline - window_s)
        late = {process: process.cpu_s() for process in stopping if process.pid is not None}
        _wait_for(late, deadline - min(_ANSWER_S, window_s / 2))
        with ThreadPoolExecutor(max(1, len(late))) as looking:
            hangs = dict(zip(late, looking.map(lambda each: each.hangs(late[each], window_s), late), strict=True))
        for process in stopping:
            if not process.wait(deadline):
                what = (
                    "neither answered nor worked, and was killed"
                    if hangs.get(process)
                    else "was at work, and was ended"
                )
                told = f"did not stop within {grace_s:g} s: it {what}; nothing unfinished was committed"
                self._on_notice(Notice(process.name, "warning", told))
            self.services.pop(process.name, None)  # only now: `kill_all` must find it as long as it runs

    def crash_server(self, name: str) -> None:
        """End a server as a crash does and do not restart it."""
        with self._lock:
            self.servers[name].crash()

    def start_server(self, name: str) -> None:
        """Start a server that was crashed on purpose.

        Raises:
            LocalError: it does not start.
        """
        with self._lock:
            self.servers[name].start()

    def shut_down(self) -> None:
        """Stop supervising; the owner stops the servers."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        for server in self.servers.values():
            server.end_restart()
        self.servers.clear()
        self._thread, self._stopping = None, False  # what starts next is supervised again

    def kill_all(self) -> None:
        """Kill every process at once. Takes no lock: a signal handler calls it while a stop is in progress."""
        self._stopping = True
        for process in self._processes():
            process.kill()

    def _processes(self) -> list[ServiceProcess | SupervisedServer]:
        return [*self.servers.values(), *self.services.values()]

    def _run_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sprat-supervisor", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            with self._lock:
                for process in self._processes():
                    if not self._stopping:
                        process.tick()
                self._on_tick(list(self.services.values()))  # a copy: others start and stop services meanwhile
                busy = any(process.state is ProcessState.STARTING for process in self.services.values())
            self._wake.wait(_BUSY_S if busy else _CALM_S)
            self._wake.clear()


def _busy_machine() -> str:
    """Return what to say of a machine on which more wants to run than it has cores; empty where that is not so."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f" (the machine is busy: load {load:.1f} on {cores} cores)" if load > cores else ""
