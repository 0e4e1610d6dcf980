"""The goal of a task, a model and a language: where it may stand, which place wins, and what is refused."""

from pathlib import Path

import pytest

from conftest import WritePolicy
from sprat.base.errors import UserError
from sprat_contracts import BUILT_IN, IntentOutput, TaskTable
from sprat_contracts.thresholds import LEVELS
from sprat_policy import KeepRule, load_policy, load_task_files

PLACES = """
tasks:
  intent:
    goal: 0.97
    languages:
      de: {goal: 0.95, evidence: certified}
    models:
      hr:
        keep_at: 0.6
        languages:
          fr: {goal: 0.9}
      legal: {out_of_scope: escalate}
"""


@pytest.mark.parametrize(
    ("model", "language", "rule"),
    [
        ("default", "en", KeepRule(goal=0.97)),
        ("default", "de-AT", KeepRule(goal=0.95, evidence="certified")),
        ("default", "DE_ch", KeepRule(goal=0.95, evidence="certified")),
        ("default", "auto", KeepRule(goal=0.97)),
        ("hr", "en", KeepRule(keep_at=0.6)),
        ("hr", "de", KeepRule(keep_at=0.6)),  # the task's German goal is another model's
        ("hr", "fr-CH", KeepRule(goal=0.9)),
        ("legal", "de", KeepRule(goal=0.95, evidence="certified", out_of_scope="escalate")),
        ("unknown", "en", KeepRule(goal=0.97)),
    ],
)
def test_the_narrowest_place_wins(write_policy: WritePolicy, model: str, language: str, rule: KeepRule) -> None:
    assert load_policy(write_policy(PLACES)).task("intent").rule(model, language) == rule


def test_a_policy_without_numbers_takes_the_goal_that_the_model_recommends(write_policy: WritePolicy) -> None:
    policy = load_policy(write_policy("tasks: {ner: {}}"))
    assert {policy.task(task).rule("default", "en") for task in policy.task_names} == {KeepRule()}


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_is_a_goal(write_policy: WritePolicy, level: float) -> None:
    policy = load_policy(write_policy(f"tasks: {{intent: {{goal: {level}}}}}"))
    assert policy.task("intent").rule("default", "en") == KeepRule(goal=level)


