"""Makes the broker start in 0.7 s instead of 1.7 s: a formatted storage and a JVM archive, made once beside the jars.

The archive is Java's ahead-of-time cache (JEP 483 and 514, Java 25): loaded and linked classes of an earlier run. The
JVM itself checks that it fits the runtime and the jars, and goes on without it where it does not.
"""

import hashlib
import logging
import os
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sprat_local.errors import LocalError
from sprat_local.events import OnProgress, silent
from sprat_local.kafka import jars, jvm, probe, storage
from sprat_local.kafka.jars import locked
from sprat_local.processes import child_log, lifeline
from sprat_local.processes.ports import free_ports

logger = logging.getLogger(__name__)

BROKER = "kafka.Kafka"
_START_TIMEOUT_S = 60
_ARCHIVE_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Installation:
    """What every embedded broker of this machine starts from."""

    class_path: str
    template: Path
    archive: Path

    def has_archive(self) -> bool:
        """Tell whether there is an archive to start with."""
        return self.archive.is_file() and self.archive.stat().st_size > 0

    def broker(self, config: Path, *, with_archive: bool) -> list[str]:
        """Give the broker's command line."""
        options = (f"-XX:AOTCache={self.archive}",) if with_archive else ()
        return jvm.command(self.class_path, BROKER, str(config), options=options)

    def give_up_archive(self) -> None:
        """Start without the archive from now on: an empty file stands for one that does not work here."""
        self.archive.write_bytes(b"")


def installation(on_progress: OnProgress = silent) -> Installation:
    """Give what brokers start from, made now if this is the first time on this machine (about 10 s and the download).

    Raises:
        LocalError: the files cannot be fetched, or Kafka's storage tool does not run.
    """
    class_path = jars.class_path(on_progress)
    folder = jars.kafka_dir()
    made = Installation(class_path, folder / "template", folder / f"{_runtime()}-{_fingerprint(class_path)}.aot")
    if storage.has_template(made.template) and made.archive.exists():
        return made
    with locked(folder / "lock"):
        if not storage.has_template(made.template):
            storage.make_template(made.template, class_path)
        if not made.archive.exists():
            on_progress("preparing fast starts of the broker, once (about 8 s)")
            _make_archive(made)
    return made


def _runtime() -> str:
    return f"java-{jvm.java_version()}-{platform.system()}-{platform.machine()}".lower()


def _fingerprint(class_path: str) -> str:
    """Tell the jars that the archive was made from as the JVM does: one copied to elsewhere gets a new archive."""
    seen = [(path, int(Path(path).stat().st_mtime)) for path in class_path.split(os.pathsep)]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:8]


def _make_archive(made: Installation) -> None:
    """Run a throw-away broker that writes the archive when it ends. Its failure costs speed alone."""
    for old in made.archive.parent.glob(f"{_runtime()}-*"):
        old.unlink()
    part = made.archive.with_suffix(".part")
    try:
        _train(made, part)
        part.replace(made.archive)
    except (LocalError, OSError) as error:
        logger.warning("the broker starts slowly, its archive cannot be made: %s", error)
        made.give_up_archive()


def _train(made: Installation, part: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="sprat-archive-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        port, controller_port = free_ports(2)
        storage.format_from(made.template, folder / "log")
        config = folder / "server.properties"
        config.write_text(storage.configuration(folder / "log", port, controller_port), "utf-8")
        argv = jvm.command(made.class_path, BROKER, str(config), options=(f"-XX:AOTCacheOutput={part}",))
        child = child_log.start("Kafka", argv, folder / "kafka.log", cwd=folder, env=jvm.environment())
        try:
            child.wait_until(lambda: probe.is_serving(port), _START_TIMEOUT_S)
            probe.wake_groups(port)
        finally:
            lifeline.stop(child.process, _ARCHIVE_TIMEOUT_S)
