"""A door with its page as a process of its own, with keys; and records as the services write them."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Message, Producer

from sprat_contracts import Record, TextSubmitted, Topics
from sprat_operations.api_keys import add_key
from sprat_operations.page_login import make_login
from support.traced_records import TracedText

TENANT, SOURCE = "acme", "/crm"
_STARTS_S = 60.0

Open = Callable[..., Any]
"""Opens a page of the door: its path, the key of the session, and options of the browser's context."""


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@dataclass
class PageDoor:
    """The process; `stop` and `start` may be called again and again: port, keys and data stay."""

    bootstrap: str
    topics: Topics
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=_free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.keys_file = self.folder / "keys.json"
        self.log = self.folder / "door.log"
        self.keys = {
            name: add_key(self.keys_file, TENANT, source, roles)
            for name, source, roles in (
                ("reader", SOURCE, ("send", "read-texts", "label")),
                ("sender", SOURCE, ("send",)),
                ("other", "/elsewhere", ("send", "read-texts")),
            )
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/page"

    def login(self, name: str = "reader") -> str:
        """Return an address that opens a session of a key, once."""
        return f"{self.url}/sign-in?token={make_login(self.keys_file, self.keys[name][1].id)}"

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SPRAT_")}
        environment |= {
            "SPRAT_KAFKA__BOOTSTRAP": self.bootstrap,
            "SPRAT_KAFKA__PREFIX": self.topics.prefix,
            "SPRAT_HEALTH_PORT": "0",
            "SPRAT_LOG_FORMAT": "json",
            "SPRAT_TRACE_URL": "http://127.0.0.1:9/trace/{trace_id}",
            "SPRAT_GATEWAY__PORT": str(self.port),
            "SPRAT_GATEWAY__PAGE": "on",
            "SPRAT_GATEWAY__DATA": str(self.folder / "data"),
            "SPRAT_GATEWAY__KEYS_FILE": str(self.keys_file),
            **self.environment,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sprat_gateway"], env=environment, stdout=log, stderr=log
            )
        until = time.monotonic() + _STARTS_S
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                urllib.request.urlopen(f"{self.url}/static/page.css", timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError(self.log.read_text()[-3000:])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)
        self.process = None

    def log_lines(self, message: str) -> list[dict[str, Any]]:
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["message"] == message]


class Text(TracedText):
    """The records of a text that says what the test wants it to say, and of its tenant."""

    def __init__(self, said: str = "please move 40 euro", language: str = "en", **more: Any) -> None:
        super().__init__(**({"tenant": TENANT, "source": SOURCE} | more))
        self.said, self.language = said, language
        self.reference: dict[str, str] | None = None

    @property
    def submitted(self) -> TextSubmitted:
        return TextSubmitted(
            text=self.said,
            tasks=self.options,
            tenant=self.tenant,
            language=self.language,
            reference=self.reference,
        )


class Stream:
    """Publishes records, and waits until they are acknowledged."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self.topics = topics
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self._ids = itertools.count(1)

    def text(self, said: str = "please move 40 euro", **more: Any) -> Text:
        """Publish a text; return what makes the further records of it."""
        text = Text(said, id=more.pop("id", f"order-{next(self._ids)}"), topics=self.topics, **more)
        self.publish_text(text)
        return text

    def publish_text(self, text: Text) -> None:
        places: list[Message] = []
        record = text.text()
        self._produce(record, lambda _, message: places.append(message))
        self._producer.flush(30)
        (place,) = places
        text.place = (text.topics.texts, place.partition(), place.offset())
        text.began = place.timestamp()[1]

    def publish(self, records: Iterable[Record]) -> None:
        for record in records:
            self._produce(record)
        assert self._producer.flush(60) == 0

    def _produce(self, record: Record, done: Any = None) -> None:
        while True:
            try:
                self._producer.produce(
                    record.topic, record.value, record.key, headers=list(record.headers), on_delivery=done
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return


def serving(door: PageDoor) -> Iterator[PageDoor]:
    """Give a door that runs; stop it afterwards."""
    try:
        door.start()
        yield door
    finally:
        door.stop()
