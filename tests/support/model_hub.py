"""The tiny models of tests/data/hub, and a Hugging Face hub on loopback: the part of its API that a download uses."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from typer.testing import CliRunner

from sprat_cli.main import app

MODELS = Path(__file__).parents[1] / "data" / "hub"
COMMIT = "3f2a91c0d4e5b6a7988776655443322110ffeedd"
TOKEN = "hf_consented"
_CLIENT = "huggingface_hub"


def expected(kind: str) -> list[dict]:
    """Return what transformers computed; see make.py there."""
    return json.loads((MODELS / kind / "expected.json").read_text("utf-8"))


def change(path: Path, **changes: object) -> None:
    """Change fields of a file of JSON."""
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def run(*words: str, code: int = 0) -> str:
    """Run `sprat` in this process, and return what it says as one line."""
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


class ModelHub:
    """Serves `models`: id → folder. Those in `gated` want the token.

    `requests` holds what was asked for, `tokens` the requests that came with a token.
    """

    def __init__(self, models: Mapping[str, Path], gated: frozenset[str] = frozenset()) -> None:
        self.models = models
        self.gated = gated
        self.requests: list[str] = []
        self.tokens: list[str] = []
        self.url = ""

    def answer(self, path: str, token: str | None) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body."""
        for id, folder in self.models.items():
            if path != f"/api/models/{id}" and not path.startswith((f"/api/models/{id}/", f"/{id}/resolve/")):
                continue
            if id in self.gated and token != f"Bearer {TOKEN}":
                return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "consent is needed"}, b"{}"
            if path.startswith("/api/"):
                return self._describe(id, folder, path.removeprefix(f"/api/models/{id}"))
            return self._file(folder, path.removeprefix(f"/{id}/resolve/"))
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"

    def _describe(self, id: str, folder: Path, rest: str) -> tuple[int, dict[str, str], bytes]:
        kind, _, revision = rest.removeprefix("/").partition("/")
        if not _known(revision or "main"):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        files = [
            (each.relative_to(folder).as_posix(), each.stat().st_size)
            for each in sorted(folder.rglob("*"))
            if each.is_file()
        ]
        body: object = {
            "id": id,
            "sha": COMMIT,
            "siblings": [{"rfilename": name, "size": size} for name, size in files],
        }
        if kind == "tree":
            body = [{"type": "file", "path": name, "size": size, "oid": COMMIT} for name, size in files]
        return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def _file(self, folder: Path, rest: str) -> tuple[int, dict[str, str], bytes]:
        revision, _, name = rest.partition("/")
        if not _known(revision):
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Repo-Commit": COMMIT}, b""
        if not (folder / name).is_file():
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b""
        content = (folder / name).read_bytes()
        return 200, {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT}, content


def _known(revision: str) -> bool:
    return revision == "main" or COMMIT.startswith(revision)


def add_model(hub: ModelHub, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `sprat models add` with the real client, and `home` as its cache.

    The client reads its variables when it is imported, so it is imported anew. In a process of its own, all else would
    be, too, which takes seconds.
    """
    command = ["models", "add", *arguments]
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "NO_COLOR": "1"} | variables
    with _without(_CLIENT):
        done = CliRunner().invoke(app, command, env=environment, catch_exceptions=False)
    return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Let a package be imported anew until the block ends."""

    def imported() -> list[str]:
        return [name for name in sys.modules if name.partition(".")[0] == package]

    before = {name: sys.modules.pop(name) for name in imported()}
    try:
        yield
    finally:
        for name in imported():
            del sys.modules[name]
        sys.modules.update(before)


class _Hub(ThreadingHTTPServer):
    """A server that does not print that a client has left: the command runs in this process and shares its stderr."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def model_hub(
    models: Mapping[str, Path], gated: frozenset[str] = frozenset(), kind: type[ModelHub] = ModelHub
) -> Iterator[ModelHub]:
    """Run the hub; its `url` is what `HF_ENDPOINT` names."""
    hub = kind(models, gated)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else the body waits 40 ms for the headers' acknowledgement

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"{self.command} {path}")
            if token := self.headers.get("Authorization"):
                hub.tokens.append(f"{self.command} {path}")
            status, headers, body = hub.answer(path, token)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = _Hub(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
