"""Several labels a text, as the page on tasks says: train, serve, and read Results that were kept and escalated."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import Kafka, Redis
from sprat_cli.main import app
from sprat_contracts import FrontierRequested, LabelsOutput, Result, decode
from sprat_inference.artefact import load_artefact
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Simulation
from sprat_policy import load_task_files
from support import label_sets, training_files
from support.readme import commands, programs
from support.running_task import SOURCE, RunningTask, shared
from support.stream import read_all

BOTH = "my laptop will not start since May and where is my payslip of May"
UNSURE = "the computer shows no salary and I am away next week"
GOLD = {"text": UNSURE, "gold": {"desk-topics": {"labels": ["laptop", "leave"]}}}
pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the page was followed, with a model of the small English encoder."""
    folder = tmp_path_factory.mktemp("topics")
    label_sets.write(folder / "topics.csv")
    (folder / "policy.yaml").write_text('tenants:\n  "*": {frontier: redact, regions: [local]}\n', encoding="utf-8")
    (folder / "gold.jsonl").write_text(json.dumps(GOLD) + "\n", encoding="utf-8")
    train, init, check = commands(programs()["task-several"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SPRAT_POLICY", "policy.yaml")
        for command in (f"{train} --encoder {training_files.EN_FAST} --goal 0.8", init, check):
            done = CliRunner().invoke(app, shlex.split(command)[1:])
            assert done.exit_code == 0, done.output
    (task,) = folder.rglob("desk-topics.yaml")
    task.write_text(f"{task.read_text('utf-8')}\nkeep_at: 0.95\n", encoding="utf-8")
    return folder


def test_the_card_says_what_the_model_is_and_how_sure_it_was_on_held_out_texts(folder: Path) -> None:
    card = load_artefact(folder / "topics-model").card
    assert (card.kind, card.labels) == ("multi_label", ("badge", "laptop", "leave", "payroll"))
    assert {name: len(values) for name, values in card.calibration.parameters.items()} == {
        "slope": 4,
        "offset": 4,
        "whole": 3,
    }
    assert card.score("cross_validated_macro_f1") > 0.8
    assert 0.5 <= card.keep_at < 1.0


@pytest.fixture(scope="module")
def running(folder: Path, kafka: Kafka, redis_server: Redis) -> Iterator[RunningTask]:
    options = shared(
        kafka,
        redis_server,
        policy=folder / "policy.yaml",
        task_files=load_task_files(folder / "tasks"),
        services=("simulator", "router", "desk-topics", "frontier"),
        simulation=Simulation(latency_ms=0, jitter_ms=0, gold=folder / "gold.jsonl"),
    )
    with Installation(options) as installation:
        yield RunningTask(installation, folder, "desk-topics")


def labels(result: Result) -> set[str]:
    assert isinstance(result.output, LabelsOutput)
    return {each.label for each in result.output.labels}


async def test_a_sure_answer_is_kept_with_all_its_labels(running: RunningTask) -> None:
    await running.send(both={"text": BOTH, "tasks": {"desk-topics": {}}})
    result = await running.result("both")
    assert (result.status, result.source, result.route.decision) == ("answered", "small", "kept")
    assert labels(result) == {"laptop", "payroll"}
    assert all(each.probability >= 0.5 for each in result.output.labels)  # type: ignore[union-attr]
    assert result.confidence is not None
    assert result.confidence >= result.route.threshold  # type: ignore[operator]


async def test_an_unsure_answer_is_the_large_models(running: RunningTask) -> None:
    await running.send(unsure={"text": UNSURE, "tasks": {"desk-topics": {}}})
    result = await running.result("unsure")
    assert (result.status, result.source, result.route.decision) == ("answered", "frontier", "escalated")
    assert labels(result) == {"laptop", "leave"}
    records = await read_all(running.installation.bootstrap, running.installation.topics.frontier_requests)
    (request,) = [decode(each, FrontierRequested).message for each in records]
    assert (request.labels, request.reasons) == (("badge", "laptop", "leave", "payroll"), ("low_confidence",))


def test_corrections_become_rows_to_train_from_and_the_model_is_evaluated(running: RunningTask) -> None:
    correct = ["feedback", "--task", "desk-topics", "--text-id", "both", "--source", SOURCE, "--by", "qa", "--label"]
    assert "laptop, badge" in running.cli(*correct, "laptop|badge")
    corrected = running.folder / "corrected.csv"
    running.cli("feedback", "export", "--task", "desk-topics", "--output", str(corrected))
    assert f"{BOTH},laptop|badge,en" in corrected.read_text("utf-8")
    test = running.folder / "test.csv"
    test.write_text(f"text,labels\n{BOTH},payroll|laptop\n{UNSURE},leave|laptop\nwho has won,\n", encoding="utf-8")
    model = str(running.folder / "topics-model")
    said = running.cli("evaluate", str(test), "--model", model, "--json")
    evaluated = json.loads(said.splitlines()[-1])
    assert (evaluated["rows"], evaluated["outside"]) == (3, 1)
    assert evaluated["new"]["cells"][0]["rows"] == 3
