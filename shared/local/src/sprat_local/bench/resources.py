"""CPU and memory of the measured processes, and CPU of all others on this machine."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import psutil  # type: ignore[import-untyped] # its types are a package of their own

from sprat.base.errors import SpratError
from sprat_local.installation.lifecycle import Installation

T = TypeVar("T")

OURS: Final = "sprat bench"
"""The name of this process, which publishes and reads on the same machine."""
_MB: Final = 1e6


class ProcessMeter:
    """Measures running processes."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._ours = psutil.Process()

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds, user and system, of each process since its start.

        Raises:
            SpratError: a process has died.
        """
        return _of_each(_cpu_s, {**self._processes, OURS: self._ours})

    def others_s(self) -> float:
        """Return the CPU seconds of all other processes since the start of this machine."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # On Linux, `user` includes the time of virtual machines.
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return float(sum(times) - guests - idle - sum(self.cpu_s().values()))

    def peak_mb(self) -> dict[str, float]:
        """Return the peak of the resident memory of each process except this one, in megabytes (10^6 bytes).

        Raises:
            SpratError: a process has died.
        """
        return _of_each(lambda process: max(process.memory_info().rss / _MB, peak_mb(process.pid)), self._processes)


def meter_of(installation: Installation) -> ProcessMeter:
    """Return a meter of all processes of a running installation."""
    pids = {name: service.pid for name, service in installation.processes.items()}
    pids |= {name: server.pid for name, server in installation.servers.items()}
    return ProcessMeter({name: pid for name, pid in pids.items() if pid is not None})


def peak_mb(pid: int) -> float:
    """Return the peak memory recorded by the kernel (proc(5), VmHWM); 0 without one."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return 0.0
    peaks = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    return peaks[0] * 1024 / _MB if peaks else 0.0


def _of_each(measure: Callable[[psutil.Process], T], processes: Mapping[str, psutil.Process]) -> dict[str, T]:
    values = {}
    for name, process in processes.items():
        try:
            values[name] = measure(process)
        except psutil.NoSuchProcess:
            raise SpratError(f"{name} died during the measurement") from None
    return values


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
