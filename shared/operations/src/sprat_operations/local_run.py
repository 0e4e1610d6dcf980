"""What `sprat up` tells the commands of the same user: how to reach its Redis, whose password is in no setting."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_cache_path

_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_REDIS_PORT = 6379


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A running local installation."""

    pid: int
    folder: str
    """Its data, secret and logs."""
    redis_url: str
    """With the password."""
    bootstrap: str = ""
    """Its Kafka; empty where an earlier version wrote it."""

    def announce(self) -> Path:
        """Write it where `find` looks, for this user alone; the caller removes the file at the end."""
        path = _path(_port(self.redis_url))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
        return path


def find(redis_url: str) -> LocalRun | None:
    """Return this user's running installation whose Redis a URL names, without a password or with its own.

    None if there is none.
    """
    try:
        parts = urlsplit(redis_url)
        if parts.hostname not in _LOOPBACK:
            return None
        run = LocalRun(**json.loads(_path(_port(redis_url)).read_text("utf-8")))
        os.kill(run.pid, 0)
    except (OSError, ValueError, TypeError):  # none, or one that was killed
        return None
    return run if parts.password in {None, urlsplit(run.redis_url).password} else None


def find_by_kafka(bootstrap: str) -> LocalRun | None:
    """Return this user's running installation whose Kafka has this address; None if there is none."""
    addresses = {_plain(each) for each in bootstrap.split(",")}
    return next((run for run in running() if _plain(run.bootstrap) in addresses), None)


def running() -> list[LocalRun]:
    """Return this user's installations that run now, as far as their Redis is their own."""
    found = []
    for path in sorted(_folder().glob("redis-*.json")):
        try:
            run = LocalRun(**json.loads(path.read_text("utf-8")))
            os.kill(run.pid, 0)
        except (OSError, ValueError, TypeError):  # one that was killed, or ends just now
            continue
        found.append(run)
    return found


def _plain(address: str) -> str:
    """Return an address of this machine in one form."""
    host, _, port = address.strip().rpartition(":")
    return f"127.0.0.1:{port}" if host in _LOOPBACK else address.strip()


def _port(url: str) -> int:
    return urlsplit(url).port or _REDIS_PORT


def _path(port: int) -> Path:
    return _folder() / f"redis-{port}.json"


def _folder() -> Path:
    return user_cache_path("sprat") / "run"