@pytest.mark.parametrize(
    ("task", "model", "language", "rule"),
    [
        pytest.param("out_of_scope: {goal: 0.95}", "hr", "en", KeepRule(none_goal=0.95), id="a goal of its own"),
        pytest.param("doubts: keep", "hr", "en", KeepRule(doubts="keep"), id="doubted ones are kept"),
        pytest.param(
            "{doubts: keep, models: {hr: {doubts: escalate}}}", "hr", "en", KeepRule(), id="doubts of a model"
        ),
        pytest.param("out_of_scope: escalate", "hr", "en", KeepRule(out_of_scope="escalate"), id="escalate"),
        pytest.param(
            "{out_of_scope: {goal: 0.95}, models: {hr: {out_of_scope: keep}}}", "hr", "en", KeepRule(), id="the model's"
        ),
        pytest.param(
            "{keep_at: 0.7, uncalibrated: keep}",
            "hr",
            "en",
            KeepRule(keep_at=0.7, uncalibrated="keep", uncalibrated_keep_at=0.7),
            id="the number of that place",
        ),
        pytest.param(
            "{goal: 0.9, uncalibrated: keep, uncalibrated_keep_at: 0.7, languages: {de: {goal: 0.95}}}",
            "hr",
            "de",
            KeepRule(goal=0.95, uncalibrated="keep", uncalibrated_keep_at=0.7),
            id="a number beside a goal",
        ),
        pytest.param(
            "{keep_at: 0.7, uncalibrated: keep, models: {hr: {uncalibrated: escalate}}}",
            "hr",
            "en",
            KeepRule(keep_at=0.7),
            id="the model's rule for what has no calibration",
        ),
    ],
)
def test_answers_without_a_label_and_models_without_a_calibration_have_rules(
    write_policy: WritePolicy, task: str, model: str, language: str, rule: KeepRule
) -> None:
    section = task if task.startswith("{") else f"{{{task}}}"
    assert load_policy(write_policy(f"tasks: {{intent: {section}}}")).task("intent").rule(model, language) == rule


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            "tasks:\n  intent:\n    goal: 0.973\n",
            ":3:11: tasks.intent.goal: '0.973': no such goal; the nearest: 0.97 and 0.975; expected: the share right",
            id="between two levels",
        ),
        pytest.param("tasks: {ner: {goal: 0.5}}", ":1:21: tasks.ner.goal: '0.5': no such goal; the nearest: 0.8;"),
        pytest.param("tasks: {ner: {goal: 1}}", ":1:21: tasks.ner.goal: '1': no such goal; the nearest: 0.995;"),
        pytest.param("tasks: {ner: {goal: nan}}", ":1:21: tasks.ner.goal: 'nan': input should be a finite number"),
        pytest.param(
            "tasks: {ner: {languages: {de: {goal: 97}}}}",
            ":1:38: tasks.ner.languages.de.goal: '97': no such goal; the nearest: 0.97;",
            id="in per cent",
        ),
        pytest.param(
            "tasks:\n  ner:\n    goal: 0.97\n    keep_at: 0.7\n",
            ":4:5: tasks.ner.keep_at: a goal stands beside it; keep one of the two",
            id="both kinds at one place",
        ),
        pytest.param(
            "tasks:\n  ner:\n    models:\n      hr:\n        languages:\n          de: {keep_at: 0.7, goal: 0.97}\n",
            ":6:16: tasks.ner.models.hr.languages.de.keep_at: a goal stands beside it; keep one of the two",
            id="both kinds at a model's language",
        ),
        pytest.param(
            "tasks: {ner: {evidence: certified}}",
            ":1:15: tasks.ner.evidence: no goal stands beside it; add one",
            id="evidence of nothing",
        ),
        pytest.param(
            "tasks: {ner: {goal: 0.9, evidence: sure}}",
            ":1:36: tasks.ner.evidence: 'sure': input should be 'certified' or 'estimated'; expected: estimated: ",
        ),
        pytest.param(
            "tasks: {ner: {uncalibrated: keep}}",
            ":1:15: tasks.ner.uncalibrated: keep needs a number beside it: keep_at, or uncalibrated_keep_at",
        ),
        pytest.param(
            "tasks: {ner: {keep_at: 0.8, models: {hr: {uncalibrated: keep}}}}",
            ":1:43: tasks.ner.models.hr.uncalibrated: keep needs a number beside it",
            id="the number of another place",
        ),
        pytest.param(
            "tasks: {ner: {uncalibrated_keep_at: 0.8}}",
            ":1:15: tasks.ner.uncalibrated_keep_at: it needs `uncalibrated: keep` beside it",
        ),
        pytest.param(
            "tasks: {ner: {uncalibrated: keep, keep_at: 0.8, uncalibrated_keep_at: 0.8}}",
            ":1:49: tasks.ner.uncalibrated_keep_at: keep_at decides already; keep one of the two",
        ),
        pytest.param(
            "tasks: {intent: {out_of_scope: {goal: 0.951}}}",
            ":1:39: tasks.intent.out_of_scope.goal: '0.951': no such goal; the nearest: 0.95 and 0.955; expected: the ",
        ),
        pytest.param(
            "tasks: {intent: {out_of_scope: {gaol: 0.95}}}",
            ":1:32: tasks.intent.out_of_scope.goal: field required",
            id="a typo in the goal of answers without a label",
        ),
        pytest.param(
            "tasks: {ner: {languages: {de-AT: {goal: 0.9}}}}",
            ":1:27: tasks.ner.languages.de-AT: not of the form expected; expected: a language without region, as de",
        ),
        pytest.param(
            "tasks: {intnet: {goal: 0.9}}",
            ":1:9: tasks.intnet: no task 'intnet'; did you mean intent? known here: intent, ner, translation, ",
        ),
        pytest.param(
            "tasks: {desk: {goal: 0.973}}", ":1:22: tasks.desk.goal: '0.973': no such goal; the nearest: 0.97 and 0.975"
        ),
    ],
)
def test_what_is_refused_names_line_column_and_what_to_do(
    write_policy: WritePolicy, content: str, expected: str
) -> None:
    path = write_policy(content)
    with pytest.raises(UserError) as refused:
        load_policy(path, BUILT_IN)
    assert str(refused.value).startswith(f"{path}{expected}")


def test_the_file_of_a_task_is_the_widest_place(write_policy: WritePolicy, tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    for name in ("desk", "mood"):
        (tmp_path / "tasks" / f"{name}.yaml").write_text(
            "kind: classification\nlabels: {a: x, b: y}\nlanguages: [en]\ngoal: 0.9\n"
            "out_of_scope: escalate\nmodels: {hr: {keep_at: 0.5}}\n"
        )
    files = load_task_files(tmp_path / "tasks")
    content = "tasks: {desk: {goal: 0.95, models: {new: {keep_at: 0.8}}}}"
    policy = load_policy(write_policy(content), files.table).with_added(files)
    desk, mood = policy.task("desk"), policy.task("mood")
    assert desk.rule("default", "en") == KeepRule(goal=0.95, out_of_scope="escalate")
    assert {desk.rule(model, "de").goal for model in ("default", "hr")} == {0.95}
    assert desk.rule("new", "en").keep_at == 0.8
    assert (desk.named_models, mood.named_models) == (("new", "hr"), ("hr",))
    assert mood.rule("default", "en") == KeepRule(goal=0.9, out_of_scope="escalate")
    assert mood.rule("hr", "de").keep_at == 0.5


def test_a_section_for_a_task_from_a_file_is_known_where_its_file_is(write_policy: WritePolicy) -> None:
    path = write_policy("tasks: {desk: {goal: 0.95}}")
    assert load_policy(path, TaskTable({"desk": IntentOutput})).tasks.of_files["desk"].goal == 0.95
    load_policy(path)  # who does not know the task files cannot tell
    with pytest.raises(UserError, match="no task 'desk'"):
        load_policy(path, BUILT_IN)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (KeepRule(), "the model's recommended goal"),
        (KeepRule(goal=0.97), "goal 0.97"),
        (KeepRule(goal=0.97, evidence="certified", none_goal=0.9), "goal 0.97, certified, without a label goal 0.9"),
        (KeepRule(keep_at=0.725), "keep_at 0.725"),
    ],
)
def test_a_rule_says_itself(rule: KeepRule, words: str) -> None:
    assert str(rule) == words
