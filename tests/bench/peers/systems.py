"""The systems that are compared: the plain loop with a runtime, MLServer, and Sprat, on one broker."""

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import psutil
from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from sprat_local.bench.options import bench_options
from sprat_local.bench.texts import BenchMessages, BenchText
from sprat_local.installation.lifecycle import Installation
from sprat_local.processes.ports import free_port
from tests.bench.peers.environments import HERE, encoder, python_of, variables
from tests.bench.peers.stream import Record, with_children

PARTITIONS: Final = 8
TASK: Final = "intent"
_GRACE_S: Final = 10.0
_LEADERS_S: Final = 1.0
"""Until each partition of a new topic has a leader."""


@dataclass
class Peer:
    """A process of another team: it reads texts from a topic of its own and writes answers to another."""

    name: str
    bootstrap: str
    given: Sequence[str]
    log: IO[str]
    texts: str = field(init=False)
    answers: str = field(init=False)
    _process: "subprocess.Popen[str] | None" = None

    def __post_init__(self) -> None:
        self.texts, self.answers = f"{self.name}.texts", f"{self.name}.answers"

    async def create_topics(self) -> None:
        """Create its topics, with as many partitions as Sprat's have."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in (self.texts, self.answers)])
            await asyncio.sleep(_LEADERS_S)
        finally:
            await admin.close()

    def text(self, number: int) -> str:
        """Return the text with this number; they repeat."""
        return self.given[number % len(self.given)]

    def start(self) -> None:
        """Start it; see :class:`tests.bench.peers.stream.System`."""
        self._process = subprocess.Popen(
            self.command(), env=variables() | self.environment(), stdout=self.log, stderr=self.log, text=True
        )

    restart = start

    def kill(self) -> None:
        """SIGKILL it and what it started."""
        for process in self.processes()[TASK]:
            process.kill()
        if self._process is not None:
            self._process.wait()

    def stop(self) -> None:
        """End it; SIGKILL after some seconds."""
        if self._process is None or self._process.poll() is not None:
            return
        children = self.processes()[TASK]
        self._process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(children, _GRACE_S)
        for process in alive:
            process.kill()
        self._process.wait()

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        """Return the process and its children."""
        return {TASK: [] if self._process is None else with_children(self._process.pid)}

    def command(self) -> list[str]:
        """Return how it is started."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """Return the variables that it needs."""
        return {}


@dataclass
class PlainLoop(Peer):
    """`plain_loop.py` in the environment of its runtime."""

    runtime: str = "torch"
    batch: int = 1
    commit: str = "auto"

    def command(self) -> list[str]:
        """Return how it is started."""
        python = python_of(self.runtime.partition("-")[0])
        topics = ["--texts", self.texts, "--answers", self.answers, "--group", self.name]
        how = ["--runtime", self.runtime, "--batch", str(self.batch), "--commit", self.commit]
        program = [str(python), str(HERE / "plain_loop.py"), "--bootstrap", self.bootstrap]
        return [*program, "--model", str(encoder()), *topics, *how]

    def record(self, number: int) -> Record:
        """Return the record of a text."""
        value = json.dumps({"id": str(number), "text": self.text(number)})
        return str(number).encode(), value.encode(), ()

    def number_of(self, record: ConsumerRecord) -> int | None:
        """Return the number of the text that was answered."""
        return int(json.loads(record.value)["id"])


@dataclass
class MlServer(Peer):
    """MLServer with its Kafka endpoint and a custom runtime, configured by its documented settings."""

    folder: Path = Path()

    def command(self) -> list[str]:
        """Write its settings; return how it is started."""
        settings = {
            "kafka_enabled": True,
            "kafka_servers": self.bootstrap,
            "kafka_topic_input": self.texts,
            "kafka_topic_output": self.answers,
            "host": "127.0.0.1",
            "http_port": free_port(),
            "grpc_port": free_port(),
            "metrics_port": free_port(),
            "parallel_workers": 0,
        }
        model = {"name": TASK, "implementation": "intent_runtime.IntentRuntime", "max_batch_size": 32}
        (self.folder / "settings.json").write_text(json.dumps(settings))
        (self.folder / "model-settings.json").write_text(json.dumps(model | {"max_batch_time": 0.01}))
        return [str(python_of("mlserver").with_name("mlserver")), "start", str(self.folder)]

    def environment(self) -> Mapping[str, str]:
        """Return the variables of its runtime."""
        return {"MODEL_FOLDER": str(encoder()), "PYTHONPATH": str(HERE / "mlserver")}

    def record(self, number: int) -> Record:
        """Return the record of a text: a request of the Open Inference Protocol."""
        tensor = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [self.text(number)]}
        value = json.dumps({"id": str(number), "inputs": [tensor | {"parameters": {"content_type": "str"}}]})
        return str(number).encode(), value.encode(), [("mlserver-model", TASK.encode())]

    def number_of(self, record: ConsumerRecord) -> int | None:
        """Return the number of the text that was answered."""
        return int(record.key)


class Sprat:
    """The intent service and the router, with Redis, on the same broker."""

    def __init__(self, bootstrap: str, given: Sequence[str], folder: Path, artefact: Path, victim: str = TASK) -> None:
        options = bench_options(TASK, folder, artefact=artefact)
        self._installation = Installation(dataclasses.replace(options, bootstrap=bootstrap, restart=True))
        self._victim = victim
        self.given = given
        self.texts = self._installation.topics.texts
        self.answers = self._installation.topics.results(TASK)

    @property
    def given(self) -> Sequence[str]:
        """The texts that are sent from now on; answers to earlier ones are not known any more."""
        return self._given

    @given.setter
    def given(self, texts: Sequence[str]) -> None:
        self._given = texts
        self._messages = BenchMessages([BenchText(text, "en", None) for text in texts], TASK, "default")

    async def create_topics(self) -> None:
        """Start all but the intent service, which `start` starts."""
        self._installation.start()
        self._installation.stop_service(TASK)

    def record(self, number: int) -> Record:
        """Return the record of a text; each belongs to another tenant, so no cache answers."""
        (record,) = self._messages.records((number,))
        return record.key, record.value, record.headers

    def number_of(self, record: ConsumerRecord) -> int | None:
        """Return the number of the text that was answered."""
        return self._messages.number_of(json.loads(record.value)["text_id"])

    def start(self) -> None:
        """Start the intent service."""
        self._installation.start_service(TASK, wait=False)

    def kill(self) -> None:
        """SIGKILL the victim; the supervisor starts it again."""
        os.kill(self.processes()[self._victim][0].pid, signal.SIGKILL)

    def restart(self) -> None:
        """Do nothing: see `kill`."""

    def stop(self) -> None:
        """Stop everything but the broker."""
        self._installation.stop()

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        """Return the services and Redis."""
        pids = {name: process.pid for name, process in self._installation.processes.items()}
        pids |= {name: server.pid for name, server in self._installation.servers.items()}
        return {name: [psutil.Process(pid)] for name, pid in pids.items() if pid is not None}
