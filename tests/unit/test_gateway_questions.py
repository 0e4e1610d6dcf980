"""Questions with choices: which task answers each, and what is said of its Result."""

from typing import Any

import pytest

from sprat_contracts import Result, Usage
from sprat_gateway.http.problems import Problem
from sprat_gateway.replies.waiters import TextRefusal
from sprat_gateway.shapes.questions import (
    MAX_TEXTS,
    AnswerPlace,
    AskedQuestion,
    GivenAnswer,
    QuestionPlan,
    answers,
    plan,
    usage_of,
)
from support.gateway_outcomes import UUID, outcome, result

LABELS = {"intent": ("refund", "balance", "card"), "topic": ("card", "refund", "account"), "language-id": ("de", "en")}
ASKED = AskedQuestion("questions[0]", "intent", ("refund", "balance"))
INTENT = QuestionPlan(({"intent": {}},), (AnswerPlace(0, "intent"),))


def choice(*values: str | bool, name: str | None = None) -> AskedQuestion:
    return AskedQuestion("questions[0]", name, values)


@pytest.mark.parametrize(
    ("question", "task", "options"),
    [
        pytest.param(choice("card", "account"), "topic", {"labels": ["card", "account"]}, id="the only task"),
        pytest.param(
            choice("balance", "refund"), "intent", {"labels": ["refund", "balance"]}, id="in the task's order"
        ),
        pytest.param(choice("balance", "refund", "card"), "intent", {}, id="all of its labels"),
        pytest.param(choice("card", "refund", name="topic"), "topic", {"labels": ["card", "refund"]}, id="by name"),
        pytest.param(choice("en", "de", name="intent"), "language-id", {}, id="the named task has not all"),
    ],
)
def test_a_choice_goes_to_the_task_whose_labels_hold_all_values(
    question: AskedQuestion, task: str, options: dict[str, Any]
) -> None:
    assert plan([question], LABELS) == QuestionPlan(({task: options},), (AnswerPlace(0, task),))


def test_a_choice_that_several_tasks_hold_is_refused_with_their_names() -> None:
    with pytest.raises(Problem) as caught:
        plan([choice("card", "refund", name="kind")], LABELS)
    assert (caught.value.status, caught.value.more["field"]) == (400, "questions[0].name")
    assert "intent, topic" in caught.value.detail


@pytest.mark.parametrize(
    ("question", "says"),
    [
        (choice("refund", "other"), "no task has all"),
        (choice(*(True, False)), "no task has all"),
        (choice(*("refund", True)), "no task has all"),
        (AskedQuestion("questions[0]", "intent"), "choice alone"),
    ],
    ids=["a value that no task has", "booleans", "a boolean among labels", "another type"],
)
def test_a_question_that_no_task_answers_is_a_refusal_and_no_text(question: AskedQuestion, says: str) -> None:
    planned = plan([question], LABELS)
    assert planned.texts == ()
    (answer,) = answers([question], planned, [])
    assert answer.choice is None
    assert says in answer.sprat["detail"]


def test_a_task_is_asked_once_in_a_text_and_other_choices_go_into_another() -> None:
    asked = [choice("refund", "balance"), choice("de", "en"), choice("balance", "refund"), choice("balance", "card")]
    planned = plan(asked, LABELS)
    assert planned.places == (
        AnswerPlace(0, "intent"),
        AnswerPlace(0, "language-id"),
        AnswerPlace(0, "intent"),
        AnswerPlace(1, "intent"),
    )
    assert planned.texts[0] == {"intent": {"labels": ["refund", "balance"]}, "language-id": {}}
    assert planned.texts[1] == {"intent": {"labels": ["balance", "card"]}}


def test_a_request_makes_no_more_texts_than_it_may() -> None:
    labels = {"intent": tuple(map(str, range(MAX_TEXTS + 2)))}
    asked = [choice("0", str(number), name="intent") for number in range(1, MAX_TEXTS + 2)]
    assert len(plan(asked[:-1], labels).texts) == MAX_TEXTS
    with pytest.raises(Problem, match="send two requests") as caught:
        plan(asked, labels)
    assert caught.value.status == 400


