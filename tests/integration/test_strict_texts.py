"""A router that is strict with texts: what is misspelt ends as one dead letter, whatever small models have answered."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sprat.kafka.lag import LagMeter
from sprat_contracts import Prediction, decode
from sprat_testing import Sprat
from support.stream import read_all


def value(**fields: Any) -> bytes:
    return json.dumps({"text": "what is my balance", "tasks": {"intent": {}}} | fields).encode()


@pytest.fixture(scope="module")
def strict() -> Iterator[Sprat]:
    with Sprat(models="fixed", environment={"SPRAT_STRICT_TEXTS": "true"}) as running:
        running.answer("balance", intent="balance", confidence=0.9)
        yield running


async def test_a_misspelt_field_is_one_dead_letter_and_no_result(strict: Sprat) -> None:
    misspelt = strict.publish_record(value(tenent="acme", frontier="yes"))
    right = strict.publish_record(value())
    assert strict.result(right, timeout=30).status == "answered"
    reason = strict.dead_letter(misspelt, timeout=30).reason
    strict.settle(timeout=30)
    async with LagMeter({"bootstrap_servers": strict.bootstrap}, strict.topics) as meter:
        routers = (await meter.measure()).groups["router"].group.members
    records = await read_all(strict.bootstrap, strict.topics.predictions("intent"))
    origins = [decode(each, Prediction).message.origin for each in records]
    assert (strict._outcomes.results(misspelt), len(strict._outcomes.letters(misspelt))) == ([], 1)
    assert (reason.code, reason.service) == ("unknown_value", "router")
    assert reason.detail == ("frontier: none of allow, redact and deny; counts as deny; tenent, did you mean tenant?")
    assert [each.client for each in routers] == ["sprat-router.strict"], "`sprat doctor` tells routers apart by it"
    answered = {(strict.topics.texts, origin.partition, origin.offset) for origin in origins}
    assert {misspelt, right} <= answered, "the small model has answered both"


async def test_what_a_generated_class_writes_is_answered_although_it_writes_null_for_what_nobody_set(
    strict: Sprat,
) -> None:
    """As `Converter.toJsonString` of the Java class writes it, see `docs/clients`."""
    nulls = {"deadline_ms": None, "frontier": None, "language": None, "reference": None, "tenant": None}
    tasks = {"intent": {"model": None}, "language-id": None, "ner": None, "translation": None}
    place = strict.publish_record(value(**nulls, tasks=tasks))
    result = strict.result(place, timeout=30)
    strict.settle(timeout=30)
    assert strict._outcomes.letters(place) == []
    assert (result.status, result.requested, result.tenant, result.language) == (
        "answered",
        ("intent",),
        "default",
        "auto",
    )
    assert (result.warnings, result.asked_model) == ((), "default")
