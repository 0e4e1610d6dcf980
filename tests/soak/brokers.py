"""The way of all clients to the brokers: a proxy, which the brokers advertise, slows it down and cuts it."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sprat_local.kafka import prepare
from sprat_local.processes.ports import HOST, free_port, free_ports

ROOT: Final = Path(__file__).parents[2]
_LISTENER: Final = "PROXIED"


class ProxiedBrokers:
    """The proxy, and what has brokers advertise it. While it is entered, brokers of this process start with it."""

    def __init__(self, brokers: int, environment: dict[str, str]) -> None:
        """Take how many brokers there will be, and the variables of the services, which are told where the proxy is."""
        self._ports = free_ports(brokers)
        self._behind: dict[int, int] = {}
        """Number of a broker → the port of its listener behind the proxy."""
        self.bootstrap = ",".join(f"{HOST}:{port}" for port in self._ports)
        environment["SPRAT_KAFKA__BOOTSTRAP"] = self.bootstrap
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._settings: Callable[..., dict[str, Any]] = prepare.settings

    def __enter__(self) -> Self:
        prepare.prepare()  # its own broker runs without a proxy
        argv = [sys.executable, "-m", "tests.soak.proxy"]
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, text=True)
        prepare.settings = self._with_listener
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        prepare.settings = self._settings
        self._process.stdin.close()
        self._process.wait()

    def route(self, number: int, *, delay_s: float = 0.0, cut: bool = False) -> None:
        """Let what is said to a broker, and what it says, come later; or end all its connections and refuse others."""
        said = {"port": self._ports[number - 1], "to": self._behind[number], "delay_s": delay_s, "cut": cut}
        with self._lock:
            self._process.stdin.write(json.dumps(said) + "\n")
            self._process.stdin.flush()

    def _with_listener(self, *arguments: Any) -> dict[str, Any]:
        """Return a broker's settings with a listener more: the proxy's, for all clients."""
        settings = self._settings(*arguments)
        number = settings["node.id"]
        if number not in self._behind:
            self._behind[number] = free_port()
            self.route(number)
        names = ("listeners", "advertised.listeners", "listener.security.protocol.map")
        ports = (self._behind[number], self._ports[number - 1])
        more = [*(f"{_LISTENER}://{HOST}:{port}" for port in ports), f"{_LISTENER}:PLAINTEXT"]
        return settings | {name: f"{settings[name]},{each}" for name, each in zip(names, more, strict=True)}
