"""What the router keeps by goal and level, by a fixed `keep_at`, and by a card where nothing was measured."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.registry.model_table import AnnouncedLabels
from sprat_contracts import OUTPUTS, Declined, FrontierAnswered, MaskedOutput, ModelAnnounced, Prediction, Route
from sprat_contracts.thresholds import LEVELS, Thresholds
from sprat_policy import IntentPolicy, KeepRule, NerPolicy, Policy, TaskPolicies
from sprat_router.decisions import RouteDecision, decide
from sprat_router.policy_check import measure_goals
from support.measured import thresholds
from support.metrics import Metrics
from support.router_records import MODEL, announced, prediction, received, requests, results, router, table, worth

NO_LABEL = {"label": None}
CERTIFIED = KeepRule(goal=0.97, evidence="certified")


def decided(made: Prediction, rule: KeepRule, announcement: ModelAnnounced | None = None) -> RouteDecision:
    own = None if announcement is None else AnnouncedLabels.of(announcement)
    return decide(made, OUTPUTS[made.task], rule, own)


def recommending(goal: float) -> Thresholds:
    return thresholds().model_copy(update={"recommended_goal": goal})


@pytest.mark.parametrize(
    ("accuracy", "rule", "reason", "level"),
    [
        pytest.param(worth(0.97), KeepRule(goal=0.97), "confident", 0.97, id="the goal"),
        pytest.param(worth(0.97 - 1e-9), KeepRule(goal=0.97), "confident", 0.97 - 1e-9, id="by whole thousandths"),
        pytest.param(worth(0.965), KeepRule(goal=0.97), "low_confidence", 0.965, id="below"),
        pytest.param(worth(None), KeepRule(goal=0.8), "low_confidence", None, id="no level"),
        pytest.param(worth(0.98, 0.97), CERTIFIED, "confident", 0.97, id="certified"),
        pytest.param(worth(0.98, 0.95), CERTIFIED, "not_certified", 0.95, id="only the estimate reaches it"),
        pytest.param(worth(0.97), CERTIFIED, "not_certified", None, id="nothing is certified"),
        pytest.param(worth(0.96, 0.95), CERTIFIED, "low_confidence", 0.95, id="the estimate does not either"),
        pytest.param(worth(0.97), KeepRule(), "confident", 0.97, id="the recommended goal"),
        pytest.param(worth(0.965), KeepRule(), "low_confidence", 0.965, id="below the recommended goal"),
    ],
)
def test_an_answer_is_kept_where_its_level_reaches_the_goal(
    accuracy: dict[str, Any], rule: KeepRule, reason: str, level: float | None
) -> None:
    found = decided(prediction(confidence=0.1, accuracy=accuracy), rule, announced())
    assert found == RouteDecision(
        (reason,), kept=reason == "confident", goal=rule.goal or 0.97, evidence=rule.evidence, level=level
    )


def test_the_recommended_goal_is_that_of_the_announced_thresholds() -> None:
    lower = announced(thresholds=recommending(0.9))
    assert decided(prediction(accuracy=worth(0.9)), KeepRule(), lower).kept
    assert decided(prediction(accuracy=worth(0.9)), KeepRule()).goal == 0.97


@pytest.mark.parametrize(
    ("rule", "accuracy", "reasons", "goal"),
    [
        pytest.param(KeepRule(goal=0.97, none_goal=0.9), worth(0.9), ("out_of_scope",), 0.9, id="its own goal"),
        pytest.param(KeepRule(goal=0.9, none_goal=0.97), worth(0.9), ("low_confidence",), 0.97, id="a higher one"),
        pytest.param(KeepRule(keep_at=0.5, none_goal=0.97), worth(0.9), ("low_confidence",), 0.97, id="beside keep_at"),
        pytest.param(KeepRule(goal=0.9), worth(0.9), ("out_of_scope",), 0.9, id="the goal of all"),
        pytest.param(
            KeepRule(goal=0.9, out_of_scope="escalate"), worth(0.9), ("out_of_scope",), 0.9, id="none is kept"
        ),
        pytest.param(
            KeepRule(goal=0.9, out_of_scope="escalate"), worth(None), ("out_of_scope", "low_confidence"), 0.9, id="both"
        ),
    ],
)
def test_an_answer_without_a_label_has_a_goal_of_its_own_or_is_escalated(
    rule: KeepRule, accuracy: dict[str, Any], reasons: tuple[str, ...], goal: float
) -> None:
    found = decided(prediction(output=NO_LABEL, accuracy=accuracy), rule, announced())
    kept = reasons == ("out_of_scope",) and rule.out_of_scope == "keep"
    assert (found.reasons, found.kept, found.goal) == (reasons, kept, goal)
    assert decided(prediction(accuracy=worth(0.97)), rule, announced()).kept, "labels go by the other rule"


@pytest.mark.parametrize(
    ("keep_at", "confidence", "reason"), [(0.7, 0.7, ""), (0.7, 0.69, "low"), (0.0, 0.0, ""), (1.0, 1.0, "low")]
)
@pytest.mark.parametrize("output", [{"label": "transfer"}, NO_LABEL])
@pytest.mark.parametrize("accuracy", [None, worth(0.995, 0.995), worth(None)])
def test_with_a_fixed_number_no_level_and_no_card_argues(
    keep_at: float, confidence: float, reason: str, output: dict[str, Any], accuracy: dict[str, Any] | None
) -> None:
    made = prediction(output=output, confidence=confidence, accuracy=accuracy)
    card = announced(card={"keep_at": 0.9, "keep_at_outside": 0.95}, thresholds=thresholds())
    found = decided(made, KeepRule(keep_at=keep_at), card)
    assert (found.kept, found.threshold, found.goal, found.level) == (not reason, keep_at, None, None)


CARD = {"keep_at": 0.7, "keep_at_by_language": {"de": 0.9}, "keep_at_outside": 0.95}


@pytest.mark.parametrize(
    ("rule", "fields", "version", "reason", "threshold"),
    [
        pytest.param(KeepRule(), {"confidence": 0.7}, "v1", "confident", 0.7, id="the recommended goal"),
        pytest.param(KeepRule(), {"confidence": 0.69}, "v1", "low_confidence", 0.7, id="below"),
        pytest.param(KeepRule(goal=0.9), {"confidence": 0.7}, "v1", "confident", 0.7, id="a lower goal"),
        pytest.param(KeepRule(goal=0.975), {"confidence": 1.0}, "v1", "not_measured", None, id="a higher goal"),
        pytest.param(CERTIFIED, {"confidence": 1.0}, "v1", "not_measured", None, id="certified"),
        pytest.param(KeepRule(), {"confidence": 1.0}, "v2", "not_measured", None, id="the card of another version"),
        pytest.param(
            KeepRule(),
            {"confidence": 0.89, "language_detected": {"language": "de", "confidence": 0.9}},
            "v1",
            "low_confidence",
            0.9,
            id="of the language",
        ),
        pytest.param(KeepRule(), {"confidence": 0.94, "output": NO_LABEL}, "v1", "low_confidence", 0.95, id="no label"),
        pytest.param(
            KeepRule(), {"confidence": 0.95, "output": NO_LABEL}, "v1", "out_of_scope", 0.95, id="surely none"
        ),
        pytest.param(
            KeepRule(none_goal=0.98), {"confidence": 1.0, "output": NO_LABEL}, "v1", "not_measured", None, id="its goal"
        ),
    ],
)
def test_what_an_older_specialist_says_is_judged_by_the_announced_card(
    rule: KeepRule, fields: dict[str, Any], version: str, reason: str, threshold: float | None
) -> None:
    made = prediction(accuracy=None, **fields)
    found = decided(made, rule, announced(card=CARD, version=version))
    assert (found.reasons, found.threshold, found.level) == ((reason,), threshold, None)
    assert found.kept == (reason in {"confident", "out_of_scope"})


@pytest.mark.parametrize("announcement", [None, announced(), announced(card={"keep_at": "high"})])
def test_without_a_level_and_a_card_nothing_is_kept(announcement: ModelAnnounced | None) -> None:
    found = decided(prediction(confidence=1.0, accuracy=None), KeepRule(), announcement)
    assert found == RouteDecision(("not_measured",), goal=0.97, evidence="estimated")


UNCALIBRATED = {"keep_at": 0.6, "calibration": {"fitted_on": "nothing"}}


@pytest.mark.parametrize(
    ("rule", "accuracy", "confidence", "reasons"),
    [
        pytest.param(KeepRule(), worth(0.99), 0.99, ("uncalibrated",), id="it goes first"),
        pytest.param(KeepRule(), worth(None), 0.1, ("uncalibrated", "low_confidence"), id="both"),
        pytest.param(KeepRule(keep_at=0.5), None, 0.9, ("uncalibrated",), id="above a fixed number"),
        pytest.param(
            KeepRule(goal=0.97, uncalibrated="keep", uncalibrated_keep_at=0.8), None, 0.8, ("confident",), id="a number"
        ),
        pytest.param(
            KeepRule(goal=0.97, uncalibrated="keep", uncalibrated_keep_at=0.8), None, 0.7, ("low_confidence",), id="low"
        ),
        pytest.param(
            KeepRule(goal=0.97, uncalibrated="keep", uncalibrated_keep_at=0.8),
            worth(0.9),
            0.9,
            ("low_confidence",),
            id="what was measured counts",
        ),
        pytest.param(
            KeepRule(keep_at=0.5, uncalibrated="keep", uncalibrated_keep_at=0.5), None, 0.5, ("confident",), id="fixed"
        ),
    ],
)
def test_a_model_without_a_calibration_is_kept_by_a_number_alone(
    rule: KeepRule, accuracy: dict[str, Any] | None, confidence: float, reasons: tuple[str, ...]
) -> None:
    made = prediction(confidence=confidence, accuracy=accuracy)
    found = decided(made, rule, announced(card=UNCALIBRATED))
    assert (found.reasons, found.kept) == (reasons, reasons == ("confident",))


def test_of_another_version_it_is_not_known_whether_it_has_a_calibration() -> None:
    assert decided(prediction(accuracy=worth(0.97)), KeepRule(), announced(card=UNCALIBRATED, version="v2")).kept


@pytest.mark.parametrize(
    ("rule", "accuracy", "confidence", "reason", "threshold"),
    [
        (KeepRule(), None, 0.8, "confident", 0.8),
        (KeepRule(), None, 0.79, "low_confidence", 0.8),
        (KeepRule(goal=0.99), None, 0.8, "confident", 0.8),
        (KeepRule(keep_at=0.9), None, 0.8, "low_confidence", 0.9),
        (KeepRule(), worth(0.9), 0.8, "low_confidence", None),
    ],
)
def test_personal_data_is_judged_by_its_confidence_unless_it_was_measured(
    rule: KeepRule, accuracy: dict[str, Any] | None, confidence: float, reason: str, threshold: float | None
) -> None:
    made = prediction(output={"masked": "x", "spans": []}, confidence=confidence, accuracy=accuracy)
    found = decide(made, MaskedOutput, rule, None)
    assert (found.reasons, found.threshold) == ((reason,), threshold)


RULES = st.builds(
    KeepRule,
    goal=st.sampled_from(LEVELS),
    evidence=st.sampled_from(("estimated", "certified")),
    none_goal=st.none() | st.sampled_from(LEVELS),
    uncalibrated=st.just("keep"),
    uncalibrated_keep_at=st.none() | st.floats(0, 1),
)
_LEVEL = st.none() | st.sampled_from(LEVELS)
ACCURACIES = st.none() | st.builds(worth, _LEVEL, _LEVEL)


@given(
    rule=RULES,
    higher=st.sampled_from(LEVELS),
    confidence=st.floats(0, 1),
    accuracy=ACCURACIES,
    output=st.sampled_from(({"label": "transfer"}, NO_LABEL)),
    card=st.sampled_from(({}, CARD, UNCALIBRATED)),
)
def test_a_higher_goal_never_keeps_more(
    rule: KeepRule, higher: float, confidence: float, accuracy: Any, output: Any, card: dict[str, Any]
) -> None:
    made = prediction(confidence=confidence, accuracy=accuracy, output=output)
    low, high = sorted((rule.goal or 0, higher))
    with_goal = [
        KeepRule(low, rule.evidence, None, rule.none_goal),
        KeepRule(high, rule.evidence, None, rule.none_goal),
    ]
    lower, strict = (decided(made, each, announced(card=card)) for each in with_goal)
    assert lower.kept or not strict.kept
    certified = decided(made, KeepRule(low, "certified", None, rule.none_goal), announced(card=card))
    if accuracy is None or (accuracy["estimated"] or 0) >= (accuracy["certified"] or 0):
        estimated = decided(made, KeepRule(low, "estimated", None, rule.none_goal), announced(card=card))
        assert estimated.kept or not certified.kept, "certified never keeps more than estimated"


def test_two_versions_in_flight_are_each_judged_by_their_own_thresholds() -> None:
    """A new version is announced; the old one still answers, one with levels and one of a release without them."""
    handler = router(announced(version="v2", card={"keep_at": 0.1}, thresholds=thresholds(model_version="v2")))
    by_version = {
        ("v1", 0.97): "confident",
        ("v2", 0.97): "confident",
        ("v1", 0.9): "low_confidence",
        ("v1", None): "not_measured",
        ("v2", None): "confident",  # its card was announced
    }
    for (version, level), reason in by_version.items():
        made = prediction(model=MODEL | {"version": version}, accuracy=None if level is None else worth(level))
        outcome = handler.receive(received(made))
        if reason == "confident":
            (result,) = results(outcome)
            assert (result.route.reason, result.route.goal, result.route.level) == (reason, 0.97, level)
        else:
            (request,) = requests(outcome)
            assert (request.reasons, request.goal, request.level) == ((reason,), 0.97, level)


def test_an_escalated_result_tells_goal_evidence_and_level() -> None:
    policy = Policy(tasks=TaskPolicies(intent=IntentPolicy(goal=0.98, evidence="certified")))
    handler = router(announced(), policy=policy)
    (request,) = requests(handler.receive(received(prediction(accuracy=worth(0.985, 0.95)))))
    assert (request.reasons, request.threshold) == (("not_certified",), None)
    declined = Declined(code="policy", detail="")
    (result,) = results(handler.receive(received(FrontierAnswered(request=request, declined=declined))))
    route = Route(decision="escalated", reason="not_certified", goal=0.98, evidence="certified", level=0.95)
    assert (result.status, result.route) == ("degraded", route)


def test_the_goal_of_each_task_is_a_metric(metrics: Metrics) -> None:
    tasks = TaskPolicies(intent=IntentPolicy(goal=0.98, evidence="certified"), ner=NerPolicy(keep_at=0.7))
    measure_goals(Policy(tasks=tasks), table(announced("translation", thresholds=recommending(0.85))))
    for task, goal, evidence in (
        ("intent", "0.98", "certified"),
        ("ner", "none", "none"),
        ("translation", "0.85", "estimated"),
        ("language-id", "0.95", "estimated"),
    ):
        assert metrics.value("sprat.policy.goal", task=task, goal=goal, evidence=evidence) == 1
