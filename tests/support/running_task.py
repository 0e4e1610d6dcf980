"""An installation that serves tasks from files: texts are sent, Results read, and commands run beside its policy."""

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from conftest import Kafka, Redis
from sprat_cli.main import app
from sprat_contracts import Result, decode
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from support.stream import eventually, read_all
from support.traffic import record

SOURCE = "/tests/tasks"


def shared(kafka: Kafka, redis: Redis, **options: Any) -> Options:
    """Return the options of an installation on the servers of all tests, beside the topics of others."""
    prefix = f"t{secrets.token_hex(5)}"
    return Options(bootstrap=kafka.bootstrap, redis=redis.url, prefix=prefix, partitions=2, **options)


@dataclass
class RunningTask:
    """An installation, the folder of its policy, and the task that is asked for."""

    installation: Installation
    folder: Path
    task: str

    async def send(self, **texts: dict[str, Any]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.installation.bootstrap)
        await producer.start()
        for id, value in texts.items():
            data, headers = record(SOURCE, id, value)
            await producer.send_and_wait(self.installation.topics.texts, data, headers=headers)
        await producer.stop()

    async def result_record(self, id: str, task: str | None = None) -> tuple[Result, bytes]:
        """Return the Result of a text, and its record's value as it stands on the topic."""
        found: dict[str, tuple[Result, bytes]] = {}

        async def is_there() -> bool:
            topic = self.installation.topics.results(task or self.task)
            for each in await read_all(self.installation.bootstrap, topic):
                message = decode(each, Result).message
                found[message.text_id] = message, each.value or b""
            return id in found

        await eventually(is_there)
        return found[id]

    async def result(self, id: str, task: str | None = None) -> Result:
        return (await self.result_record(id, task))[0]

    def cli(self, *arguments: str, code: int = 0) -> str:
        environment = {
            "SPRAT_POLICY": str(self.folder / "policy.yaml"),
            "SPRAT_KAFKA__BOOTSTRAP": self.installation.bootstrap,
            "SPRAT_KAFKA__PREFIX": self.installation.topics.prefix,
            "SPRAT_KAFKA__PARTITIONS": str(self.installation.topics.partitions),
        }
        done = CliRunner().invoke(app, list(arguments), env=environment)
        assert done.exit_code == code, done.output
        return done.output
