"""The machine of a measurement, for the figures that are kept."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sprat_local.kafka.jars import KAFKA_VERSION


def machine_facts(service: str) -> dict[str, Any]:
    """Return processor, system, versions, and the load before the measurement."""
    return {
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "python": platform.python_version(),
        "sprat": version("sprat"),
        f"sprat-{service}": version(f"sprat-{service}"),
        "kafka": f"embedded {KAFKA_VERSION}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def processor() -> str:
    """Return the name of this machine's processor, as its system gives it."""
    lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
