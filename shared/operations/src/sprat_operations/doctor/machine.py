"""Checks of this machine: Python, installed services and their models, the health port, checks of other packages."""

import http.client
import importlib.util
import json
import platform
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

from sprat.base import plugins
from sprat.base.checks import Check, ok, warning
from sprat_operations.services import SERVICES

_LOOPBACK = "127.0.0.1"
_PROBE_S = 1.0


def check_machine(health_port: int) -> Iterator[Check]:
    """Check all of it; nothing here needs Kafka."""
    yield ok("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    installed = plugins.find_all(plugins.SERVICES)
    yield _services(installed)
    for service in installed:
        yield from _artefacts(service)
    for entry in plugins.find_all(plugins.CHECKS):
        yield from entry.load()()
    yield check_health_port(health_port)


def _services(installed: tuple[EntryPoint, ...]) -> Check:
    versions = [f"{each.name} {each.dist.version}" if each.dist is not None else each.name for each in installed]
    missing = [spec.name for spec in SERVICES if spec.name not in {each.name for each in installed}]
    if not missing:
        return ok("services", ", ".join(versions))
    if not installed:
        return ok("services", "none installed here: they run elsewhere")
    return warning(
        "services",
        f"installed here: {', '.join(versions) or 'none'}; not installed: {', '.join(missing)}",
        f"where they are to run: pip install --find-links dist {' '.join(f'sprat-{name}' for name in missing)}",
    )


def _artefacts(service: EntryPoint) -> Iterator[Check]:
    """Check the models that a service's package contains. The service is not imported."""
    spec = importlib.util.find_spec(service.value)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        shipped = Path(folder) / "artefacts"
        if not shipped.is_dir():
            continue
        cards = sorted(shipped.glob("*/card.json"))
        if cards:
            setting = f"SPRAT_{service.name.upper().replace('-', '_')}__ARTEFACT"
            which = f"; {setting} says which is served" if len(cards) > 1 else ""
            yield ok("artefacts", f"{service.name}: {', '.join(_card(path) for path in cards)}{which}")
        else:
            yield warning(
                "artefacts",
                f"{service.name}: no model in {shipped}",
                f"pip install --force-reinstall sprat-{service.name}",
            )


def _card(path: Path) -> str:
    try:
        card = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return f"{path.parent.name} (its card cannot be read)"
    return f"{path.parent.name} {str(card.get('version', ''))[:8]}".rstrip()


def check_health_port(port: int) -> Check:
    """Check what listens where a service would answer `/readyz`."""
    subject = "health port"
    if port == 0:
        return ok(subject, "any free port")
    try:
        ready = _readyz(port)
    except ConnectionRefusedError:
        return ok(subject, f"{port} is free")
    if ready is None:
        return warning(
            subject, f"{port} is taken by another program", "set SPRAT_HEALTH_PORT to another one, or to 0 for any"
        )
    state = "ready" if ready.get("ready") else "not ready yet"
    return ok(subject, f"{port} answers: {ready.get('service', 'a service')} {ready.get('version', '')}, {state}")


def _readyz(port: int) -> dict[str, object] | None:
    """Return what a service reports on this port; None if another program listens.

    Raises:
        ConnectionRefusedError: nothing listens there.
    """
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=_PROBE_S)
    try:
        connection.request("GET", "/readyz")
        report = json.loads(connection.getresponse().read(65_536))
    except ConnectionRefusedError:
        raise
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return report if isinstance(report, dict) and "ready" in report else None