def answer_to(found: Result) -> GivenAnswer:
    (answer,) = answers([ASKED], INTENT, [outcome(found)])
    return answer


def test_an_answer_says_who_answered_and_how_sure() -> None:
    others = [("refund", 0.7), ("card", 0.2), ("balance", 0.05)]
    output = {"label": "refund", "alternatives": [{"label": label, "probability": share} for label, share in others]}
    answer = answer_to(result(output=output))
    assert (answer.choice, answer.confidence) == ("refund", 0.9)
    assert answer.probabilities == {"refund": 0.9, "balance": 0.05}, "of the asked labels alone"
    assert answer.sprat == {
        "text": UUID,
        "task": "intent",
        "status": "answered",
        "answered_by": "small",
        "model": "en-fast",
        "confidence": 0.9,
        "level": 0.98,
        "goal": 0.97,
        "cost_eur": 0.0,
        "renormalised": False,
    }


def test_a_degraded_answer_is_an_answer() -> None:
    answer = answer_to(result(status="degraded", declined={"code": "deadline", "detail": "it came too late"}))
    assert (answer.choice, answer.sprat["status"]) == ("refund", "degraded")


def test_an_answer_without_a_confidence_has_its_label_alone() -> None:
    output = {"label": "refund", "alternatives": [{"label": "balance", "probability": 0.1}]}
    answer = answer_to(result(output=output, confidence=None, source="frontier"))
    assert (answer.choice, answer.confidence, answer.probabilities) == ("refund", None, {"refund": 0.0})
    assert answer.sprat["confidence"] is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"output": {"label": "card"}}, "the text fits none of these choices"),
        ({"output": {"label": None}}, "the text fits none of these choices"),
        (
            {"output": None, "status": "unanswered", "declined": {"code": "policy", "detail": "it may not leave"}},
            "policy: it may not leave",
        ),
    ],
    ids=["another label", "no label", "unanswered"],
)
def test_what_is_outside_the_asked_values_is_a_refusal(fields: dict[str, Any], says: str) -> None:
    answer = answer_to(result(**fields))
    assert (answer.choice, answer.probabilities) == (None, None)
    assert (answer.sprat["detail"], answer.sprat["text"]) == (says, UUID)


def test_a_question_without_a_result_in_time_is_a_refusal_beside_one_that_has_it() -> None:
    asked = [ASKED, choice("de", "en", name="language-id")]
    planned = QuestionPlan(
        ({"intent": {}, "language-id": {}},), (AnswerPlace(0, "intent"), AnswerPlace(0, "language-id"))
    )
    first, second = answers(asked, planned, [outcome(result(), tasks=("intent", "language-id"))])
    assert (first.choice, second.choice) == ("refund", None)
    assert f"/v1/texts/{UUID}" in second.sprat["detail"]


def test_no_result_in_time_is_an_error_that_clients_do_not_repeat() -> None:
    with pytest.raises(Problem) as caught:
        answers([ASKED], INTENT, [outcome(tasks=("intent",))])
    assert (caught.value.status, caught.value.headers["x-should-retry"]) == (504, "false")
    assert caught.value.headers["Location"] == f"/v1/texts/{UUID}"


def test_a_rejected_text_is_an_error_and_a_rejected_task_a_refusal() -> None:
    with pytest.raises(Problem, match="no tenant") as caught:
        answers([ASKED], INTENT, [outcome(rejected=(TextRefusal("foreign_source", "no tenant has it"),))])
    assert caught.value.status == 422
    (answer,) = answers([ASKED], INTENT, [outcome(rejected=(TextRefusal("unknown_task", "not known", "intent"),))])
    assert (answer.choice, answer.sprat["detail"]) == (None, "not known")


def test_the_usage_is_that_of_the_frontiers() -> None:
    paid = result(usage=Usage(input_tokens=100, output_tokens=5))
    assert usage_of([outcome(paid), outcome(paid)]) == (200, 10)
    assert usage_of([outcome(result())]) == (0, 0)
