"""Back to services that do not know a task from a file, while records of it are on every topic, and forward again.

The earlier services are given no file of the task: what they do is what a version does that knows no such files.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import Result, decode
from sprat_local.installation.environment import load_or_create_secret
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from sprat_local.processes.notices import Notice
from sprat_operations.dead_letters import read_dead_letter
from sprat_operations.services import instance_name
from sprat_policy import load_task_files
from support.old_version import EarlierVersion
from support.stream import eventually, lag, publish, read_all
from support.traffic import record

TASK = "desk"
SHARED = ("router", "intent", "frontier")
SOURCE = "/tests/back"
CLEAR, HARD = "please block my card, it is lost", "mitt kort är borta"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def installation(earlier: EarlierVersion, tmp_path: Path) -> Iterator[Installation]:
    """Run the earlier services; second instances are of this version, and know the task."""
    tasks, none = tmp_path / "tasks", tmp_path / "none"
    tasks.mkdir()
    none.mkdir()
    labels = "{transfer: money is to be moved, balance: how much money is there, card: a card is lost}"
    file = f"kind: classification\nlabels: {labels}\nlanguages: [en]\nkeep_at: 0\n"
    (tasks / f"{TASK}.yaml").write_text(file, encoding="utf-8")
    failed: list[str] = []

    def note(notice: Notice) -> None:
        if notice.level == "error":
            failed.append(f"{notice.service}: {notice.text}")

    options = Options(
        policy=earlier.policy,
        task_files=load_task_files(tasks),
        services=("simulator", *SHARED),
        simulation=Simulation(latency_ms=0, jitter_ms=0, invent=True),
        environment=earlier.accepting,
        service_environment={service: {**earlier.variables, "SPRAT_TASKS": str(none)} for service in SHARED},
        ready_timeout_s=180,
    )
    with Installation(options, on_notice=note) as running:
        yield running
        assert failed == [], "no service ended"


class System:
    """The installation, and what was published to it."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._bootstrap, self.topics = installation.bootstrap, installation.topics

    def stop(self, *services: str, new: bool) -> None:
        for service in services:
            self._installation.stop_service(instance_name(service, 2 if new else 1))

    def start(self, *services: str, new: bool) -> None:
        for service in services:
            self._installation.start_service(service, instance=2 if new else 1)

    async def send(self, id: str, text: str, language: str = "en") -> None:
        """Publish a text that asks for an intent and for the task."""
        asked = {"tasks": {"intent": {}, TASK: {}}, "tenant": "acme-bank", "frontier": "allow"}
        value, headers = record(SOURCE, id, {"text": text, "language": language, **asked})
        await publish(self._bootstrap, self.topics.texts, [value], headers)

    async def has_results(self, task: str, *texts: str) -> None:
        """Wait until these texts, and no others, have one Result each for a task."""
        wanted = sorted(texts)

        async def are_there() -> bool:
            return await self.results(task) == wanted

        await eventually(are_there, 60)

    async def results(self, task: str) -> list[str]:
        records = await read_all(self._bootstrap, self.topics.results(task))
        return sorted(decode(each, Result).message.text_id for each in records)

    async def has_records(self, topic: str, count: int) -> None:
        async def are_there() -> bool:
            return len(await read_all(self._bootstrap, topic)) == count

        await eventually(are_there, 60)

    async def is_read(self, service: str, topic: str) -> None:
        async def is_read() -> bool:
            return not await lag(self._bootstrap, f"{self.topics.prefix}.{service}", [topic])

        await eventually(is_read, 60)

    async def dead_letters(self) -> list[tuple[str, str]]:
        """Return topic and code of each."""
        records = await read_all(self._bootstrap, self.topics.dead_letters)
        return sorted((letter.reason.topic, letter.reason.code) for letter in map(read_dead_letter, records))

    async def replay(self) -> None:
        """Run `sprat dlq replay` of this version for what came from the frontier."""
        variables = {
            "SPRAT_SECRET": load_or_create_secret(self._installation.folder),
            "SPRAT_KAFKA__BOOTSTRAP": self._bootstrap,
            "SPRAT_UNSIGNED_RECORDS": "accept",
            "SPRAT_TASKS": str(self._installation.options.task_files.folder),
        }
        asked = ["dlq", "replay", "--reason", "task_not_requested", "--yes"]
        done = await asyncio.to_thread(CliRunner().invoke, app, asked, env=variables)
        assert done.exit_code == 0, done.output


async def test_records_of_an_unknown_task_stop_no_service_and_wait_for_one_that_knows_it(
    installation: Installation,
) -> None:
    system, topics = System(installation), installation.topics
    system.stop(*SHARED, new=False)
    system.start(*SHARED, TASK, new=True)
    await system.send("both", CLEAR)
    await system.has_results(TASK, "both")

    # Leave a request to the frontier and a prediction of the task behind.
    system.stop("frontier", new=True)
    await system.send("request", HARD, "sv")
    await system.has_records(topics.frontier_requests, 2)
    system.stop("router", new=True)
    await system.send("prediction", CLEAR.upper())
    await system.has_records(topics.predictions(TASK), 3)
    system.stop("intent", TASK, new=True)

    # The way back: texts go on, as if nobody had read the page on upgrades.
    system.start(*SHARED, new=False)
    await system.send("text", "what is my balance")
    await system.has_results("intent", "both", "request", "prediction", "text")
    await system.is_read("frontier", topics.frontier_requests)
    await system.is_read("router", topics.frontier_answers)
    assert await system.results(TASK) == ["both"]
    found = await system.dead_letters()
    unread = [(topics.texts, "unknown_task")] * 2  # two texts had not been read by the router that knows the task
    assert found == [(topics.frontier_answers, "task_not_requested"), *unread]

    # And forward again: what waited has its Result, the dead letter of the answer once it is replayed.
    system.stop(*SHARED, new=False)
    system.start(*SHARED, TASK, new=True)
    await system.has_results(TASK, "both", "prediction", "text")
    await system.replay()
    await system.has_results(TASK, "both", "prediction", "text", "request")
    assert await system.dead_letters() == found
