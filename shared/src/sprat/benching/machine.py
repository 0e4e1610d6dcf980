"""What the figures were measured on."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sprat.local.kafka.class_path import KAFKA_VERSION


def machine_facts(task: str, *, embedded: bool) -> dict[str, Any]:
    """Give the facts, by names for machines: the processor, the system, the versions, how busy it was before."""
    return {
        "cpu": _processor(),
        "cores": _cores(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sprat": _version("sprat"),
        f"sprat-{task}": _version(f"sprat-{task}"),
        "kafka": f"embedded {KAFKA_VERSION}" if embedded else "your own",
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cores() -> int:
    """Count those that this process, and so its children, may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # run from its source folder
        return "unknown"
