"""A language model in the house behind a tier, as `sprat up --model generalist/NAME=DIR` runs it."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_contracts import Result, decode
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.models import served_models
from sprat_local.installation.options import Options, service_table
from support.stream import eventually, read_all
from support.tiny_generator import ANSWER, END, write_generator
from support.traffic import record, submit

SOURCE = "/tests/generalist"
HARD = "för över {} euro till mitt sparkonto"
"""The small model declines it."""
POLICY = """
inside: [127.0.0.1]
tenants:
  vault: {{frontier: deny, deadline_ms: 100000}}
  strict: {{frontier: deny, deadline_ms: 100000}}
tiers:
  - {{name: house, preset: "generalist:http://127.0.0.1:{port}/v1", model: tiny, keep_at: 0.8, tenants: [vault]}}
  - {{name: stricter, preset: "generalist:http://127.0.0.1:{port}/v1", model: tiny, keep_at: 0.95, tenants: [strict]}}
"""
TABLE = {ANSWER: {"transfer": 0.9, "balance": 0.1}, "transfer": {END: 1.0}, "balance": {END: 1.0}}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("house")
    write_generator(folder / "tiny", "transfer", "balance", table=TABLE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    policy: Path = folder / "policy.yaml"
    policy.write_text(POLICY.format(port=port))
    options = Options(
        policy=policy,
        services=("router", "intent", "frontier"),
        models=served_models([f"generalist/tiny={folder / 'tiny'}"]),
        environment={"SPRAT_GENERALIST__PORT": str(port), "SPRAT_GENERALIST__MAX_PROMPT_TOKENS": "8000"},
    )
    with Installation(options) as installation:
        yield installation


async def result_of(house: Installation, id: str, tenant: str) -> Result:
    value = {"text": HARD.format(id), "language": "sv", "tasks": {"intent": {}}, "tenant": tenant}
    await submit(house.bootstrap, house.topics, lambda _: record(SOURCE, id, value), 1, 0)
    found: list[Result] = []

    async def there() -> bool:
        records = await read_all(house.bootstrap, house.topics.results("intent"))
        found[:] = [decode(each, Result).message for each in records]
        return any(result.text_id == id for result in found)

    await eventually(there, 90)
    return next(result for result in found if result.text_id == id)


async def test_a_text_that_nothing_may_leave_of_is_answered_by_the_probability_of_labels(house: Installation) -> None:
    result = await result_of(house, "sure", "vault")
    (step,) = result.tiers
    assert (step.tier, step.provider, step.model, step.outcome) == ("house", "generalist", "tiny", "kept")
    assert (step.label, result.output.label) == ("transfer", "transfer")
    assert step.confidence == pytest.approx(0.9, abs=1e-3), "of 150 labels and none of them"
    assert (result.status, result.source, result.egress.left, result.cost_eur) == ("answered", "frontier", False, 0)
    assert step.usage.input_tokens > len(HARD)
    audited = await read_all(house.bootstrap, house.topics.egress)
    assert [json.loads(each.value) for each in audited] == [], "nothing has left"


async def test_a_label_that_it_is_less_sure_of_is_not_kept(house: Installation) -> None:
    result = await result_of(house, "unsure", "strict")
    (step,) = result.tiers
    assert (step.tier, step.outcome, step.label) == ("stricter", "unsure", "transfer")
    assert (result.status, result.egress.left) == ("unanswered", False)


def test_one_is_a_service_of_the_installation_and_two_are_refused(house: Installation) -> None:
    assert set(house.processes) == {"router", "intent", "frontier", "generalist"}
    (spec,) = [spec for spec in service_table(house.options) if spec.model is not None]
    assert (spec.name, spec.environment["SPRAT_GENERALIST__MODEL"]) == ("generalist", "tiny")
    twice = [f"generalist/{name}={spec.environment['SPRAT_GENERALIST__ARTEFACT']}" for name in ("tiny", "other")]
    with pytest.raises(UserError, match="one can run here"):
        served_models(twice)
