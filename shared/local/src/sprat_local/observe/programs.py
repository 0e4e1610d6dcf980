"""The programs that can observe an installation, and where they are on this machine."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sprat.base.errors import UserError

HOW_TO_GET = "docs/observability.md says how to get it"
_VALIDATE_S = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program that observes an installation."""

    name: str
    executables: tuple[str, ...]
    """Its possible file names: distributions name it differently."""
    port: int
    """Where its web page, or its receiver of OTLP over HTTP, usually listens."""
    ready_path: str
    """Answers once it serves. The collector answers 404 there, which is an answer too."""
    page: str = "/"
    """The path of its web page; empty if it has none."""


PROMETHEUS = Program("prometheus", ("prometheus",), 9090, "/-/ready", "/graph")
ALERTMANAGER = Program("alertmanager", ("prometheus-alertmanager", "alertmanager"), 9093, "/-/ready")
VICTORIA_METRICS = Program("victoria-metrics", ("victoria-metrics", "victoria-metrics-prod"), 8428, "/health", "/vmui")
VICTORIA_LOGS = Program("victoria-logs", ("victoria-logs", "victoria-logs-prod"), 9428, "/health", "/select/vmui")
JAEGER = Program("jaeger", ("jaeger",), 16686, "/")
COLLECTOR = Program("otelcol", ("otelcol-contrib", "otelcol"), 4318, "/", page="")

PROGRAMS = (PROMETHEUS, ALERTMANAGER, VICTORIA_METRICS, VICTORIA_LOGS, JAEGER, COLLECTOR)


def find_programs(environment: Mapping[str, str] = os.environ) -> dict[Program, Path]:
    """Return the installed programs: on the PATH, or where Go installs what it builds.

    Raises:
        UserError: none is installed.
    """
    folders = os.pathsep.join([environment.get("PATH", os.defpath), *_go_folders(environment)])
    found = {}
    for program in PROGRAMS:
        paths = (shutil.which(executable, path=folders) for executable in program.executables)
        path = next((path for path in paths if path is not None), None)
        if path is not None:
            found[program] = Path(path)
    if not found:
        names = ", ".join(program.name for program in PROGRAMS)
        raise UserError(f"--observe: none of {names} is installed; {HOW_TO_GET}")
    return found


def collector_accepts(path: Path, layers: Iterable[Path]) -> bool:
    """Return whether a collector has all that its configuration names: its distributions differ in their components."""
    argv = [str(path), "validate", *(f"--config={layer}" for layer in layers)]
    try:
        return subprocess.run(argv, capture_output=True, check=False, timeout=_VALIDATE_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _go_folders(environment: Mapping[str, str]) -> Iterable[str]:
    if binaries := environment.get("GOBIN"):
        yield binaries
    for root in environment.get("GOPATH", str(Path.home() / "go")).split(os.pathsep):
        yield str(Path(root) / "bin")
