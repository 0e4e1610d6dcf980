"""CPU and memory of the processes of an installation, and of this one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import psutil  # type: ignore[import-untyped] # its types are a package of their own

from sprat.errors import SpratError

T = TypeVar("T")

OURS: Final = "sprat bench"
"""This process: it publishes and reads, on the same machine."""
_MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process in megabytes (10^6 bytes)."""

    rss_mb: float
    peak_mb: float


class Meter:
    """Measures processes that go on running."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._ours = psutil.Process()

    def cpu_s(self) -> dict[str, float]:
        """Give the CPU seconds, user and system, that each process has used since its start.

        Raises:
            SpratError: one is gone.
        """
        return _of_each(_cpu_s, {**self._processes, OURS: self._ours})

    def others_s(self) -> float:
        """Give the CPU seconds that all other processes of this machine have used since it was started."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # On Linux, the time of guests stands in `user`, too.
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return float(sum(times) - guests - idle - sum(self.cpu_s().values()))

    def memory(self) -> dict[str, Memory]:
        """Give the memory of each process but ours.

        Raises:
            SpratError: one is gone.
        """
        return _of_each(_memory, self._processes)


def _of_each(measure: Callable[[psutil.Process], T], processes: Mapping[str, psutil.Process]) -> dict[str, T]:
    found = {}
    for name, process in processes.items():
        try:
            found[name] = measure(process)
        except psutil.NoSuchProcess:
            raise SpratError(f"{name} died while it was measured") from None
    return found


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _memory(process: psutil.Process) -> Memory:
    rss = process.memory_info().rss / _MB
    return Memory(rss, max(rss, _peak_mb(process.pid)))


def _peak_mb(pid: int) -> float:
    """Give the peak that the kernel has kept (proc(5), VmHWM); 0 where it keeps none."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / _MB
    return 0.0
