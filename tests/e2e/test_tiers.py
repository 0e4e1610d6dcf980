"""Tiers over the whole way: a chat model in the house, a decision model, a chat model outside.

One Result climbs all three, and the frontier service is killed between two.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Kafka, Redis
from sprat_contracts import Result, decode
from sprat_local.installation.lifecycle import Installation
from support import frontier_parts as parts
from support.running_task import shared
from support.stream import eventually, read_all
from support.traffic import record, submit

HARD = "för över {} euro till mitt sparkonto"
"""The small model declines it."""
SOURCE = "/tests/tiers"
EUROS = {"input_eur": 1000.0, "output_eur": 1000.0}
POLICY = """
regions:
  local: [localhost]
inside: [127.0.0.1]
tenants:
  acme: {{frontier: allow, regions: [local], deadline_ms: 100000}}
  closed: {{frontier: deny, deadline_ms: 100000}}
tiers:
  - {{name: house, preset: "vllm:{house}", model: phi, keep_at: 0.8, price: {price}}}
  - {{name: cheap, preset: "decisions:cheap", url: "{cheap}", region: local, keep_at: 0.8, price: {price}}}
  - {{name: large, preset: "openai:large", url: "{large}", region: local, price: {price}}}
"""
pytestmark = pytest.mark.timeout(300)


@dataclass
class Climb:
    """An installation whose policy has three tiers, each a simulator."""

    installation: Installation
    simulators: dict[str, parts.SimulatorProcess]

    async def submit(self, id: str, tenant: str = "acme") -> None:
        value = {"text": HARD.format(id), "language": "sv", "tasks": {"intent": {}}, "tenant": tenant}
        event = record(SOURCE, id, value | {"frontier": "allow"})
        await submit(self.installation.bootstrap, self.installation.topics, lambda _: event, 1, 0)

    async def result(self, id: str) -> Result:
        """Wait for the Result of a text."""
        found: list[Result] = []

        async def there() -> bool:
            records = await read_all(self.installation.bootstrap, self.installation.topics.results("intent"))
            found[:] = [decode(each, Result).message for each in records]
            return any(result.text_id == id for result in found)

        await eventually(there, 60)
        return next(result for result in found if result.text_id == id)

    async def audited(self) -> Counter[tuple[str, str]]:
        """Return how many records of the audit each provider has, by their outcomes."""
        records = await read_all(self.installation.bootstrap, self.installation.topics.egress)
        values = [json.loads(each.value) for each in records]
        return Counter((value["provider"], value["model"], value["outcome"] or "attempt") for value in values)

    def requests(self) -> dict[str, int]:
        return {name: each.call("/stats")["requests"] for name, each in self.simulators.items()}


@pytest.fixture(scope="module")
def climb(tmp_path_factory: pytest.TempPathFactory, kafka: Kafka, redis_server: Redis) -> Iterator[Climb]:
    with ExitStack() as stack:
        simulators = {name: stack.enter_context(parts.simulator()) for name in ("house", "cheap", "large")}
        urls = {name: each.base_url for name, each in simulators.items()}
        outside = {name: url.replace("127.0.0.1", "localhost") for name, url in urls.items()}
        policy: Path = tmp_path_factory.mktemp("tiers") / "policy.yaml"
        price = "{input_eur: 1000, output_eur: 1000}"
        policy.write_text(POLICY.format(**(outside | {"house": urls["house"]}), price=price))
        options = shared(
            kafka,
            redis_server,
            policy=policy,
            services=("router", "intent", "frontier"),
            environment={"SPRAT_KAFKA__SESSION_TIMEOUT_MS": "6000"},
        )
        yield Climb(stack.enter_context(Installation(options)), simulators)


@pytest.fixture(autouse=True)
def reset(climb: Climb) -> None:
    for simulator in climb.simulators.values():
        simulator.reset(**EUROS)


async def test_one_result_climbs_three_tiers_and_says_what_each_said(climb: Climb) -> None:
    climb.simulators["house"].reset(confidence=0.4, **EUROS)
    climb.simulators["cheap"].reset(confidence=0.6, **EUROS)
    await climb.submit("three")
    result = await climb.result("three")
    assert (result.status, result.source, result.declined) == ("answered", "frontier", None)
    assert [(step.tier, step.outcome, step.egress.left) for step in result.tiers] == [
        ("house", "unsure", False),
        ("cheap", "unsure", True),
        ("large", "kept", True),
    ]
    house, cheap, large = result.tiers
    assert (house.label is not None, house.confidence, house.keep_at) == (True, pytest.approx(0.4), 0.8)
    assert (cheap.label is not None, cheap.confidence) == (True, pytest.approx(0.6))
    assert (large.label, large.confidence) == (result.output.label, None)
    billed = {name: each.call("/stats")["billed_eur"] for name, each in climb.simulators.items()}
    assert {step.tier: step.cost_eur for step in result.tiers} == pytest.approx(billed)
    assert result.cost_eur == pytest.approx(sum(billed.values()))
    assert result.egress.call_id == large.egress.call_id != cheap.egress.call_id
    assert await climb.audited() == {
        ("cheap", "cheap", "attempt"): 1,
        ("cheap", "cheap", "answered"): 1,
        ("large", "large", "attempt"): 1,
        ("large", "large", "answered"): 1,
    }


async def test_a_denied_text_is_answered_inside_and_nothing_leaves(climb: Climb) -> None:
    before = await climb.audited()
    await climb.submit("denied", tenant="closed")
    result = await climb.result("denied")
    assert (result.status, result.egress.left, [step.tier for step in result.tiers]) == ("answered", False, ["house"])
    assert climb.requests() == {"house": 1, "cheap": 0, "large": 0}
    assert await climb.audited() == before


@pytest.mark.long
async def test_a_service_killed_between_two_tiers_pays_nothing_twice(climb: Climb) -> None:
    """The first tier is paid for a label that is not sure, the second for nothing; then the service dies."""
    climb.simulators["house"].reset(confidence=0.4, **EUROS)
    climb.simulators["cheap"].reset(malformed_rate=1, **EUROS)
    climb.simulators["large"].reset(hang_rate=1, **EUROS)
    await climb.submit("killed")
    await eventually(lambda: climb.requests()["large"] == 1, 60)
    await asyncio.to_thread(climb.installation.kill, "frontier")
    climb.simulators["large"].call("/control", "POST", {"hang_rate": 0})
    result = await climb.result("killed")
    assert [step.outcome for step in result.tiers] == ["unsure", "invalid_answer", "kept"]
    assert climb.requests() == {"house": 1, "cheap": 1, "large": 2}, "only the call without an answer is made again"
    billed = [each.call("/stats")["billed_eur"] for each in climb.simulators.values()]
    assert all(billed)
    assert result.cost_eur == pytest.approx(sum(billed)), "what was paid before it died is reported"
