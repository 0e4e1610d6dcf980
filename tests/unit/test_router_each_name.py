"""`unit: entity`: an answer is kept where none of its names is missed, and those below the goal are uncertain."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from sprat.processing.measure import count_sent
from sprat.registry.model_table import AnnouncedLabels
from sprat_contracts import OUTPUTS, NerOutput, Prediction, ReviewAsked
from sprat_policy import KeepRule, Policy
from sprat_router.decisions import RouteDecision, decide, marked
from support.measured import thresholds
from support.metrics import Metrics
from support.router_records import (
    MODEL,
    announced,
    prediction,
    received,
    requests,
    reread,
    results,
    router,
    text,
    worth,
)

pytestmark = pytest.mark.unit

EACH = KeepRule(goal=0.95, unit="entity")
ALLOW = KeepRule(goal=0.95, unit="entity", missed="allow")
LEVELS = (0.96, 0.95, 0.945, None)


def name(start: int, level: float | None, **fields: Any) -> dict[str, Any]:
    said = {"start": start, "end": start + 2, "text": "Mo", "label": "ORG", "probability": 0.9, "level": level}
    return said | fields


def named(
    whole: float | None = 0.5, missed: float | None = 0.95, levels: tuple[float | None, ...] = LEVELS, **fields: Any
) -> Prediction:
    """Return a prediction with names; by its estimate the whole is right to `whole`, and none is missed to `missed`."""
    output = {"entities": [name(3 * place, level) for place, level in enumerate(levels)]}
    given = {"output": output, "accuracy": worth(whole), "nothing_missed": worth(missed)}
    return prediction("ner", **(given | fields))


def by(made: Prediction, rule: KeepRule = EACH, steps: int = 0) -> RouteDecision:
    return decide(made, OUTPUTS["ner"], rule, None, steps)


def uncertain(made: Prediction, rule: KeepRule) -> list[bool]:
    output = marked(made, by(made, rule)).output
    assert isinstance(output, NerOutput)
    return [each.uncertain for each in output.entities]


def test_it_is_kept_where_none_is_missed_and_names_below_the_goal_are_uncertain() -> None:
    made = named()
    assert by(made) == RouteDecision(
        ("each_name",), kept=True, goal=0.95, evidence="estimated", level=0.95, judged="names"
    )
    assert uncertain(made, EACH) == [False, False, True, True]
    assert uncertain(made, KeepRule(goal=0.945, unit="entity")) == [False, False, False, True]


def test_the_goal_is_the_recommended_one_where_the_policy_names_none() -> None:
    assert by(named(), KeepRule(unit="entity")).goal == 0.95


@pytest.mark.parametrize("missed", [worth(0.945), worth(None)])
def test_where_a_name_may_be_missed_it_is_escalated_unless_the_policy_allows_it(missed: dict[str, Any]) -> None:
    made = named(nothing_missed=missed)
    level = missed["estimated"]
    assert by(made) == RouteDecision(("may_miss",), goal=0.95, evidence="estimated", level=level, judged="names")
    allowed = by(made, ALLOW)
    assert (allowed.kept, allowed.reasons, allowed.level, allowed.judged) == (
        True,
        ("each_name",),
        level,
        "sure_names",
    )
    assert uncertain(made, ALLOW) == [False, False, True, True]


@pytest.mark.parametrize("rule", [EACH, ALLOW])
def test_what_is_kept_as_a_whole_has_no_uncertain_name(rule: KeepRule) -> None:
    made = named(whole=0.95, missed=None)
    assert by(made, rule) == RouteDecision(("confident",), kept=True, goal=0.95, evidence="estimated", level=0.95)
    assert marked(made, by(made, rule)) is made


@pytest.mark.parametrize("rule", [EACH, ALLOW])
def test_an_answer_without_names_is_judged_as_before(rule: KeepRule) -> None:
    sure, unsure = (named(whole, levels=(), missed=0.99) for whole in (0.95, 0.9))
    assert by(sure, rule) == by(sure, KeepRule(goal=0.95))
    assert by(unsure, rule) == by(unsure, KeepRule(goal=0.95))
    assert by(unsure, rule).reasons == ("low_confidence",)


@pytest.mark.parametrize("rule", [EACH, ALLOW])
def test_a_model_that_gives_no_levels_is_judged_as_a_whole_and_the_reason_says_so(rule: KeepRule) -> None:
    older = named(levels=(None, None), nothing_missed=None)
    assert by(older, rule) == RouteDecision(("no_level", "low_confidence"), goal=0.95, evidence="estimated", level=0.5)
    assert by(named(whole=0.96, levels=(None,), nothing_missed=None), rule).reasons == ("confident",)
    assert by(named(accuracy=None, levels=(None,), nothing_missed=None), rule).reasons == ("no_level", "not_measured")


def test_levels_of_names_alone_do_not_say_that_none_is_missed() -> None:
    made = named(nothing_missed=None)
    assert by(made).reasons == ("no_level", "low_confidence")
    assert (by(made, ALLOW).reasons, by(made, ALLOW).level) == (("each_name",), None)


def test_without_the_unit_the_text_decides_whatever_the_names_are_worth() -> None:
    assert by(named(missed=0.995, levels=(0.995,)), KeepRule(goal=0.95)).reasons == ("low_confidence",)


def test_an_answer_among_some_labels_is_not_measured_by_its_names_either() -> None:
    assert by(named(renormalised=True)).reasons == ("uncalibrated", "no_level", "not_measured")


@pytest.mark.parametrize("on_alarm", ["tighten", "escalate"])
def test_under_an_alarm_nothing_is_kept_by_its_names(on_alarm: Any) -> None:
    rule = KeepRule(goal=0.95, unit="entity", on_alarm=on_alarm)
    own = AnnouncedLabels.of(announced("ner", thresholds=thresholds(task="ner", label_set=None)))
    alarmed = decide(named(missed=0.99), OUTPUTS["ner"], rule, own, 1)
    assert (alarmed.kept, alarmed.reasons) == (False, ("alarm",))
    assert alarmed.goal == 0.95, "no level of whole texts is the next one of names"
    assert by(named(missed=0.99), EACH, 1).kept, "it only tells"


levels = st.none() | st.sampled_from([0.8, 0.9, 0.945, 0.95, 0.955, 0.99])


rules = st.sampled_from([EACH, ALLOW])


@given(levels, levels, st.lists(levels, max_size=4).map(tuple), st.sampled_from([0.9, 0.95]), rules)
def test_it_keeps_all_that_the_text_keeps_and_no_sure_name_is_below_the_goal(
    whole: float | None, missed: float | None, of_names: tuple[float | None, ...], goal: float, like: KeepRule
) -> None:
    made = named(whole, missed, of_names)
    rule = replace(like, goal=goal)
    text_rule, found = by(made, KeepRule(goal=goal)), by(made, rule)
    assert found.kept >= text_rule.kept
    if found.reasons == ("each_name",):
        for level, is_uncertain in zip(of_names, uncertain(made, rule), strict=True):
            assert is_uncertain == (level is None or level < goal)
        assert like is ALLOW or (missed is not None and missed >= goal)
    elif found.kept:
        assert found == text_rule


def policy(**ner: Any) -> Policy:
    return Policy.model_validate({"tasks": {"ner": {"goal": 0.95, "unit": "entity"} | ner}})


def test_the_result_has_the_marks_and_the_request_none() -> None:
    (result,) = results(router(policy=policy()).receive(received(named())))
    assert isinstance(result.output, NerOutput)
    assert [each.uncertain for each in result.output.entities] == [False, False, True, True]
    assert [each.level for each in result.output.entities] == list(LEVELS)
    assert (result.route.decision, result.route.reason, result.route.level) == ("kept", "each_name", 0.95)
    (request,) = requests(router(policy=policy()).receive(received(named(missed=0.9))))
    assert (request.reasons, request.prediction) == (("may_miss",), named(missed=0.9))


@pytest.mark.parametrize("missed", [worth(0.9), None])
def test_what_is_kept_by_its_names_counts_as_measured(missed: dict[str, Any] | None, metrics: Metrics) -> None:
    for emit in router(policy=policy(missed="allow")).receive(received(named(nothing_missed=missed))).events:
        count_sent(emit.message, None, INVALID_SPAN_CONTEXT)
    assert metrics.value("sprat.confidence", task="ner", model=MODEL["name"], model_version="v1", decision="kept")
    assert metrics.value("sprat.not_measured", task="ner", model=MODEL["name"]) is None


def test_unknown_fields_of_a_newer_specialist_survive_the_marks() -> None:
    made = named(output={"entities": [name(0, 0.9, wikidata="Q64")], "newer": 1})
    (result,) = results(router(policy=policy()).receive(received(made)))
    entity = result.model_dump(mode="json")["output"]["entities"][0]
    assert (entity["wikidata"], entity["uncertain"]) == ("Q64", True)
    assert result.model_dump(mode="json")["output"]["newer"] == 1


def test_a_review_says_what_is_judged_and_shows_which_names_are_uncertain() -> None:
    reviewed = {"review": {"share": 1.0}}
    (drawn,) = asked(policy(**reviewed), named())
    assert (drawn.judged, drawn.goal, drawn.level) == ("names", 0.95, 0.95)
    assert [each["uncertain"] for each in drawn.model_dump()["prediction"]["output"]["entities"]] == [
        False,
        False,
        True,
        True,
    ]
    (allowed,) = asked(policy(missed="allow", **reviewed), named())
    assert allowed.judged == "sure_names"
    (whole,) = asked(policy(**reviewed), named(whole=0.99))
    assert whole.judged == "text"


def test_what_promises_nothing_is_not_drawn() -> None:
    made = named(levels=(0.5, None))
    assert asked(policy(missed="allow", review={"share": 1.0}), made) == []
    (drawn,) = asked(policy(review={"share": 1.0}), made)
    assert drawn.judged == "names", "that none is missed is promised"


def asked(chosen: Policy, made: Prediction) -> list[ReviewAsked]:
    submitted = text(tasks={"ner": {}}, language="en")
    made = reread(Prediction, made.model_dump(mode="json") | {"submitted": submitted.model_dump(mode="json")})
    events = router(policy=chosen).receive(received(made)).events
    return [each.message for each in events if isinstance(each.message, ReviewAsked)]
