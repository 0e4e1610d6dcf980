"""What the process itself uses, from the kernel, and how late its event loop is."""

import asyncio
import os
import resource
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from sprat.telemetry.instruments import Observations
from sprat.telemetry.signals import CPU_SECONDS, LOOP_LAG, MEMORY_BYTES

_STATM = Path("/proc/self/statm")
_EVERY_S = 0.25
_latest: deque[float] = deque(maxlen=4)
"""How late the event loop was, in the last second."""


def watch_process() -> None:
    """Measure CPU and memory of this process at every collection of metrics."""
    CPU_SECONDS.watch(_cpu_seconds)
    MEMORY_BYTES.watch(_resident_bytes)


async def watch_event_loop() -> None:
    """Measure until cancelled by how much later than asked the event loop continues."""
    while True:
        due = time.monotonic() + _EVERY_S
        await asyncio.sleep(_EVERY_S)
        late_s = max(0.0, time.monotonic() - due)
        _latest.append(late_s)
        LOOP_LAG.record(late_s)


def event_loop_lag_s() -> float:
    """Return the largest lag of the last second; 0 where nobody measures."""
    return max(_latest, default=0.0)


def _cpu_seconds() -> Observations:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return [(usage.ru_utime, {"cpu_mode": "user"}), (usage.ru_stime, {"cpu_mode": "system"})]


def _resident_bytes() -> Observations:
    with suppress(OSError):  # there is no /proc outside Linux
        return [(int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"), {})]
    return []
