"""The machine of the measurement, and the CPU and memory of processes."""

import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil  # type: ignore[import-untyped] # its types are a package of their own

from sprat.base.errors import SpratError
from sprat_local.kafka.class_path import KAFKA_VERSION
from sprat_operations.services import program_of

T = TypeVar("T")

OURS: Final = "sprat bench"
"""The name of this process, which publishes and reads on the same machine."""
_MB: Final = 1e6


def machine_facts(task: str, *, embedded: bool) -> dict[str, Any]:
    """Return the keys of the JSON report: processor, system, versions, load before the measurement."""
    return {
        "cpu": processor(),
        "cores": _cores(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sprat": _version("sprat"),
        f"sprat-{program_of(task)}": _version(f"sprat-{program_of(task)}"),
        "kafka": f"embedded {KAFKA_VERSION}" if embedded else "your own",
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cores() -> int:
    """Count the cores that this process, and so its children, may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def processor() -> str:
    """Return the name of this machine's processor, as its system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # run from its source folder
        return "unknown"


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of a process in megabytes (10^6 bytes)."""

    rss_mb: float
    peak_mb: float


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

    def memory(self) -> dict[str, Memory]:
        """Return the memory of each process except this one.

        Raises:
            SpratError: a process has died.
        """
        return _of_each(_memory, self._processes)


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


def _memory(process: psutil.Process) -> Memory:
    rss = process.memory_info().rss / _MB
    return Memory(rss, max(rss, _peak_mb(process.pid)))


def _peak_mb(pid: int) -> float:
    """Return the peak recorded by the kernel (proc(5), VmHWM); 0 without one."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / _MB
    return 0.0
