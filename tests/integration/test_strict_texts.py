"""A router that is strict with texts: what is misspelt ends as one dead letter, whatever small models have answered."""

import json
from typing import Any

from sprat.kafka.lag import LagMeter
from sprat_contracts import Prediction, decode
from sprat_testing import Sprat
from support.stream import read_all


def value(**fields: Any) -> bytes:
    return json.dumps({"text": "what is my balance", "tasks": {"intent": {}}} | fields).encode()


async def test_a_misspelt_field_is_one_dead_letter_and_no_result() -> None:
    with Sprat(models="fixed", environment={"SPRAT_STRICT_TEXTS": "true"}) as sprat:
        sprat.answer("balance", intent="balance", confidence=0.9)
        misspelt = sprat.publish_record(value(tenent="acme", frontier="yes"))
        right = sprat.publish_record(value())
        assert sprat.result(right, timeout=30).status == "answered"
        reason = sprat.dead_letter(misspelt, timeout=30).reason
        sprat.settle(timeout=30)
        async with LagMeter({"bootstrap_servers": sprat.bootstrap}, sprat.topics) as meter:
            routers = (await meter.measure()).groups["router"].group.members
        predictions = [
            decode(each, Prediction) for each in await read_all(sprat.bootstrap, sprat.topics.predictions("intent"))
        ]
        assert (sprat._outcomes.results(misspelt), len(sprat._outcomes.letters(misspelt))) == ([], 1)
    assert (reason.code, reason.service) == ("unknown_value", "router")
    assert reason.detail == ("frontier: none of allow, redact and deny; counts as deny; tenent, did you mean tenant?")
    assert [each.client for each in routers] == ["sprat-router.strict"], "`sprat doctor` tells routers apart by it"
    assert len(predictions) == 2, "the small model has answered both"


async def test_what_a_generated_class_writes_is_answered_although_it_writes_null_for_what_nobody_set() -> None:
    """As `Converter.toJsonString` of the Java class writes it, see `docs/clients`."""
    nulls = {"deadline_ms": None, "frontier": None, "language": None, "reference": None, "tenant": None}
    tasks = {"intent": {"model": None}, "language-id": None, "ner": None, "translation": None}
    with Sprat(models="fixed", environment={"SPRAT_STRICT_TEXTS": "true"}) as sprat:
        sprat.answer("balance", intent="balance", confidence=0.9)
        place = sprat.publish_record(value(**nulls, tasks=tasks))
        result = sprat.result(place, timeout=30)
        sprat.settle(timeout=30)
        assert sprat._outcomes.letters(place) == []
    assert (result.status, result.requested, result.tenant, result.language) == (
        "answered",
        ("intent",),
        "default",
        "auto",
    )
    assert (result.warnings, result.asked_model) == ((), "default")
