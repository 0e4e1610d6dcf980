"""The generalist service as a process on a free port."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

STARTS_S = 30


class GeneralistProcess:
    """A running service."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log
        self.url = ""

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + STARTS_S
        while (found := re.search(r"ready, at (http://\S+)/v1", self.log.read_text("utf-8"))) is None:
            assert self.process.poll() is None, self.log.read_text("utf-8")
            assert time.monotonic() < deadline, self.log.read_text("utf-8")
            time.sleep(0.05)
        self.url = found[1]

    def call(self, path: str, body: Any = None, key: str | None = None) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and body of a response; JSON is read."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"authorization": f"Bearer {key}"} if key else {})
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, dict(response.headers), _read(response.read())
        except HTTPError as error:
            return error.code, dict(error.headers), _read(error.read())


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def environment(folder: Path, **settings: object) -> dict[str, str]:
    """Return the variables of a service; settings by their names, as `max_waiting`."""
    own = {"artefact": str(folder), "port": "0", **settings}
    return os.environ | {f"SPRAT_GENERALIST__{name.upper()}": str(value) for name, value in own.items()}


@contextmanager
def generalist(folder: Path, **settings: object) -> Iterator[GeneralistProcess]:
    """Serve the artefact in a folder; see `environment`."""
    log = folder.with_name(f"{folder.name}.log")
    with log.open("wb") as output:
        command = [sys.executable, "-m", "sprat_generalist"]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment(folder, **settings))
    running = GeneralistProcess(process, log)
    try:
        running.wait_until_ready()
        yield running
    finally:
        process.terminate()
        process.wait(30)
