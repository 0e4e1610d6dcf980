"""`unit: entity` and `missed: allow` of the policy: where they may stand, which place wins, and what is refused."""

from pathlib import Path

import pytest

from conftest import WritePolicy
from sprat.base.errors import UserError
from sprat_contracts import ModelAnnounced
from sprat_operations.goals import RuleEffect, kept_answers, rules_in_words
from sprat_policy import KeepRule, NerPolicy, load_policy
from support.measured import thresholds

pytestmark = pytest.mark.unit

PLACES = """
tasks:
  ner:
    unit: entity
    missed: allow
    languages:
      de: {goal: 0.85}
    models:
      strict: {unit: text, goal: 0.95, evidence: certified}
      whole: {unit: entity}
"""


@pytest.mark.parametrize(
    ("model", "language", "rule"),
    [
        ("default", "en", KeepRule(unit="entity", missed="allow")),
        ("default", "de-AT", KeepRule(goal=0.85, unit="entity", missed="allow")),
        ("strict", "de", KeepRule(goal=0.95, evidence="certified")),
        pytest.param("whole", "en", KeepRule(unit="entity"), id="missed belongs to the unit beside it"),
    ],
)
def test_the_narrowest_place_says_by_which_unit_names_are_kept(
    write_policy: WritePolicy, model: str, language: str, rule: KeepRule
) -> None:
    assert load_policy(write_policy(PLACES)).task("ner").rule(model, language) == rule


def test_without_a_word_the_unit_is_the_text_and_no_name_may_be_missed() -> None:
    rule = NerPolicy().rule("default", "en")
    assert (rule.unit, rule.missed) == ("text", "escalate")


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("ner: {missed: allow}", "2:9: tasks.ner.missed: it needs `unit: entity` beside it"),
        ("ner: {unit: text, missed: allow}", "2:21: tasks.ner.missed: it needs `unit: entity` beside it"),
        ("ner: {models: {hr: {missed: allow}}}", "2:23: tasks.ner.models.hr.missed: it needs `unit: entity`"),
        (
            "ner: {unit: entity, goal: 0.9, evidence: certified}",
            "2:9: tasks.ner.unit: `unit: entity` cannot stand with `evidence: certified`: only whole texts are",
        ),
        (
            "ner: {unit: entity, languages: {de: {goal: 0.9, evidence: certified}}}",
            "2:9: tasks.ner.unit: `unit: entity` cannot stand with `evidence: certified` (de): only whole texts",
        ),
        (
            "ner: {goal: 0.9, evidence: certified, models: {hr: {unit: entity}}}",
            "2:41: tasks.ner.models: `unit: entity` cannot stand with `evidence: certified` (model hr): only whole",
        ),
        ("ner: {unit: entity, keep_at: 0.5}", "tasks.ner.unit: `unit: entity` cannot stand with `keep_at`: names are"),
        ("ner: {unit: word}", "2:15: tasks.ner.unit: 'word': input should be 'text' or 'entity'; expected: text: an "),
        ("intent: {unit: entity}", "2:12: tasks.intent.unit: no such field; "),
        ("translation: {unit: entity}", "2:17: tasks.translation.unit: no such field; "),
    ],
)
def test_what_has_no_effect_or_cannot_be_shown_is_refused(
    write_policy: WritePolicy, section: str, problem: str
) -> None:
    with pytest.raises(UserError) as refused:
        load_policy(write_policy(f"tasks:\n  {section}"))
    assert problem in str(refused.value)


def test_another_model_may_be_certified_beside_it(tmp_path: Path, write_policy: WritePolicy) -> None:
    policy = load_policy(write_policy(PLACES)).task("ner")
    assert list(rules_in_words(policy)) == [
        "kept by the model's recommended goal for each name, missed ones allowed",
        "in de by goal 0.85 for each name, missed ones allowed",
        "strict by goal 0.95, certified",
        "whole by the model's recommended goal for each name",
        "whole in de by goal 0.85 for each name",
    ]


def test_what_is_kept_says_that_it_goes_by_the_names() -> None:
    model = ModelAnnounced(task="ner", version="v1", owns_from=1, thresholds=thresholds(task="ner", label_set=None))
    effect = kept_answers(KeepRule(goal=0.9, unit="entity"), model)
    assert effect == RuleEffect(
        "goal 0.9 for each name: whole texts kept from 0.55 on, and from 0.70 on where it names nothing"
    )
    never = kept_answers(KeepRule(goal=0.995, unit="entity"), model)
    assert never == RuleEffect(
        "goal 0.995 for each name: whole texts kept never, and never where it names nothing", nothing=False
    )
