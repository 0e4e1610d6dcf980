"""Apache Kafka's jars: fetched once with `jgo`, checked against pinned hashes, kept in the user's cache.

`class_path.txt` pins every jar, in the order of the class path: Maven coordinate, then sha256. So nothing is resolved
at run time and a tampered or incomplete download never runs. Later starts need no network and do not import `jgo`.

The file was resolved once from org.apache.kafka:kafka_2.13:4.1.1 and org.slf4j:slf4j-simple:1.7.36. (log4j-slf4j-impl
would bring a bill of materials that downgrades kafka-clients, and the broker would fail.)
"""

import hashlib
import os
import shutil
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_cache_path

from sprat_local.processes.notices import DownloadError, OnProgress, discard_progress

KAFKA_VERSION = "4.1.1"
_CLASS_PATH = Path(__file__).with_name("class_path.txt")
_WORKERS = 8
_TRIES = 3
_RETRY_PAUSE_S = 1.0
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
        """Return its name in the cache, where all are in one folder."""
        return f"{self.group}.{self.artifact}-{self.version}.jar"


@cache
def pinned() -> tuple[Jar, ...]:
    """Return every jar of the class path, in its order."""
    lines = _CLASS_PATH.read_text("ascii").replace(":", " ").splitlines()
    return tuple(Jar(*line.split()) for line in lines)


def kafka_dir() -> Path:
    """Return the cache folder of exactly these jars and of what is prepared from them. It may not exist yet.

    On Linux it is below `$XDG_CACHE_HOME/sprat`, by default `~/.cache/sprat`.
    """
    digest = hashlib.sha256("".join(jar.sha256 for jar in pinned()).encode()).hexdigest()
    return user_cache_path("sprat") / f"kafka-{KAFKA_VERSION}-{digest[:12]}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for the exclusive right to change the files in a cache folder, among all processes of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        yield


def class_path(on_progress: OnProgress = discard_progress, *, retry_pause_s: float = _RETRY_PAUSE_S) -> str:
    """Return the broker's class path; fetch what is missing (44 MB, once).

    Raises:
        DownloadError: a file cannot be fetched, or is not the pinned one.
    """
    folder = kafka_dir()
    if not _complete(folder):
        with locked(folder):
            if not _complete(folder):  # another process may have done it meanwhile
                _fetch_all(folder, on_progress, retry_pause_s)
    return os.pathsep.join(str(folder / jar.file_name) for jar in pinned())


def _stamp(folder: Path) -> Path:
    return folder / "complete"


def _sizes(folder: Path) -> str:
    return "".join(f"{(folder / jar.file_name).stat().st_size} {jar.file_name}\n" for jar in pinned())


def _complete(folder: Path) -> bool:
    """Return whether every jar is there with the size it had when its hash was checked."""
    try:
        return _stamp(folder).read_text("utf-8") == _sizes(folder)
    except FileNotFoundError:
        return False


def _fetch_all(folder: Path, on_progress: OnProgress, retry_pause_s: float) -> None:
    missing = [jar for jar in pinned() if not _is_pinned(folder / jar.file_name, jar)]
    download = folder / "download"
    shutil.rmtree(download, ignore_errors=True)  # an interrupted run leaves incomplete files
    if missing:
        on_progress(f"fetching Apache Kafka {KAFKA_VERSION}: {len(missing)} files (44 MB in all), once")
    context = _maven(download)
    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            jobs = pool.map(lambda jar: _fetch(jar, folder, context, retry_pause_s), missing)
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
    # The user's local Maven repository comes first, then the mirrors of jgo's settings, then the default.
    return MavenContext(
        repo_cache=download,
        local_repos=[default_maven_repo()],
        remote_repos={**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL},
        timeout=_TIMEOUT_S,
    )


def _fetch(jar: Jar, folder: Path, context: Any, retry_pause_s: float) -> None:
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for attempt in range(1, _TRIES + 1):
        try:
            resolved = artifact.resolve()
            break
        except (OSError, RuntimeError) as error:  # what requests and jgo raise
            artifact.cached_path.unlink(missing_ok=True)  # jgo would accept an incomplete file
            if attempt == _TRIES:
                advice = _advice(f"{jar.file_name}: {error}", unknown_certificate=_is_unknown_certificate(error))
                raise DownloadError(advice) from error
            time.sleep(retry_pause_s * attempt)
    if not _is_pinned(resolved, jar):
        raise DownloadError(_advice(f"{resolved} is not the pinned file (sha256 {jar.sha256})"))
    part = folder / f"{jar.file_name}.part"
    shutil.copyfile(resolved, part)
    part.replace(folder / jar.file_name)


def _is_pinned(path: Path, jar: Jar) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _is_unknown_certificate(error: BaseException | None) -> bool:
    """Return whether the cause of an error is a certificate that this machine does not trust, as a proxy's may be."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _advice(reason: str, *, unknown_certificate: bool = False) -> str:
    first = (
        "set REQUESTS_CA_BUNDLE to a file with your company's certificate authorities (PEM)"
        if unknown_certificate
        else "get this machine online once"
    )
    return (
        f"cannot fetch Apache Kafka {KAFKA_VERSION}: {reason}\n"
        f"It is fetched once from Maven Central and kept. What to do, one of: {first}; name your "
        "company's Maven mirror in jgo's configuration file, section [repositories]; copy the jars into "
        f"{Path.home() / '.m2' / 'repository'} from another machine; or use your own broker (--bootstrap)."
    )
