"""What `sprat doctor` says of the models that a policy names, and of what it keeps of the announced ones' answers."""

from typing import Any

import pytest

from sprat.base.checks import Check, CheckStatus
from sprat_contracts import ModelAnnounced
from sprat_operations.doctor.models import check_policy
from sprat_policy import Policy, TaskFile
from support.measured import thresholds


def named(**intent: Any) -> Policy:
    return Policy.model_validate({"tenants": {}, "tasks": {"intent": intent}})


def announced(model: str = "default", **fields: Any) -> ModelAnnounced:
    return ModelAnnounced(**{"task": "intent", "model": model, "version": "1", "owns_from": 1} | fields)


def found(policy: Policy, *models: ModelAnnounced) -> list[tuple[CheckStatus, str]]:
    return [(each.status, each.finding) for each in check_policy(policy, models)]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("bnk", "did you mean bank? Announced for intent: bank, hr"),
        ("legal", "correct it, or start its service; announced for intent: bank, hr"),
    ],
)
def test_an_unannounced_model_of_the_policy_is_reported_with_a_suggestion(name: str, fix: str) -> None:
    models = [announced("bank"), announced("hr")]
    line: Check = next(check_policy(named(keep_at=0.72, models={name: {"keep_at": 0.9}, "hr": {}}), models))
    assert (line.status, line.fix) == (CheckStatus.warning, fix)
    assert line.finding == f"tasks.intent.models.{name}: no model of this name is announced, so it changes nothing"


def test_a_goal_that_no_threshold_reaches_is_a_warning() -> None:
    (line,) = check_policy(named(goal=0.995), [announced(thresholds=thresholds())])
    assert (line.status, line.finding) == (
        CheckStatus.warning,
        "intent/default: goal 0.995: no threshold reaches it, nothing is kept",
    )
    assert line.fix.startswith("a lower goal, or more labelled rows: sprat evaluate")


def test_what_is_kept_is_said_of_each_model_and_of_languages_that_differ() -> None:
    policy = named(goal=0.9, languages={"fr": {"keep_at": 0.7}}, models={"hr": {"goal": 0.99, "evidence": "certified"}})
    models = announced(thresholds=thresholds(estimated=0.6, german=0.95)), announced("hr", thresholds=thresholds())
    assert found(policy, *models) == [
        (CheckStatus.ok, "intent/default: goal 0.9: kept from 0.55 on, and from 0.70 on where it names nothing"),
        (
            CheckStatus.ok,
            "intent/default, texts in de: goal 0.9: kept from 0.80 on, and from 0.70 on where it names nothing",
        ),
        (CheckStatus.ok, "intent/default, texts in fr: keep_at 0.7"),
        (CheckStatus.warning, "intent/hr: goal 0.99, certified: no threshold reaches it, nothing is kept"),
    ]


def test_a_language_of_which_the_card_says_something_else_has_a_line() -> None:
    card = {"keep_at": 0.9, "keep_at_by_language": {"de": 1.0}}
    policy = Policy.model_validate({"tenants": {}})
    assert found(policy, ModelAnnounced(task="ner", version="1", owns_from=1, card=card)) == [
        (CheckStatus.ok, "ner/default: goal 0.95 (recommended): not measured, so its card decides, from 0.90 on"),
        (
            CheckStatus.warning,
            "ner/default, texts in de: goal 0.95 (recommended): not measured, so its card decides, from 1.00 on",
        ),
    ]


def test_personal_data_and_texts_have_no_line() -> None:
    tasks = {"pii": TaskFile(kind="pii"), "summary": TaskFile(kind="text", instruction="Sum up.")}
    models = [announced(task=task) for task in (*tasks, "unknown")]
    assert found(Policy().with_added(tasks), *models) == []
