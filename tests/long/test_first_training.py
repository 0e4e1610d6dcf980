"""A task that is answered by the nearest label gets its first trained model from corrections and large answers."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from sprat_cli.main import app
from sprat_contracts import Result, decode
from sprat_inference.artefact import load_artefact
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options, Simulation
from sprat_policy import load_task_files
from support import training_files
from support.stream import eventually, read_all
from support.traffic import record

SOURCE = "/tests/first"
TASK = """\
kind: classification
labels: {alpha: , beta: , gamma: , delta: }
keep_at: 1.0
"""
POLICY = 'tenants:\n  "*": {frontier: redact, regions: [local]}\n'
QUEUES = {"badge": "alpha", "laptop": "beta", "leave": "gamma", "payroll": "delta"}
"""Names that say nothing: the nearest one is a guess, until texts say what they mean."""
ROWS = [(text, QUEUES[label]) for text, label in training_files.rows()[1:]]
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "desk.yaml").write_text(TASK, encoding="utf-8")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    gold = [{"text": text, "gold": {"desk": {"label": label}}} for text, label in ROWS]
    (folder / "gold.jsonl").write_text("".join(json.dumps(each) + "\n" for each in gold), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def installation(folder: Path) -> Iterator[Installation]:
    options = Options(
        policy=folder / "policy.yaml",
        task_files=load_task_files(folder / "tasks"),
        services=("simulator", "router", "desk", "frontier"),
        simulation=Simulation(latency_ms=0, jitter_ms=0, gold=folder / "gold.jsonl"),
    )
    with Installation(options) as installation:
        yield installation


async def answered(installation: Installation, rows: list[tuple[str, str]], first: int) -> int:
    """Send texts, wait until all have ended, and return how many the large model has answered so far.

    It does not know some: of a masked one it cannot tell which of its texts it is.
    """
    producer = AIOKafkaProducer(bootstrap_servers=installation.bootstrap)
    await producer.start()
    ids = {f"t-{first + number}" for number in range(len(rows))}
    for number, (text, _) in enumerate(rows):
        data, headers = record(SOURCE, f"t-{first + number}", {"text": text, "tasks": {"desk": {}}})
        await producer.send(installation.topics.texts, data, headers=headers)
    await producer.stop()

    large: set[str] = set()

    async def there() -> bool:
        records = await read_all(installation.bootstrap, installation.topics.results("desk"))
        results = [decode(each, Result).message for each in records]
        large.update(each.text_id for each in results if each.source == "frontier")
        return ids <= {each.text_id for each in results}

    await eventually(there, 60)
    return len(large)


def cli(installation: Installation, folder: Path, *arguments: str, code: int = 0) -> Any:
    environment = {"SPRAT_POLICY": str(folder / "policy.yaml"), "SPRAT_KAFKA__BOOTSTRAP": installation.bootstrap}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, list(arguments), env=environment)
    assert done.exit_code == code, done.output
    return done.output


def test_corrections_and_the_frontiers_answers_make_a_first_model_where_each_label_has_enough(
    installation: Installation, folder: Path
) -> None:
    large = asyncio.run(answered(installation, ROWS[:30], 0))
    assert large > 20
    refused = cli(installation, folder, "retrain", "desk", "--output", "desk-model", code=1)
    assert "desk needs 5 texts for each label, and desk-corrections.jsonl has too few of: alpha 0, beta 0" in refused
    assert not (folder / "desk-model").exists()
    assert len(table(folder)) == large, "they are kept for the next time"

    large = asyncio.run(answered(installation, ROWS[30:], 30))
    assert large > 60
    correct = ["--task", "desk", "--text-id", "t-0", "--source", SOURCE, "--by", "qa", "--label", "delta"]
    cli(installation, folder, "feedback", *correct)
    encoder = ["--encoder", str(training_files.EN_FAST)]
    said = cli(installation, folder, "retrain", "desk", *encoder, "--output", "desk-model")
    assert said.splitlines()[-1] == "serve it: sprat task model desk desk-model; then restart"
    assert load_artefact(folder / "desk-model").card.labels == ("alpha", "beta", "delta", "gamma")
    by = {row["text"]: (row["label"], row["given_by"]) for row in table(folder)}
    assert by.pop(ROWS[0][0]) == ("delta", "qa"), "a person stands above the frontier"
    assert {author for _, author in by.values()} == {"frontier"}

    # From here on it is a task with a trained model.
    task = folder / "tasks" / "desk.yaml"
    task.write_text(f"{TASK}artefact: ../desk-model\n", encoding="utf-8")
    correct[correct.index("t-0")] = "t-1"
    cli(installation, folder, "feedback", *correct)
    again = json.loads(cli(installation, folder, "retrain", "desk", *encoder, "--json").splitlines()[-1])
    assert (again["model"], again["folder"]) == ("desk", "desk-2")
    assert again["decision"]["served"]["version"] == load_artefact(folder / "desk-model").card.version


def table(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "desk-corrections.jsonl").read_text("utf-8").splitlines()]
