"""What an alarm does to what the router keeps: nothing, a higher goal, or nothing is kept."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.registry.alarms import alarm_record, cleared
from sprat.registry.model_table import AnnouncedLabels
from sprat_contracts import OUTPUTS, AlarmRaised, Prediction, Record, ReviewCell
from sprat_contracts.thresholds import LEVELS, SOME, Cell, Step
from sprat_policy import KeepRule, Policy
from sprat_router.alarms import StandingAlarms, tightened_goal
from sprat_router.decisions import RouteDecision, decide
from support.measured import thresholds
from support.router_records import (
    SIGNATURES,
    TOPICS,
    announced,
    prediction,
    received,
    requests,
    results,
    router,
    text,
    worth,
)

MEASURED = thresholds()
"""0.97 from a confidence of 0.6 on, 0.99 from 0.95 on."""
TIGHTEN = KeepRule(goal=0.97, on_alarm="tighten")
NONE = {"label": None}


def decided(made: Prediction, rule: KeepRule, steps: int, **fields: Any) -> RouteDecision:
    own = AnnouncedLabels.of(announced(**{"thresholds": MEASURED, **fields}))
    return decide(made, OUTPUTS[made.task], rule, own, steps)


@pytest.mark.parametrize("goal", [0.97, 0.9])
def test_an_alarm_changes_nothing_unless_the_policy_says_so(goal: float) -> None:
    made, rule = prediction(accuracy=worth(0.97)), KeepRule(goal=goal)
    assert decided(made, rule, 3) == decided(made, rule, 0)
    tighten = KeepRule(goal=goal, on_alarm="tighten")
    assert decided(made, tighten, 0) == decided(made, rule, 0)


def test_a_step_raises_the_goal_to_the_next_level_that_needs_a_higher_confidence() -> None:
    unsure = decided(prediction(accuracy=worth(0.97)), TIGHTEN, 1)
    assert unsure == RouteDecision(("low_confidence",), goal=0.975, evidence="estimated", level=0.97)
    sure = decided(prediction(accuracy=worth(0.99)), TIGHTEN, 1)
    assert (sure.kept, sure.reasons, sure.goal, sure.level) == (True, ("confident",), 0.975, 0.99)
    low = KeepRule(goal=0.9, on_alarm="tighten")  # 0.905 to 0.97 need the same
    assert decided(prediction(accuracy=worth(0.97)), low, 1).goal == 0.905
    assert decided(prediction(accuracy=worth(0.99)), low, 2).goal == 0.975


@pytest.mark.parametrize(
    ("rule", "steps", "made"),
    [
        pytest.param(KeepRule(goal=0.97, on_alarm="escalate"), 1, {}, id="escalate"),
        pytest.param(TIGHTEN, 2, {}, id="no further level"),
        pytest.param(KeepRule(goal=0.97, evidence="certified", on_alarm="tighten"), 1, {}, id="certified"),
        pytest.param(KeepRule(keep_at=0.5, on_alarm="tighten"), 1, {}, id="a keep_at"),
        pytest.param(
            KeepRule(goal=0.97, none_goal=0.9, on_alarm="tighten"), 1, {"output": NONE}, id="of answers without a label"
        ),
        pytest.param(
            KeepRule(keep_at=0.5, uncalibrated="keep", on_alarm="tighten"), 1, {"renormalised": True}, id="some labels"
        ),
    ],
)
def test_where_no_goal_can_be_raised_nothing_is_kept(rule: KeepRule, steps: int, made: dict[str, Any]) -> None:
    answered = prediction(confidence=1.0, accuracy=worth(0.995, 0.995), **made)
    assert decided(answered, rule, 0).kept
    alarmed = decided(answered, rule, steps)
    assert (alarmed.kept, alarmed.reasons) == (False, ("alarm",))


def test_a_model_without_thresholds_keeps_nothing_under_an_alarm() -> None:
    by_card = prediction(accuracy=None)
    card = {"thresholds": None, "card": {"keep_at": 0.5}}
    assert decided(by_card, TIGHTEN, 0, **card).kept
    assert decided(by_card, TIGHTEN, 1, **card).reasons == ("alarm",)


def test_what_is_not_kept_anyway_has_its_own_reason() -> None:
    rule = KeepRule(goal=0.97, on_alarm="escalate")
    assert decided(prediction(accuracy=worth(0.9)), rule, 1).reasons == ("low_confidence",)


@given(
    st.lists(st.sampled_from(LEVELS), min_size=1, unique=True).map(sorted),
    st.data(),
    st.sampled_from(LEVELS),
    st.integers(1, 5),
)
def test_each_step_keeps_fewer_and_after_three_nothing_is_kept(
    levels: list[float], data: st.DataObject, goal: float, steps: int
) -> None:
    at = sorted(data.draw(st.lists(st.floats(0.5, 1), min_size=len(levels), max_size=len(levels))))
    made = tuple(Step(accuracy=a, threshold=t, kept=9, right=9) for a, t in zip(levels, at, strict=True))
    measured = MEASURED.model_copy(update={"cells": (Cell(says="some", rows=9, estimated=made),)}).announced()
    goals = [goal, *(tightened_goal(measured, goal, number, "en", SOME) for number in range(1, steps + 1))]
    if steps > 3:
        assert goals[4:] == [None] * (steps - 3)
    known = [each for each in goals if each is not None]
    assert goals[: len(known)] == known, "once there is none, there is none any more"
    least = [measured.threshold(each, "estimated", "en", SOME) for each in known]
    assert all(a is not None and b is not None and a < b for a, b in pairwise(least))
    if len(known) < len(goals[:4]) and least[-1] is not None:
        more = [measured.threshold(each, "estimated", "en", SOME) for each in LEVELS if each > known[-1]]
        assert all(each is None or each == least[-1] for each in more)


def standing(*alarms: AlarmRaised) -> StandingAlarms:
    """Return the alarms that stand after records, each written after the others."""
    book = StandingAlarms(SIGNATURES)
    for offset, alarm in enumerate(alarms):
        out = alarm_record(TOPICS, alarm, "/sprat/guardian", SIGNATURES)
        book.take(Record(out.topic, 0, offset, offset, out.key, out.value, tuple(out.headers)))
    return book


def alarm(tenant: str | None, language: str | None, number: int = 1, **fields: Any) -> AlarmRaised:
    cell = ReviewCell(tenant=tenant, language=language)
    known = {"kind": "errors", "task": "intent", "cell": cell, "number": number, "steps": 1, "raised_at": 1}
    return AlarmRaised(**(known | fields))


def test_of_the_steps_of_a_cell_and_of_its_task_the_more_count_until_they_are_cleared() -> None:
    bank, german = (ReviewCell(tenant="bank", language=each) for each in ("en", "de"))
    second = alarm("bank", "en", 2, steps=2)
    alarms = standing(alarm("bank", "en"), second, alarm(None, None), alarm("bank", "de", kind="shift"))
    assert [alarms.steps("intent", each) for each in (bank, german)] == [2, 1]
    task = standing(alarm("bank", "en"), alarm(None, None, steps=2))
    assert [task.steps("intent", each) for each in (bank, german)] == [2, 2]
    assert (bool(alarms), alarms.steps("ner", bank)) == (True, 0)
    ends = (cleared(each, "lee", "a holiday", None) for each in (second, alarm(None, None)))
    none = standing(second, alarm(None, None), *ends, second)
    assert (bool(none), none.steps("intent", bank)) == (False, 0)
    alarms.forget()
    assert not alarms


@pytest.mark.parametrize(
    ("alarms", "escalated"),
    [
        ([alarm("bank", "de")], [("bank", "de-AT")]),
        ([alarm("default", "en")], [("other", "en")]),
        ([alarm(None, None)], [("bank", "de-AT"), ("bank", "en"), ("other", "en")]),
        ([alarm(None, None, task="ner"), alarm("bank", "fr")], []),
    ],
)
def test_an_alarm_is_for_its_tenant_and_language_or_for_the_whole_task(
    alarms: list[AlarmRaised], escalated: list[tuple[str, str]]
) -> None:
    policy = Policy.model_validate({"tasks": {"intent": {"on_alarm": "escalate"}}, "tenants": {"bank": {}}})
    handler = router(announced(), policy=policy, alarms=standing(*alarms))
    cells = [("bank", "de-AT"), ("bank", "en"), ("other", "en")]
    made = {cell: prediction(submitted=text(tenant=cell[0], language=cell[1])) for cell in cells}
    outcomes = {cell: handler.receive(received(each)) for cell, each in made.items()}
    assert [cell for cell, each in outcomes.items() if [r.reasons for r in requests(each)] == [("alarm",)]] == escalated
    assert sum(len(results(each)) for each in outcomes.values()) == len(cells) - len(escalated)


def test_what_an_alarm_left_to_be_kept_is_reviewed_by_its_new_goal() -> None:
    policy = Policy.model_validate({"tasks": {"intent": {"goal": 0.97, "on_alarm": "tighten", "review": {"share": 1}}}})
    handler = router(announced(thresholds=MEASURED), policy=policy, alarms=standing(alarm(None, None)))
    result, asked = handler.receive(received(prediction(accuracy=worth(0.99)))).events
    assert (result.message.route.goal, asked.message.goal, asked.message.level) == (0.975, 0.975, 0.99)
