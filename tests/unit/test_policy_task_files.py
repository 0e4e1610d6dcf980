"""Task files: what they may say, where they are looked for, and what is wrong in one."""

from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_contracts import BUILT_IN, IntentOutput, LabelsOutput, MaskedOutput, TaskTable, Topics
from sprat_policy import Policy, load_task_file, load_task_files, tasks_folder

SENTIMENT = """\
kind: classification
labels:
  positive: the writer is pleased
  negative:
languages: [en, de]
artefact: ../models/sentiment
keep_at: 0.7
out_of_scope: escalate
models: {fast: {keep_at: 0.9}}
instruction: Judge what the writer feels.
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tasks"
    made.mkdir()
    (made / "sentiment.yaml").write_text(SENTIMENT, encoding="utf-8")
    return made


def refusal(folder: Path, content: str, name: str = "mood.yaml") -> str:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        load_task_file(path)
    return str(refused.value).removeprefix(f"{folder}/")


def test_a_file_adds_a_task_with_its_topics_and_its_policy(folder: Path) -> None:
    files = load_task_files(folder)
    assert dict(files.table) == {**BUILT_IN, "sentiment": IntentOutput}
    assert files["sentiment"].labels == {"positive": "the writer is pleased", "negative": ""}
    assert files.artefact("sentiment") == folder / "../models/sentiment"
    policy = Policy().with_added(files)
    assert [policy.task("sentiment").rule(model, "en").keep_at for model in ("default", "fast")] == [0.7, 0.9]
    assert policy.task("intent") == Policy().task("intent")
    names = {topic.name for topic in Topics(tasks=files.table).table()}
    assert names - {topic.name for topic in Topics().table()} == {
        "sprat.predictions.sentiment.v1",
        "sprat.results.sentiment.v1",
    }


def test_without_a_folder_there_are_the_tasks_of_sprat_alone() -> None:
    assert load_task_files(None).table == BUILT_IN
    with pytest.raises(KeyError):
        Policy().task("sentiment")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("kind: classification\n", "mood.yaml:1:1: the file: labels are needed, two or more"),
        (
            "kind: classification\nlabels: {one: x}\n",
            "mood.yaml:1:1: the file: labels are needed, two or more",
        ),
        ("kind: classification\nlabels: [a, b]\n", "mood.yaml:2:9: labels: "),
        ("kind: poem\nlabels: {a: x, b: y}\n", "mood.yaml:1:7: kind: "),
        (
            "kind: classification\nlabels: {a: x, b: y}\nkeep: 1\n",
            "mood.yaml:3:1: keep: no such field; did you",
        ),
        (
            "kind: classification\nlabels: {a: x, b: y}\nkeep_at_by_language: {de: 0.95}\n",
            "mood.yaml:3:1: keep_at_by_language: no such field any more; write in the policy's section of this task",
        ),
        ("kind: classification\nlabels: {a: x, b: y}\nkeep_at: 2\n", "mood.yaml:3:10: keep_at: "),
        ("kind: classification\nlabels: {' a': x, b: y}\n", "labels. a: begins or ends with a blank"),
        ('kind: classification\nlabels: {"a\\u200b": x, b: y}\n', "holds a character that cannot be seen"),
        ("kind: classification\nlabels: {'[PERSON_1]': x, b: y}\n", "looks like the placeholder of a masked value"),
        ("kind: classification\nlabels: {'an [e-mail 2 ]': x, b: y}\n", "looks like the placeholder of a masked value"),
        ("kind: classification\nlabels: {'=1+1': x, b: y}\n", "labels.=1+1: begins like a spreadsheet formula"),
        ("kind: multi_label\nlabels: {'@home': x, b: y}\n", "labels.@home: begins like a spreadsheet formula"),
        ("kind: classification\nlabels: {'#REF!': x, b: y}\n", "labels.#REF!: begins like a spreadsheet formula"),
        (
            "kind: classification\nlabels: {\ufb01le: x, b: y, file: z}\n",
            "the labels \ufb01le and file look alike",
        ),
        ("kind: classification\nlabels: {'\uff21': x, A: y}\n", "the labels \uff21 and A look alike"),
        ("kind: text\ninstruction: '  '\n", "the instruction is blank"),
        ("kind: classification\nlabels: {a: x, b: y}\ninstruction: ' '\n", "the instruction is blank"),
        ("", "mood.yaml: the file is empty"),
        ("kind: {", "mood.yaml:1:"),
    ],
    ids=[
        "no labels",
        "one label",
        "a list",
        "kind",
        "typo",
        "of an earlier version",
        "keep_at",
        "blank",
        "invisible",
        "placeholder",
        "like one",
        "formula",
        "mention",
        "formula that failed",
        "ligature",
        "full width",
        "blank text",
        "blank instruction",
        "empty",
        "no YAML",
    ],
)
def test_a_mistake_is_told_by_line_and_field(folder: Path, content: str, said: str) -> None:
    assert said in refusal(folder, content)


def test_a_folder_with_something_else_in_it_is_told_with_the_setting_for_another(folder: Path) -> None:
    (folder / "main.yaml").write_text("- name: install\n", encoding="utf-8")
    with pytest.raises(UserError, match="SPRAT_TASKS names another"):
        load_task_files(folder)


def test_a_file_that_ends_in_yml_is_named_and_a_hidden_one_left_alone(folder: Path) -> None:
    (folder / ".mood.yaml").write_text("what an editor left", encoding="utf-8")
    assert list(load_task_files(folder)) == ["sentiment"]
    (folder / "mood.yml").write_text(SENTIMENT, encoding="utf-8")
    with pytest.raises(UserError, match=r"mood\.yml: a task file ends in \.yaml; rename it to mood\.yaml"):
        load_task_files(folder)


def test_a_name_must_be_one_of_a_new_task(folder: Path) -> None:
    assert "intent is a task of Sprat itself" in refusal(folder, SENTIMENT, "intent.yaml")
    assert "no name of a task" in refusal(folder, SENTIMENT, "Mood.yaml")
    assert "frontier is the name of a role, service or process" in refusal(folder, SENTIMENT, "frontier.yaml")
    for name in ("ner", "Mood", "a" * 33, "router", "classify"):
        with pytest.raises(ValueError, match="cannot be the name of an added task"):
            TaskTable({name: IntentOutput})


def test_the_folder_is_the_one_named_else_beside_the_policy_else_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert tasks_folder(folder, None) == folder
    assert tasks_folder(None, tmp_path / "policy.yaml") == folder
    assert tasks_folder(None, folder / "policy.yaml") is None
    monkeypatch.chdir(tmp_path)
    assert tasks_folder(None, None) == Path("tasks")
    with pytest.raises(UserError, match="SPRAT_TASKS: there is no folder"):
        tasks_folder(tmp_path / "gone", None)


def test_where_several_labels_may_apply_a_model_is_needed_to_answer_here(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text("kind: multi_label\nlabels: {billing: money, delivery: }\n", encoding="utf-8")
    task = load_task_file(path)
    assert (task.form, task.has_labels, task.has_small_model) == (LabelsOutput, True, False)
    path.write_text(path.read_text() + "artefact: model\nout_of_scope: escalate\n", encoding="utf-8")
    assert load_task_file(path).has_small_model
    assert "labels are needed, two or more" in refusal(tmp_path, "kind: multi_label\nlabels: {a: x}\n")


def test_a_task_of_personal_data_needs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pii.yaml"
    path.write_text("kind: pii\n", encoding="utf-8")
    task = load_task_file(path)
    assert (task.form, task.has_labels, task.has_small_model) == (MaskedOutput, False, True)
    assert "neither labels nor a model of its own" in refusal(tmp_path, "kind: pii\nartefact: x\n")
    assert "no large model is asked" in refusal(tmp_path, "kind: pii\ninstruction: Find names.\n")
