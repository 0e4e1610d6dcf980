"""Reviews in the policy: where they may stand, which place wins, and what is refused."""

from pathlib import Path

import pytest

from conftest import WritePolicy
from sprat.base.errors import UserError
from sprat_contracts import BUILT_IN
from sprat_operations.goals import rules_in_words
from sprat_policy import KeepRule, ReviewPolicy, load_policy, load_task_files

PLACES = """
tasks:
  intent:
    goal: 0.97
    review: {share: 0.01, by: cheap, per_day: 300, wait: 12h}
    on_alarm: tighten
    models:
      hr: {review: {share: 0.5}}
      legal: {review: {share: 0}, on_alarm: escalate}
tiers: [{preset: 'ollama:qwen', name: cheap}]
inside: [127.0.0.1]
"""


def test_the_narrowest_place_wins_and_models_without_one_share_that_of_the_task(write_policy: WritePolicy) -> None:
    rules = load_policy(write_policy(PLACES)).task("intent")
    own = ReviewPolicy(share=0.01, by="cheap", per_day=300, wait="12h")
    for model in ("default", "unknown"):
        assert rules.rule(model, "de") == KeepRule(goal=0.97, review=own, on_alarm="tighten")
    hr, legal = rules.rule("hr", ""), rules.rule("legal", "")
    assert hr.review == ReviewPolicy(share=0.5, by="people", per_day=200, wait="3d")
    assert (hr.review_model, hr.on_alarm, legal.review_model, legal.on_alarm) == ("hr", "tighten", "legal", "escalate")
    assert (own.wait_s, hr.review.wait_s) == (43_200, 259_200)
    assert [*rules_in_words(rules)] == [
        "kept by goal 0.97",
        "1 % reviewed by cheap, about 300 a day at most",
        "tighten on an alarm",
        "hr: 50 % reviewed by people, about 200 a day at most",
        "hr: tighten on an alarm",
        "legal: escalate on an alarm",
    ]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        pytest.param("{by: people}", "review.share: ", id="no share"),
        pytest.param("{share: 1.5}", "review.share: '1.5': ", id="more than all"),
        pytest.param("{share: nan}", "review.share: 'nan': ", id="no number"),
        pytest.param("{share: 0.1, per_day: 0}", "review.per_day: '0': ", id="none a day"),
        pytest.param("{share: 0.1, wait: 3}", "review.wait: '3': ", id="no unit"),
        pytest.param("{share: 0.1, wait: 7d}", "review.wait: '7d': longer than draws are kept", id="longer than kept"),
        pytest.param("{share: 0.1, who: me}", "review.who: no such field; known here: share, by, ", id="a typo"),
        pytest.param(
            "{share: 0.1, by: gpt}", "review.by: 'gpt': no tier is called so; expected: people, ", id="a tier"
        ),
        pytest.param(
            "{share: 0.1, by: cheap}", "review.by: 'cheap': this tier is not for the task intent", id="not it"
        ),
        pytest.param("{share: 0.1}, on_alarm: stop", "on_alarm: 'stop': ", id="no such answer to an alarm"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(write_policy: WritePolicy, task: str, expected: str) -> None:
    tiers = "tiers: [{preset: 'ollama:qwen', name: cheap, tasks: [ner]}]\ninside: [127.0.0.1]\n"
    path = write_policy(f"tasks:\n  intent: {{review: {task}}}\n{tiers}")
    with pytest.raises(UserError) as refused:
        load_policy(path, BUILT_IN)
    assert f"tasks.intent.{expected}" in str(refused.value)
    assert str(refused.value).startswith(f"{path}:2:")


def test_without_tiers_the_frontier_may_review_and_no_tier_may_be_called_people(write_policy: WritePolicy) -> None:
    load_policy(write_policy("tasks: {ner: {models: {hr: {review: {share: 0.1, by: frontier}}}}}"))
    with pytest.raises(UserError, match="people review what is kept"):
        load_policy(write_policy("tiers: [{preset: 'ollama:qwen', name: people}]\ninside: [127.0.0.1]\n"))


def test_the_file_of_a_task_may_have_reviews_by_tiers_of_the_policy_alone(
    write_policy: WritePolicy, tmp_path: Path
) -> None:
    (tmp_path / "tasks").mkdir()
    file = "kind: classification\nlabels: {a: x, b: y}\nmodels: {hr: {review: {share: 0.1, by: cheap}}}\n"
    (tmp_path / "tasks" / "desk.yaml").write_text(file)
    files = load_task_files(tmp_path / "tasks")
    policy = load_policy(write_policy(PLACES), files.table).with_added(files)
    assert policy.task("desk").rule("hr", "").review == ReviewPolicy(share=0.1, by="cheap")
    with pytest.raises(UserError, match=r"file of the task desk: models\.hr\.review\.by: 'cheap': no tier"):
        load_policy(write_policy("tenants: {}"), files.table).with_added(files)
