"""Answers are paid for once: stored answers and equal questions in flight."""

import asyncio
import json

import pytest

from sprat_contracts import IntentOutput
from support import frontier_parts as parts

OUTPUT = IntentOutput(label="transfer")


@pytest.fixture
def frontier():
    return parts.FrontierHarness()


async def test_a_stored_answer_is_used_for_an_equal_text_without_cost(frontier):
    await frontier.answer(parts.request(id="t-1"))
    answered = await frontier.answer(parts.request(id="t-2"))
    assert (answered.output, answered.cached, answered.cost_eur, answered.usage) == (OUTPUT, True, 0, None)
    assert answered.egress.left
    assert len(frontier.provider.questions) == 1


async def test_a_redelivered_request_is_not_paid_again_and_reports_the_same_cost(frontier):
    first = await frontier.answer(parts.request())
    frontier.restart()
    frontier.clock.ms += 60_000
    again = await frontier.answer(parts.request())
    assert len(frontier.provider.questions) == 1
    assert again.model_dump(exclude={"timings_ms"}) == first.model_dump(exclude={"timings_ms"})


@pytest.mark.parametrize(
    "changes",
    [{"text": "Please move 100 euros"}, {"tenant": "nordic"}, {"labels": ("a", "b")}, {"language": "de"},
     {"tasks": {"intent": {"model": "other"}}}, {"frontier": "redact"}],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
async def test_another_question_does_not_use_the_stored_answer(frontier, changes):
    await frontier.answer(parts.request())
    answered = await frontier.answer(parts.request(**changes))
    assert not answered.cached
    assert len(frontier.provider.questions) == (2 if answered.output else 1)


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"output": {"label": "transfer"}}', "label"])
async def test_an_invalid_stored_answer_is_requested_again(frontier, value):
    await frontier.answer(parts.request())
    ((key, stored),) = frontier.store.values.items()
    if value == "label":
        value = stored.replace(b'"transfer"', b'"delete_everything"')
        assert value != stored
    frontier.store.values[key] = value
    assert (await frontier.answer(parts.request())).output == OUTPUT
    assert len(frontier.provider.questions) == 2


async def test_without_a_store_every_case_is_answered_and_paid(frontier):
    frontier.store.unavailable = True
    for _ in range(2):
        assert (await frontier.answer(parts.request())).output == OUTPUT
    assert len(frontier.provider.questions) == 2


async def test_stored_keys_and_values_do_not_contain_the_text(frontier):
    await frontier.answer(parts.request("a very private sentence"))
    assert "private" not in json.dumps([[key, value.decode()] for key, value in frontier.store.values.items()])


async def test_equal_questions_in_flight_share_one_paid_call(frontier):
    frontier.provider.gate.clear()
    tasks = [asyncio.create_task(frontier.answer(parts.request(id=f"t-{n}"))) for n in range(50)]
    await frontier.provider.wait_for_calls(1)
    frontier.provider.gate.set()
    answers = await asyncio.gather(*tasks)
    assert len(frontier.provider.questions) == 1
    assert {answered.output.label for answered in answers} == {"transfer"}
    assert sorted(answered.cached for answered in answers) == [False] + [True] * 49
    assert sum(answered.cost_eur for answered in answers) == pytest.approx(0.00206)


async def test_equal_questions_of_two_tenants_do_not_share_a_call():
    frontier = parts.FrontierHarness()
    frontier.provider.gate.clear()
    tasks = [asyncio.create_task(frontier.answer(parts.request(tenant=tenant))) for tenant in ("acme", "nordic")]
    await frontier.provider.wait_for_calls(2)
    assert len(frontier.provider.questions) == 2
    frontier.provider.gate.set()
    await asyncio.gather(*tasks)
