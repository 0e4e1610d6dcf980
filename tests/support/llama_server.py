"""llama-cpp-python's own server, where `tests/llm/build.sh` has built it, on a model that the test writes."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from sprat_inference.processor import PINS

_HERE = Path(__file__).parents[1] / "llm"
_STARTS_S = 60


def environment() -> Path | None:
    """Return the folder of the server's environment; None where it is not built."""
    where = subprocess.run([_HERE / "build.sh", "--where"], check=True, capture_output=True, text=True)
    folder = Path(where.stdout.strip())
    return folder if (folder / ".built").is_file() else None


class LlamaServer:
    """A running server."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
        self.process = process
        self.base_url = url
        self.log = log

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def llama_server(python: Path, folder: Path, *model: str) -> Iterator[LlamaServer]:
    """Write a model, as `tiny_llama.py` takes its arguments, and serve it on a free loopback port."""
    file, log = folder / f"{'-'.join(model)}.gguf", folder / f"{'-'.join(model)}.log"
    subprocess.run([python, _HERE / "tiny_llama.py", file, *model], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "llama_cpp.server", "--model", file, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--n_ctx", "16384", "--n_threads", "1", "--n_threads_batch", "1", "--logits_all", "true"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | PINS)
    server = LlamaServer(process, f"http://127.0.0.1:{port}/v1", log)
    try:
        _wait_until_ready(server)
        yield server
    finally:
        server.kill()


def _wait_until_ready(server: LlamaServer) -> None:
    until_s = time.monotonic() + _STARTS_S
    while True:
        try:
            with urlopen(f"{server.base_url}/models", timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            said = server.log.read_text(errors="replace")[-2_000:]
            assert server.process.poll() is None, f"the server ended: {said}"
            assert time.monotonic() < until_s, f"the server does not answer: {said}"
            time.sleep(0.2)
