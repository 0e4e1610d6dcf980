"""`sprat up` as the user runs it: a process of its own, its output, its children."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from support.terminal import Terminal

_CONTROLLED = ("setsid", "--ctty")
"""Makes the terminal the one that controls the program: then Ctrl-C and a change of size reach it as signals."""


class UpProcess:
    """A running `sprat up`: its output goes into a pipe, or onto a terminal that it is started on."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        python: Path | str = sys.executable,
        terminal: Terminal | None = None,
    ) -> None:
        self.lines: list[str] = []
        self.terminal = terminal
        self.process = subprocess.Popen(
            [*(() if terminal is None else _CONTROLLED), python, "-m", "sprat_cli", "up", *arguments],
            cwd=cwd,
            env=env,
            stdin=None if terminal is None else terminal.theirs,
            stdout=subprocess.PIPE if terminal is None else terminal.theirs,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if terminal is not None:
            terminal.hand_over()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def bootstrap(self) -> str:
        return self._greeting_value("Kafka")

    @property
    def redis(self) -> str:
        """URL without its password, which commands of the same user find by themselves."""
        return self._greeting_value("Redis")

    @property
    def port(self) -> int:
        return int(self.bootstrap.rpartition(":")[2])

    @property
    def run_folder(self) -> Path:
        return Path(self._greeting_value("logs")).parent

    def wait_ready(self, within_s: float = 60) -> None:
        """Wait until everything is ready, the gateway too, which starts after the others."""
        self.wait_for(lambda: "is ready after" in self.output and "Ctrl-C" in self.output, within_s)
        self.wait_for(lambda: re.search(r"opens the page once|gateway: |not installed: gateway", self.output), within_s)

    def wait_for(self, reached: Callable[[], object], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not reached():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def pid_of(self, module: str) -> int | None:
        """Return the process id of a service; None while it is down."""
        for child in self.children():
            try:
                if module in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    return child.pid
            except psutil.NoSuchProcess:
                continue
        return None

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Send the signal; return the exit code and the seconds until the exit."""
        return self.ended_by(lambda: self.process.send_signal(number))

    def ended_by(self, ask: Callable[[], None]) -> tuple[int, float]:
        """Ask it to end; return the exit code and the seconds until the exit."""
        began = time.monotonic()
        ask()
        code = self.process.wait(30)
        seconds = time.monotonic() - began
        self._reader.join(5)
        return code, seconds

    def end(self) -> None:
        """Kill it if it still runs, and close its pipe."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def _greeting_value(self, name: str) -> str:
        found = re.search(rf"^  {name} +(\S+)(?:$|  )", self.output, re.MULTILINE)
        assert found is not None, self.output
        return found[1]

    def _read(self) -> None:
        source = self.process.stdout if self.terminal is None else self.terminal.lines()
        assert source is not None
        for line in source:
            self.lines.append(line.rstrip("\n"))


def have_ended(processes: list[psutil.Process], within_s: float) -> bool:
    """Return whether all have ended in time."""
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def is_port_released(port: int, at: float) -> bool:
    """Return whether nothing that ran then (epoch seconds) listens there; others may take a usual port at once."""
    listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    there = [psutil.Process(each.pid) for each in listening if each.laddr.port == port]
    return all(process.create_time() > at for process in there)
