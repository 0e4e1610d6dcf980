"""The door, asked by the clients of OpenAI, LiteLLM and LibreTranslate that `requirements/clients.lock` has."""

import asyncio
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from conftest import Kafka, Redis
from support.http_clients import clients_python
from support.open_door import DEFAULT, answering_door

PROGRAM = Path(__file__).parent / "programs" / "ask_over_http.py"
RECORDED = Path(__file__).parents[1] / "data" / "http_bodies.json"
USAGE = {"input_tokens": 0, "output_tokens": 0}
ANSWERS: dict[str, Any] = {
    "/v1/decisions": {
        "model": "sprat",
        "answers": [{"type": "refusal", "name": None}] * 2,
        "usage": USAGE
        | {
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
    },
    "/v1/systemone": {"model": "sprat", "answers": {}, "usage": USAGE},
    "/translate": {"translatedText": "x"},
    "/detect": [],
    "/languages": [],
}
pytestmark = pytest.mark.timeout(900)  # the first time, it installs the clients


def asked(url: str, key: str) -> dict[str, Any]:
    """Return what each client reads."""
    command = [clients_python(), PROGRAM, url, key]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@contextmanager
def recording() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a server that keeps what it gets; give its address and that."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            kind = self.headers["content-type"]
            seen.append({"method": self.command, "path": self.path, "content_type": kind, "body": body})
            answer = json.dumps(ANSWERS[self.path]).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_recorded_bodies_are_what_the_clients_send() -> None:
    with recording() as (url, seen):
        asked(url, "KEY")
    assert seen == json.loads(RECORDED.read_text("utf-8"))


async def test_real_clients_read_what_the_door_answers(
    kafka: Kafka, redis_server: Redis, prefix: str, tmp_path: Path
) -> None:
    async with answering_door(kafka.bootstrap, redis_server.url, prefix, tmp_path) as (_, door):
        read = await asyncio.to_thread(asked, door.url, door.keys[DEFAULT])

    for name in ("openai", "openai, a message", "litellm, decisions", "litellm, decisions by System One"):
        choice, refusal = read[name]["answers"]
        assert (choice["type"], choice["name"], choice["choice"]) == ("choice", "intent", "balance"), name
        assert choice["confidence"] > 0.9, name
        assert (refusal["type"], refusal["name"]) == ("refusal", "urgent"), name
        assert read[name]["usage"]["total_tokens"] == 0, name
    assert read["openai"]["answers"][0]["sprat"]["answered_by"] == "small"
    (choice,) = read["litellm, System One"]["answers"].values()
    assert (choice["choice"], choice["sprat"]["status"]) == ("balance", "answered")
    assert "Karte" in read["libretranslatepy, translate"]
    assert read["libretranslatepy, translate auto"] == read["libretranslatepy, translate"]
    assert read["libretranslatepy, detect"][0]["language"] == "en"
    assert {"code": "en", "name": "English", "targets": ["de"]} in read["libretranslatepy, languages"]
