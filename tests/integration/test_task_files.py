"""A task from a file on a real Kafka: its topics, its service, its Results, and what it asks a large model."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conftest import Kafka, Redis
from sprat_cli.main import app
from sprat_contracts import FrontierRequested, Prediction, decode
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Simulation
from sprat_operations.dead_letters import read_dead_letter
from sprat_policy import load_task_file, load_task_files
from support import training_files
from support.readme import commands, programs
from support.running_task import SOURCE, RunningTask, shared
from support.stream import eventually, read_all

POLICY = """\
tenants:
  "*": {frontier: redact, regions: [local]}
"""
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the page on tasks was followed, beside a policy and texts with labels."""
    folder = tmp_path_factory.mktemp("tasks")
    training_files.write(folder / "desk.csv", training_files.rows()[1:])
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    page = programs()
    init, check = commands(page["task-init"])
    train, again = commands(page["task-train"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SPRAT_POLICY", "policy.yaml")
        for command in (init, check, f"{train} --encoder {training_files.EN_FAST}", again):
            done = CliRunner().invoke(app, shlex.split(command)[1:])
            assert done.exit_code == 0, done.output
    written = folder / "tasks" / "desk.yaml"
    assert load_task_file(written).artefact == Path("../desk-model")
    written.write_text(page["task-file"], encoding="utf-8")
    init = ["task", "init", "subject", "--label", "food=meals and restaurants", "--label", "sport=matches and clubs"]
    done = CliRunner().invoke(app, init, env={"SPRAT_POLICY": str(folder / "policy.yaml")})
    assert done.exit_code == 0, done.output
    (folder / "tasks" / "summary.yaml").write_text(page["task-text"], encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def running(folder: Path, kafka: Kafka, redis_server: Redis) -> Iterator[RunningTask]:
    options = shared(
        kafka,
        redis_server,
        policy=folder / "policy.yaml",
        task_files=load_task_files(folder / "tasks"),
        services=("simulator", "router", "desk", "subject", "frontier"),
        simulation=Simulation(invent=True, latency_ms=0, jitter_ms=0),
    )
    with Installation(options) as installation:
        yield RunningTask(installation, folder, "desk")


async def read_of(running: RunningTask, topic: str, kind: type[Any], id: str) -> Any:
    records = await read_all(running.installation.bootstrap, topic)
    return next(each for each in (decode(one, kind).message for one in records) if id in each.model_dump_json())


async def test_a_text_that_asks_for_the_task_ends_as_a_result_of_its_model(running: RunningTask) -> None:
    await running.send(sure={"text": "how do I book three days off", "tasks": {"desk": {}}})
    result = await running.result("sure")
    assert (result.status, result.source, result.output.label) == ("answered", "small", "leave")  # type: ignore[union-attr]
    assert result.requested == ("desk",)
    prediction = await read_of(running, running.installation.topics.predictions("desk"), Prediction, "sure")
    assert (prediction.task, prediction.model.name) == ("desk", "desk")


async def test_a_task_with_labels_alone_is_answered_by_the_nearest_one(running: RunningTask) -> None:
    await running.send(
        goal={"text": "our club has won the match by two goals", "tasks": {"subject": {}}},
        odd={"text": "what is the square root of nine", "tasks": {"subject": {}}},
    )
    result = await running.result("goal", "subject")
    assert (result.source, result.output.label, result.model.name) == ("small", "sport", "zero-shot")  # type: ignore[union-attr]
    assert (await running.result("odd", "subject")).source == "frontier"


async def test_what_is_not_sure_goes_to_the_large_model_with_what_the_file_says(running: RunningTask) -> None:
    await running.send(unsure={"text": "my payslip and my badge in March", "tasks": {"desk": {"model": "gone"}}})
    result = await running.result("unsure")
    assert result.source == "frontier"
    assert result.output.label in {"badge", "laptop", "leave", "payroll", None}  # type: ignore[union-attr]
    request = await read_of(running, running.installation.topics.frontier_requests, FrontierRequested, "unsure")
    assert set(request.labels) == {"badge", "laptop", "leave", "payroll"}


async def test_a_task_of_writing_goes_to_the_large_model_alone(running: RunningTask) -> None:
    await running.send(
        write={"text": "Anna Weber, anna.weber@example.org, asks for leave", "tasks": {"summary": {}}},
        never={"text": "asks for leave", "tasks": {"summary": {}}, "frontier": "deny"},
    )
    result = await running.result("write", "summary")
    assert (result.status, result.source, result.confidence) == ("answered", "frontier", None)
    assert "anna.weber@example.org" in result.output.content  # type: ignore[union-attr]
    assert result.egress.masked["EMAIL"] == 1  # type: ignore[union-attr]
    assert result.route.reason == "no_service"
    stayed = await running.result("never", "summary")
    assert stayed.status == "unanswered"
    assert [cause.code for cause in stayed.declined.causes] == ["no_service", "policy"]  # type: ignore[union-attr]


async def test_what_must_stay_stays(running: RunningTask) -> None:
    text = "my payslip and my badge in March"
    await running.send(kept={"text": text, "tasks": {"desk": {"model": "gone"}}, "frontier": "deny"})
    result = await running.result("kept")
    assert (result.status, result.egress) == ("unanswered", None) or not result.egress.left  # type: ignore[union-attr]
    assert "policy" in {cause.code for cause in result.declined.causes}  # type: ignore[union-attr]


async def test_personal_values_are_masked_before_they_leave(running: RunningTask) -> None:
    text = "my payslip and my badge, write to anna.weber@example.org"
    await running.send(masked={"text": text, "tasks": {"desk": {"model": "gone"}}})
    result = await running.result("masked")
    assert result.egress is not None
    assert result.egress.masked == {"EMAIL": 1}


async def test_a_task_without_a_file_is_a_dead_letter_that_names_the_nearest(running: RunningTask) -> None:
    await running.send(typo={"text": "hello", "tasks": {"dessk": {}}})

    found: dict[str, str] = {}

    async def letters() -> bool:
        topic = running.installation.topics.dead_letters
        for each in await read_all(running.installation.bootstrap, topic):
            letter = read_dead_letter(each)
            found[letter.reason.code] = letter.reason.detail
        return len(found) == 1

    await eventually(letters)
    assert found["no_known_task"].startswith("tasks: 1 unknown, did you mean desk?; known are intent, ")


def test_the_commands_know_the_task(running: RunningTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(running.folder)
    (send,) = commands(programs()["task-send"])
    assert '"label":"laptop"' in running.cli(*shlex.split(send)[1:], "--json")
    assert running.installation.topics.results("desk") in running.cli("topics", "list", "--json")
    assert "desk.default" in running.cli("lag", "--over", "0.5", "--json")
    correct = ["feedback", "--task", "desk", "--text-id", "sure", "--source", SOURCE, "--by", "qa", "--label"]
    assert running.cli(*correct, "leave")
    assert "no announced model knows the label leaves; did you mean leave?" in running.cli(*correct, "leaves", code=2)
    running.cli("feedback", "export", "--task", "desk", "--output", str(running.folder / "corrected.csv"))
    assert "how do I book three days off,leave" in (running.folder / "corrected.csv").read_text()
    retrained = running.cli("retrain", "desk", "--served", "desk-model", "--json").splitlines()
    (said,) = (json.loads(line) for line in retrained if line.startswith("{"))
    assert (said["model"], said["folder"], said["decision"]["task"]) == ("desk", "desk-2", "intent")
    rights = running.cli("acls", "print", "--principal", "desk=User:desk")
    assert running.installation.topics.predictions("desk") in rights
    assert running.installation.topics.results("desk") in running.cli(
        "acls", "print", "--principal", "consumer=User:shop"
    )
