"""What the process itself uses, from the kernel."""

import os
import resource
from contextlib import suppress
from pathlib import Path

from sprat.telemetry.instruments import Observations
from sprat.telemetry.signals import CPU_SECONDS, MEMORY_BYTES

_STATM = Path("/proc/self/statm")


def watch_process() -> None:
    """Measure CPU and memory of this process at every collection of metrics."""
    CPU_SECONDS.watch(_cpu_seconds)
    MEMORY_BYTES.watch(_resident_bytes)


def _cpu_seconds() -> Observations:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return [(usage.ru_utime, {"cpu_mode": "user"}), (usage.ru_stime, {"cpu_mode": "system"})]


def _resident_bytes() -> Observations:
    with suppress(OSError):  # there is no /proc outside Linux
        return [(int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"), {})]
    return []
