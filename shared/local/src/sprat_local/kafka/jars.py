"""Where fetched and prepared files are kept between runs, and the lock that lets several processes prepare them."""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sprat_local.errors import DownloadError
from sprat_local.events import OnProgress, silent
from sprat_local.kafka.class_path import CLASS_PATH, KAFKA_VERSION


def cache_dir() -> Path:
    """Give Sprat's folder in the user's cache: `$XDG_CACHE_HOME/sprat`, else `~/.cache/sprat`. It may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification: a relative path is invalid and must be ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "sprat"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` among all processes of this machine; waits for it. The file stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Apache Kafka's jars: fetched once with `jgo`, checked against pinned hashes, kept in the user's cache.
#
# `class_path` pins every jar of the class path, so nothing is resolved at run time and a tampered or torn
# download never runs. A start after the first needs no network and does not import `jgo`.

_WORKERS = 8
_TRIES = 3
_PAUSE_S = 1.0
_TIMEOUT_S = 30
_REPORT_EVERY = 15


@dataclass(frozen=True, slots=True)
class Jar:
    """A pinned file of the class path."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Give its name in the cache, which holds them all in one folder."""
        return f"{self.group}.{self.artifact}-{self.version}.jar"


@cache
def pinned() -> tuple[Jar, ...]:
    """Give every jar of the class path, in its order."""
    words = CLASS_PATH.split()
    jars = []
    for coordinate, sha256 in zip(words[::2], words[1::2], strict=True):
        group, artifact, version = coordinate.split(":")
        jars.append(Jar(group, artifact, version, sha256))
    return tuple(jars)


def kafka_dir() -> Path:
    """Give the cache folder of exactly these jars and of all that is made from them."""
    digest = hashlib.sha256("".join(jar.sha256 for jar in pinned()).encode()).hexdigest()
    return cache_dir() / f"kafka-{KAFKA_VERSION}-{digest[:12]}"


def class_path(on_progress: OnProgress = silent) -> str:
    """Give the broker's class path, fetching what is missing (44 MB, once).

    Raises:
        DownloadError: a file cannot be fetched, or is not the pinned one.
    """
    folder = kafka_dir()
    if not _complete(folder):
        with locked(folder / "lock"):
            if not _complete(folder):  # another process may have done it meanwhile
                _fetch_all(folder, on_progress)
    return os.pathsep.join(str(folder / jar.file_name) for jar in pinned())


def _stamp(folder: Path) -> Path:
    return folder / "complete"


def _sizes(folder: Path) -> str:
    return "".join(f"{(folder / jar.file_name).stat().st_size} {jar.file_name}\n" for jar in pinned())


def _complete(folder: Path) -> bool:
    """Tell whether every jar is there with the size it had when its hash was checked."""
    try:
        return _stamp(folder).read_text("utf-8") == _sizes(folder)
    except FileNotFoundError:
        return False


def _fetch_all(folder: Path, on_progress: OnProgress) -> None:
    missing = [jar for jar in pinned() if not _is_pinned(folder / jar.file_name, jar)]
    download = folder / "download"
    shutil.rmtree(download, ignore_errors=True)  # a stopped run leaves torn files
    if missing:
        on_progress(f"fetching Apache Kafka {KAFKA_VERSION}: {len(missing)} files (44 MB in all), once")
    context = _maven(download)
    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            jobs = pool.map(lambda jar: _fetch(jar, folder, context), missing)
            for count, _ in enumerate(jobs, 1):
                if count % _REPORT_EVERY == 0:
                    on_progress(f"fetching Apache Kafka {KAFKA_VERSION}: {count} of {len(missing)} files")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    shutil.rmtree(download, ignore_errors=True)
    _stamp(folder).write_text(_sizes(folder), "utf-8")


def _maven(download: Path) -> Any:  # jgo's types are private
    try:
        # Imported here: it takes time and is needed once.
        from jgo.config import GlobalSettings  # noqa: PLC0415 - only to download
        from jgo.constants import MAVEN_CENTRAL_URL, default_maven_repo  # noqa: PLC0415 - as above
        from jgo.maven import MavenContext  # noqa: PLC0415 - as above
    except ImportError as error:
        raise DownloadError(_advice(f"the Python package jgo is missing ({error}); pip install jgo")) from error
    # The person's own Maven repository is looked at first, and the mirrors of jgo's settings come before the default.
    return MavenContext(
        repo_cache=download,
        local_repos=[default_maven_repo()],
        remote_repos={**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL},
        timeout=_TIMEOUT_S,
    )


def _fetch(jar: Jar, folder: Path, context: Any) -> None:
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for attempt in range(1, _TRIES + 1):
        try:
            found = artifact.resolve()
            break
        except (OSError, RuntimeError) as error:  # what requests and jgo raise
            artifact.cached_path.unlink(missing_ok=True)  # jgo would take a torn file for a whole one
            if attempt == _TRIES:
                raise DownloadError(_advice(f"{jar.file_name}: {error}")) from error
            time.sleep(_PAUSE_S * attempt)
    if not _is_pinned(found, jar):
        raise DownloadError(_advice(f"{found} is not the pinned file (sha256 {jar.sha256})"))
    part = folder / f"{jar.file_name}.part"
    shutil.copyfile(found, part)
    part.replace(folder / jar.file_name)


def _is_pinned(path: Path, jar: Jar) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _advice(reason: str) -> str:
    return (
        f"cannot fetch Apache Kafka {KAFKA_VERSION}: {reason}\n"
        "It is fetched once from Maven Central and kept. What to do, one of: get this machine online once; name your "
        "company's Maven mirror in jgo's configuration file, section [repositories]; put the jars into "
        f"{Path.home() / '.m2' / 'repository'} from another machine; or use a broker of yours (--bootstrap)."
    )
