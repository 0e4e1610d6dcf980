"""Questions with choices: which task answers each, and what its Result says of it. The same for every shape."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sprat_contracts import IntentOutput, Result
from sprat_gateway.http.problems import Problem
from sprat_gateway.replies.waiters import TextOutcome

MIN_CHOICES: Final = 2
MAX_CHOICES: Final = 255
MAX_TEXTS: Final = 16
"""Texts of one request. A text asks a task once, so the same task with other choices needs another text."""
CHOICES_ALONE: Final = "Sprat answers questions of the type choice alone"
NO_TASK: Final = "no task has all of these choices among its labels; `sprat models list --json` shows the labels"

Tasks = Mapping[str, Mapping[str, Any]]
"""The `tasks` of a text: name of a task → its options."""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """What a client asks of a text."""

    field: str
    """Where it stands in the request, as `questions[0]`."""
    name: str | None = None
    values: tuple[str | bool, ...] | None = None
    """The choices; None: it is a question of another type."""

    @property
    def labels(self) -> frozenset[str] | None:
        """The choices, where a task can have them: all of them are strings."""
        if self.values is None:
            return None
        found = frozenset(value for value in self.values if isinstance(value, str))
        return found if len(found) == len(self.values) else None


@dataclass(frozen=True, slots=True)
class AnswerPlace:
    """Where the answer to a question will be."""

    text: int
    """Number of the text in the plan."""
    task: str


@dataclass(frozen=True, slots=True)
class QuestionPlan:
    """The texts that ask all questions of a request."""

    texts: tuple[Tasks, ...]
    places: tuple[AnswerPlace | str, ...]
    """One for each question; a sentence where no task answers it."""


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What is said to a question."""

    sprat: Mapping[str, Any]
    """Sprat's own fields: who answered, how sure, at what cost; `detail`: why there is no answer."""
    choice: str | None = None
    """None: it is refused."""
    confidence: float | None = None
    """Calibrated probability that the choice is right; None where it is not known."""
    probabilities: Mapping[str, float] | None = None
    """Of the choices whose probability is known; None for a refusal."""


def plan(questions: Sequence[AskedQuestion], labels: Mapping[str, Collection[str]]) -> QuestionPlan:
    """Return which texts have to be sent, and where the answer to each question will be.

    Args:
        questions: of one text.
        labels: name of a task with one label → all its labels.

    Raises:
        Problem: 400, several tasks could answer a question, or too many texts were needed.
    """
    texts: list[dict[str, Mapping[str, Any]]] = []
    places: list[AnswerPlace | str] = []
    sets = {task: frozenset(known) for task, known in labels.items()}
    for question in questions:
        task = _task_of(question, sets)
        if task is None:
            places.append(CHOICES_ALONE if question.values is None else NO_TASK)
            continue
        asked = question.labels or frozenset()
        known = labels[task]
        options = {} if asked.issuperset(known) else {"labels": [label for label in known if label in asked]}
        free = (number for number, tasks in enumerate(texts) if tasks.get(task, options) == options)
        number = next(free, len(texts))
        if number == len(texts):
            texts.append({})
        texts[number][task] = options
        places.append(AnswerPlace(number, task))
    if len(texts) > MAX_TEXTS:
        detail = f"questions: a task is asked with more than {MAX_TEXTS} different lists of choices; send two requests"
        raise Problem(400, "too_many_questions", detail, field="questions")
    return QuestionPlan(tuple(texts), tuple(places))


def _task_of(question: AskedQuestion, labels: Mapping[str, frozenset[str]]) -> str | None:
    """Return the task that its name names, else the only one whose labels hold all choices; None: there is none."""
    asked = question.labels
    if asked is None:
        return None
    able = [task for task, known in labels.items() if asked <= known]
    if question.name in able:
        return question.name
    if len(able) > 1:
        detail = f"{question.field}: the tasks {', '.join(able)} have all of these choices; name one of them"
        raise Problem(400, "ambiguous_task", detail, field=f"{question.field}.name")
    return able[0] if able else None


def answers(
    questions: Sequence[AskedQuestion], planned: QuestionPlan, outcomes: Sequence[TextOutcome]
) -> tuple[GivenAnswer, ...]:
    """Return the answer to each question, in their order.

    Args:
        questions: of one text.
        planned: what was made of them.
        outcomes: what is known of each text of the plan.

    Raises:
        Problem: 422, a text was rejected; 504, questions were sent, and none of them has a Result.
    """
    for outcome in outcomes:
        if (refused := outcome.refused) is not None:
            raise Problem(422, refused.code, refused.detail)
    if outcomes and not any(outcome.results or outcome.rejected for outcome in outcomes):
        raise no_answer(outcomes[0])
    return tuple(
        GivenAnswer({"detail": place})
        if isinstance(place, str)
        else _answer(question, place.task, outcomes[place.text])
        for question, place in zip(questions, planned.places, strict=True)
    )


def no_answer(outcome: TextOutcome) -> Problem:
    """Return the error of a text without a Result in time. Where its Results will be is a header."""
    where = f"/v1/texts/{outcome.uuid}"
    detail = f"no answer in time; it goes on, and GET {where} shows it later"
    # The client of OpenAI would send it again, as another text.
    return Problem(504, "timeout", detail, headers={"Location": where, "x-should-retry": "false"})


def _answer(question: AskedQuestion, task: str, outcome: TextOutcome) -> GivenAnswer:
    result = outcome.results.get(task)
    if result is None:
        rejection = next((each for each in outcome.rejected if each.task == task), None)
        detail = no_answer(outcome).detail if rejection is None else rejection.detail
        return GivenAnswer({"task": task, "text": outcome.uuid, "detail": detail})
    sprat = about(outcome, result)
    label = result.output.label if isinstance(result.output, IntentOutput) else None
    if label is None or label not in (question.labels or ()):
        return GivenAnswer(sprat | {"detail": _why_refused(result)})
    confidence = result.confidence
    shares = {} if confidence is None else dict(_alternatives(question, result))
    return GivenAnswer(
        sprat, label, confidence, {label: confidence or 0.0, **{k: v for k, v in shares.items() if k != label}}
    )


def _alternatives(question: AskedQuestion, result: Result) -> Iterator[tuple[str, float]]:
    if isinstance(result.output, IntentOutput):
        for each in result.output.alternatives:
            if each.label in (question.labels or ()):
                yield each.label, each.probability


def _why_refused(result: Result) -> str:
    if result.output is None:
        return why_no_answer(result)
    return "the text fits none of these choices"


def why_no_answer(result: Result) -> str:
    """Return why a Result has no answer, in words."""
    declined = result.declined
    return "no model answered" if declined is None else f"{declined.code}: {declined.detail}".removesuffix(": ")


def about(outcome: TextOutcome, result: Result) -> dict[str, Any]:
    """Return Sprat's own fields of an answer."""
    return {
        "text": outcome.uuid,
        "task": result.task,
        "status": result.status,
        "answered_by": result.source,
        "model": None if result.model is None else result.model.name,
        "confidence": result.confidence,
        "renormalised": result.renormalised,
        "level": result.route.level,
        "goal": result.route.goal,
        "cost_eur": result.cost_eur,
    }


def usage_of(outcomes: Sequence[TextOutcome]) -> tuple[int, int]:
    """Return the tokens of the frontiers, read and written; zeros where none was asked."""
    used = [result.usage for outcome in outcomes for result in outcome.results.values() if result.usage is not None]
    return sum(each.input_tokens for each in used), sum(each.output_tokens for each in used)
