"""What `sprat up` tells the commands of the same user: where it runs, and the password of its Redis."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_cache_path

SIMULATED = "simulated"
"""The frontier of an installation that asks the simulator."""
SIMULATOR_HOST = "localhost"
"""How its frontier reaches the simulator: a policy that takes the servers on 127.0.0.1 inside leaves it outside."""
SIMULATOR_REGION = "local"
GATEWAY_DATA = "gateway"
"""The folder of its gateway's store, in that of the installation."""
GATEWAY_PORT = "gateway-port"
"""The file with the port of its gateway, there, too."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})
_REDIS_PORT = 6379


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A running local installation."""

    pid: int
    folder: str
    """Its data, secret and logs."""
    redis_url: str
    """With the password; empty where its Redis is not its own."""
    bootstrap: str = ""
    """Its Kafka; empty where an earlier version wrote it."""
    prefix: str = ""
    """Of its topics; empty as above."""
    for_commands: bool = False
    """Whether commands that are told no Kafka use this one: true of `sprat up`, false of the demo and of tests."""
    tasks: str = ""
    """The folder of its task files; empty where it has none."""
    policy: str = ""
    """Its policy file; empty where an earlier version wrote it."""
    models: Mapping[str, str] = field(default_factory=dict)
    """The folders of the models of one's own that it was told to serve, by their names, such as `intent/hr`."""
    frontier: str = ""
    """`SIMULATED`, or the URL of its model, without a password; empty where an earlier version wrote it."""
    born: str = field(default="", compare=False)
    """When its process began, as `/proc` counts: a later process may get the same id. Empty where that is unknown."""
    files: Mapping[str, str] = field(default_factory=dict, compare=False)
    """SHA-256 of its policy and of the files of its tasks, by path, as its services read them; empty: unknown."""
    secret_file: str = ""
    """Holds its secret; empty where SPRAT_SECRET did, or an earlier version wrote it."""

    def announce(self) -> Path:
        """Write it where `find` and `running` look, for this user alone; the caller removes the file at the end."""
        path = _path(_port(self.redis_url)) if self.redis_url else _folder() / f"process-{self.pid}.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self) | {"born": _born(self.pid), "files": self.files_now()}, file)
        return path

    def files_now(self) -> Mapping[str, str]:
        """Return the SHA-256 of its policy and of the files of its tasks, by path, as they are now."""
        named = [Path(self.policy)] if self.policy else []
        named += sorted(Path(self.tasks).glob("*.yaml")) if self.tasks else []
        return {str(path): sha256(path.read_bytes()).hexdigest() for path in named if path.is_file()}


def find(redis_url: str) -> LocalRun | None:
    """Return this user's running installation whose Redis a URL names, without a password or with its own.

    None if there is none.
    """
    try:
        parts = urlsplit(redis_url)
        if parts.hostname not in _LOOPBACK:
            return None
        run = _read(_path(_port(redis_url)))
    except ValueError:
        return None
    return run if run is not None and parts.password in {None, urlsplit(run.redis_url).password} else None


def find_by_kafka(bootstrap: str) -> LocalRun | None:
    """Return this user's running installation whose Kafka has this address; None if there is none."""
    addresses = _addresses(bootstrap)
    return next((run for run in running() if addresses & _addresses(run.bootstrap)), None)


def running() -> list[LocalRun]:
    """Return this user's installations that run now, as far as they announce themselves."""
    return [run for path in sorted(_folder().glob("*.json")) if (run := _read(path)) is not None]


def for_commands() -> list[LocalRun]:
    """Return those of `running` that commands use where they are told no Kafka."""
    return [run for run in running() if run.for_commands]


def _read(path: Path) -> LocalRun | None:
    """Return the installation that a file announces; None where it does not run."""
    try:
        known = {each.name for each in fields(LocalRun)}
        run = LocalRun(**{name: value for name, value in json.loads(path.read_text("utf-8")).items() if name in known})
        os.kill(run.pid, 0)
    except (OSError, ValueError, TypeError):  # none, one that was killed, or one that ends just now
        return None
    return run if run.born in {"", _born(run.pid)} else None


def _born(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # field 22, counted after the name, which may hold spaces


def _addresses(bootstrap: str) -> set[str]:
    return {_plain(each) for each in bootstrap.split(",")}


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
