"""What a large model is asked for a task from a file, and what of its answer is taken."""

import json
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_contracts import IntentOutput, LabelsOutput, ScoredLabel, TextOutput
from sprat_frontier.answers import InvalidAnswerError, check, parse
from sprat_frontier.prompts import FrontierQuestion, prompt_for, question_of
from sprat_frontier.redaction import check_task_files
from sprat_policy import PrivacyPolicy, TaskFile, TaskFiles
from support import frontier_parts as parts

LABELS = TaskFile(kind="classification", labels={"food": "meals", "sport": ""}, instruction="Judge the subject alone.")
WRITING = TaskFile(kind="text", instruction="Summarise it.", max_characters=40)


def question(file: TaskFile, text: str = "hello", labels: tuple[str, ...] | None = None) -> FrontierQuestion:
    return question_of(parts.request(text, "mine", labels=labels), file)


def test_labels_are_offered_with_their_meanings_and_the_instruction() -> None:
    prompt = prompt_for(question(LABELS, labels=("food", "sport")))
    assert '{"food": "meals", "sport": ""}' in prompt.system
    assert prompt.system.endswith("Judge the subject alone.")
    assert prompt.schema["properties"]["label"]["enum"] == ["food", "sport", None]
    assert json.loads(prompt.user) == {"language": "en", "text": "hello"}


def test_a_task_of_labels_without_any_is_not_asked() -> None:
    problem = question(LABELS).problem()
    assert problem is not None
    assert problem.code == "no_labels"


def test_an_answer_is_one_of_the_labels() -> None:
    asked = question(LABELS, labels=("food", "sport"))
    assert parse(asked, '{"label": "food"}') == IntentOutput(label="food")
    with pytest.raises(InvalidAnswerError):
        parse(asked, '{"label": "travel"}')


def test_a_text_is_asked_for_by_the_instruction_and_its_length() -> None:
    asked = question(WRITING)
    assert asked.problem() is None
    prompt = prompt_for(asked)
    assert prompt.system.endswith("in at most 40 characters.\nInstruction: Summarise it.")
    assert prompt.schema["required"] == ["content"]
    assert parse(asked, '{"content": "short"}') == TextOutput(content="short")


@pytest.mark.parametrize(
    ("content", "said"),
    [("x" * 41, "longer"), ("  ", "no text"), ("see http://evil.example/x", "URL")],
    ids=["long", "blank", "URL"],
)
def test_a_text_that_is_too_long_blank_or_leads_elsewhere_is_no_answer(content: str, said: str) -> None:
    with pytest.raises(InvalidAnswerError, match=said):
        parse(question(WRITING), json.dumps({"content": content}))


def test_another_instruction_is_another_question() -> None:
    changed = WRITING.model_copy(update={"instruction": "Translate it."})
    assert question(WRITING).guidance != question(changed).guidance


@pytest.mark.parametrize(
    ("file", "place"),
    [
        (TaskFile(kind="text", instruction="Write as anna.weber@example.org would."), "instruction"),
        (TaskFile(kind="classification", labels={"a": "x", "b": "mail to anna.weber@example.org"}), "labels.b"),
        (TaskFile(kind="classification", labels={"a": "", "anna.weber@example.org": ""}), "the name of label 2"),
        (TaskFile(kind="classification", labels={"a": "", "Project_Heron": ""}), "the name of label 2"),
    ],
    ids=["instruction", "meaning", "name", "term"],
)
def test_what_is_told_to_a_large_model_holds_nothing_personal(file: TaskFile, place: str) -> None:
    policy = PrivacyPolicy(terms=[{"type": "PROJECT", "words": ["project heron"]}])
    with pytest.raises(
        UserError, match=f"tasks/mine.yaml: {place} holds a term of the policy or a personal value"
    ) as caught:
        check_task_files(TaskFiles({"mine": file}, Path("tasks")), policy)
    assert "anna" not in str(caught.value)


def test_ordinary_words_may_be_told() -> None:
    check_task_files(TaskFiles({"mine": LABELS, "other": WRITING}, Path("tasks")), PrivacyPolicy())


SEVERAL = TaskFile(kind="multi_label", labels={"food": "meals", "sport": ""}, instruction="Judge the subject alone.")


def test_several_labels_are_asked_for_as_a_list_of_those_offered() -> None:
    asked = question(SEVERAL, labels=("food", "sport"))
    assert asked.problem() is None
    prompt = prompt_for(asked)
    assert '{"food": "meals", "sport": ""}' in prompt.system
    assert "all labels" in prompt.system
    assert prompt.system.endswith("Judge the subject alone.")
    assert prompt.schema["properties"]["labels"]["items"]["enum"] == ["food", "sport"]
    none = question(SEVERAL).problem()
    assert none is not None
    assert none.code == "no_labels"


def test_an_answer_of_several_labels_is_a_set_of_those_offered() -> None:
    asked = question(SEVERAL, labels=("food", "sport"))
    answered = parse(asked, '{"labels": ["sport", "food", "sport"]}')
    assert answered == LabelsOutput(labels=(ScoredLabel(label="sport"), ScoredLabel(label="food")))
    assert parse(asked, '{"labels": []}') == LabelsOutput(labels=())


@pytest.mark.parametrize(
    "content", ['{"labels": ["food", "travel"]}', '{"labels": "food"}', '{"labels": [null]}', '{"label": "food"}']
)
def test_what_is_no_set_of_those_offered_is_no_answer(content: str) -> None:
    with pytest.raises(InvalidAnswerError):
        parse(question(SEVERAL, labels=("food", "sport")), content)


def test_a_stored_answer_of_another_form_is_none() -> None:
    with pytest.raises(InvalidAnswerError, match="no list of labels"):
        check(question(SEVERAL, labels=("food", "sport")), IntentOutput(label="food"))


def test_the_frontier_is_not_asked_for_personal_data() -> None:
    problem = question(TaskFile(kind="pii")).problem()
    assert problem is not None
    assert (problem.code, problem.detail) == (
        "task",
        "the frontier is not asked for personal data: it would have to see it",
    )
