"""What the policy keeps of a model's answers, in words, and that the router does what they say."""

from typing import Any

import pytest

from sprat.registry.model_table import AnnouncedLabels
from sprat_contracts import IntentOutput, ModelAnnounced
from sprat_contracts.thresholds import NONE, SOME
from sprat_operations.goals import kept_answers, recommended, recommended_from, rules_in_words
from sprat_policy import IntentPolicy, KeepRule
from sprat_router.decisions import decide
from support.measured import thresholds
from support.router_records import announced, prediction

MEASURED = {"thresholds": thresholds(estimated=0.6, certified=0.8, german=0.95)}
CARD = {"card": {"keep_at": 0.7}}
UNCALIBRATED = {"card": {"keep_at": 0.7, "calibration": {"fitted_on": "nothing"}}}


@pytest.mark.parametrize(
    ("rule", "fields", "words"),
    [
        (KeepRule(), MEASURED, "goal 0.97 (recommended): kept from 0.60 on, and never where it names nothing"),
        (KeepRule(goal=0.9), MEASURED, "goal 0.9: kept from 0.55 on, and from 0.70 on where it names nothing"),
        (
            KeepRule(goal=0.97, none_goal=0.9),
            MEASURED,
            "goal 0.97: kept from 0.60 on, and from 0.70 on where it names nothing (goal 0.9)",
        ),
        (
            KeepRule(goal=0.97, evidence="certified"),
            MEASURED,
            "goal 0.97, certified: kept from 0.80 on, and never where it names nothing",
        ),
        (
            KeepRule(goal=0.9, out_of_scope="escalate"),
            MEASURED,
            "goal 0.9: kept from 0.55 on, and never where it names nothing",
        ),
        (KeepRule(goal=0.995), MEASURED, "goal 0.995: no threshold reaches it, nothing is kept"),
        (KeepRule(keep_at=0.4), MEASURED, "keep_at 0.4"),
        (KeepRule(keep_at=1.0), MEASURED, "keep_at 1: nothing is kept"),
        (KeepRule(), CARD, "goal 0.97 (recommended): not measured, so its card decides, from 0.70 on"),
        (KeepRule(goal=0.975), CARD, "goal 0.975: not measured, nothing is kept"),
        (KeepRule(), {}, "goal 0.97 (recommended): not measured, nothing is kept"),
        (KeepRule(), UNCALIBRATED, "its card says that it has no calibration: nothing is kept"),
        (
            KeepRule(uncalibrated="keep", uncalibrated_keep_at=0.75),
            UNCALIBRATED,
            "goal 0.97 (recommended): not measured, so uncalibrated_keep_at 0.75 decides",
        ),
    ],
)
@pytest.mark.parametrize("confidence", [0.5, 0.56, 0.65, 0.72, 0.78, 0.85, 0.999])
@pytest.mark.parametrize("label", ["transfer", None])
def test_the_words_are_what_the_router_does(
    rule: KeepRule, fields: dict[str, Any], words: str, confidence: float, label: str | None
) -> None:
    of = announced(**fields)
    said = kept_answers(rule, of)
    nothing = words.endswith("nothing is kept")
    assert (said.words, said.nothing) == (words, nothing)
    measured = of.thresholds
    accuracy = None if measured is None else measured.accuracy(confidence, "en", SOME if label else NONE).model_dump()
    made = prediction(output={"label": label}, confidence=confidence, accuracy=accuracy)
    kept = decide(made, IntentOutput, rule, AnnouncedLabels.of(of)).kept
    _, _, of_labels = words.partition("kept from ")
    least = words.partition(", and ")[2].removeprefix("from ")[:4] if label is None else of_labels[:4]
    if nothing:
        assert not kept
    elif of_labels:
        assert kept == (least != "neve" and confidence >= float(least) - 0.005)


def test_a_language_has_its_own_cell() -> None:
    of = announced(**MEASURED)
    assert kept_answers(KeepRule(), of, "de-AT").words.startswith("goal 0.97 (recommended): kept from 0.80 on")


@pytest.mark.parametrize(
    ("fields", "goal", "least"),
    [
        (MEASURED, 0.97, "0.97 from 0.60, de 0.80"),
        ({"thresholds": thresholds().model_copy(update={"recommended_goal": 0.995})}, 0.995, "0.995 never"),
        (CARD, 0.97, "0.97 from 0.70 by its card"),
        ({"task": "translation"}, 0.9, "0.9 not measured"),
    ],
)
def test_the_recommended_goal_and_what_reaches_it(fields: dict[str, Any], goal: float, least: str) -> None:
    of = ModelAnnounced(**{"task": "intent", "version": "v1"} | fields)
    assert (recommended(of), recommended_from(of)) == (goal, least)


def test_the_rules_of_a_task_are_told_by_place() -> None:
    rules = IntentPolicy.model_validate(
        {
            "goal": 0.97,
            "out_of_scope": "escalate",
            "languages": {"de": {"goal": 0.95, "evidence": "certified"}},
            "models": {"hr": {"keep_at": 1}, "legal": {"languages": {"fr": {"goal": 0.9}}}, "same": {}},
        }
    )
    assert list(rules_in_words(rules)) == [
        "kept by goal 0.97, none without a label",
        "in de by goal 0.95, certified, none without a label",
        "hr by keep_at 1, so nothing is, none without a label",
        "legal in fr by goal 0.9, none without a label",
    ]
