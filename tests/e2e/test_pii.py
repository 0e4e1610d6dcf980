"""A task of personal data on a real Kafka: masked texts on its topic, and nothing of them beyond the house."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import Kafka, Redis
from sprat_cli.main import app
from sprat_contracts import MaskedOutput
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Simulation
from sprat_policy import load_task_files
from support.readme import commands, programs
from support.running_task import RunningTask, shared
from support.stream import read_all

NAME, MAIL, IBAN, PROJECT = "Anna Schmidt", "anna.schmidt@example.org", "DE89 3704 0044 0532 0130 00", "Project Heron"
TEXT = f"Could you tell me if the payment from {IBAN} has arrived? Thank you, {NAME} ({MAIL}), {PROJECT}"
POLICY = """\
perimeter:
  terms: [{type: PROJECT, words: [project heron]}]
tenants:
  "*": {frontier: allow, regions: [local]}
"""
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, kafka: Kafka, redis_server: Redis) -> Iterator[RunningTask]:
    folder: Path = tmp_path_factory.mktemp("pii")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    init, _ = commands(programs()["task-pii"])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SPRAT_POLICY", "policy.yaml")
        for command in (init, "sprat task check"):
            done = CliRunner().invoke(app, shlex.split(command)[1:])
            assert done.exit_code == 0, done.output
    (folder / "tasks" / "strict.yaml").write_text("kind: pii\nkeep_at: 1.0\n", encoding="utf-8")
    options = shared(
        kafka,
        redis_server,
        policy=folder / "policy.yaml",
        task_files=load_task_files(folder / "tasks"),
        services=("simulator", "router", "pii", "strict", "frontier"),
        simulation=Simulation(invent=True, latency_ms=0, jitter_ms=0),
    )
    with Installation(options) as installation:
        yield RunningTask(installation, folder, "pii")


async def test_the_result_is_the_text_without_its_personal_data(running: RunningTask) -> None:
    await running.send(clean={"text": TEXT, "tasks": {"pii": {}}})
    result, value = await running.result_record("clean")
    assert (result.status, result.source, result.route.decision) == ("answered", "small", "kept")
    assert isinstance(result.output, MaskedOutput)
    assert result.output.masked == (
        "Could you tell me if the payment from [IBAN_1] has arrived? Thank you, [PERSON_1] ([EMAIL_1]), [PROJECT_1]"
    )
    assert [TEXT[span.start : span.end] for span in result.output.spans] == [IBAN, NAME, MAIL, PROJECT]
    assert [span.label for span in result.output.spans] == ["IBAN", "PERSON", "EMAIL", "PROJECT"]
    for secret in (NAME, "Schmidt", MAIL, IBAN, PROJECT):
        assert secret.encode() not in value


async def test_what_is_not_sure_is_degraded_and_no_large_model_sees_it(running: RunningTask) -> None:
    await running.send(unsure={"text": TEXT, "tasks": {"strict": {}}})
    result, value = await running.result_record("unsure", "strict")
    assert (result.status, result.route.decision, result.route.reason) == ("degraded", "escalated", "low_confidence")
    assert result.declined is not None
    assert (result.declined.code, result.cost_eur) == ("task", 0.0)
    assert result.egress is None or not result.egress.left
    assert NAME.encode() not in value
    assert not await read_all(running.installation.bootstrap, running.installation.topics.egress)


async def test_a_text_in_which_names_cannot_be_found_is_not_masked_at_all(running: RunningTask) -> None:
    await running.send(
        finnish={"text": "Soita Aino Virtaselle", "language": "fi", "tasks": {"pii": {}}},
        long={"text": "\u3300" * 19_000, "tasks": {"pii": {}}},
    )
    (finnish, _), (long, _) = await running.result_record("finnish"), await running.result_record("long")
    assert [(each.status, each.output) for each in (finnish, long)] == [("unanswered", None)] * 2
    assert [cause.code for cause in finnish.declined.causes] == ["language", "masking"]  # type: ignore[union-attr]
    assert [cause.code for cause in long.declined.causes] == ["masking", "masking"]  # type: ignore[union-attr]
