"""Texts that ask for some of a task's labels: what models answer, what is kept, what a large model is asked."""

import json
from typing import Any

import numpy as np
import pytest

from sprat.base.labels import refuse_asked
from sprat.base.model import Answer, Question
from sprat.processing.handler import Answered, Ask
from sprat_contracts import IntentOutput, Prediction, ScoredLabel, SmallAnswer, TextSubmitted, WireError, decode
from sprat_encoder.label_model import LabellingModel
from sprat_encoder.label_set_model import LabelSetModel
from sprat_frontier.answer_store import answer_key
from sprat_frontier.prompts import choice_for, prompt_for, question_of
from sprat_inference.card import Calibration, Card
from sprat_inference.classifier import LogitsReading
from sprat_inference.label_sets import SetCalibration
from sprat_inference.specialist import SpecialistHandler
from sprat_language_id.__main__ import SHIPPED
from sprat_language_id.model import LanguageIdModel
from sprat_policy import IntentPolicy, Policy, TaskPolicies
from support import frontier_parts
from support.measured import thresholds
from support.router_records import (
    TOPICS,
    announced,
    answer,
    declined,
    prediction,
    received,
    requests,
    results,
    router,
    text,
)
from support.wire_records import plain

LABELS = ("balance", "transfer", "card_lost", "greeting")
CARD = Card.model_construct(
    task="intent",
    name="small",
    version="v1",
    labels=LABELS,
    languages=("en",),
    targets=(),
    kind=None,
    calibration=Calibration(method="m", fitted_on="f", outside_share=0.1, longest_code_points=100, parameters={}),
)


class Network:
    """Gives every text the same logits."""

    tokenizer: Any = None

    def __init__(self, *logits: float) -> None:
        self._logits = np.array(logits, np.float32)

    def read(self, texts: Any, languages: Any) -> LogitsReading:
        return LogitsReading(np.tile(self._logits, (len(texts), 1)), np.zeros(len(texts), bool))


class Outcomes:
    """Gives every text the same chances: the best label is right, another is, none is."""

    def __init__(self, *chances: float) -> None:
        self.by_language: dict[str, object] = {}
        self._chances = chances

    def chances(self, logits: Any, languages: Any) -> Any:
        return np.tile(np.array(self._chances), (len(logits), 1))


def asked(outcomes: tuple[float, float, float], *labels: str) -> tuple[str | None, float, bool, dict[str, float]]:
    """Ask a model that finds `balance` likeliest, then `transfer`, and twice as unlikely each of the other two."""
    model = LabellingModel(CARD, Network(5.0, *np.log([4.0, 2.0, 2.0])), Outcomes(*outcomes))
    (given,) = model.answer([Question("hi", "en", labels=labels or None)])
    assert isinstance(given.output, IntentOutput)
    alternatives = {each.label: round(each.probability, 6) for each in given.output.alternatives}
    return given.output.label, round(given.confidence, 6), given.renormalised, alternatives


SURE = (0.9, 0.08, 0.02)
OUTSIDE = (0.1, 0.1, 0.8)


def test_an_answer_that_is_asked_for_stands_with_its_confidence() -> None:
    label, confidence, renormalised, alternatives = asked(SURE)
    assert (label, confidence, renormalised) == ("balance", 0.9, False)
    among = asked(SURE, "transfer", "greeting", "balance")
    assert among == (label, confidence, False, {"balance": 0.9, "transfer": 0.04, "greeting": 0.02})
    assert alternatives == {"balance": 0.9, "transfer": 0.04, "card_lost": 0.02}


def test_no_label_is_an_answer_to_whoever_asks_for_some() -> None:
    assert asked(OUTSIDE, "transfer", "greeting")[:3] == (None, 0.8, False)


def test_another_answer_gives_way_to_the_likeliest_of_those_asked_for_and_of_none() -> None:
    label, confidence, renormalised, alternatives = asked(SURE, "greeting", "transfer")
    assert (label, confidence, renormalised) == ("transfer", 0.5, True)  # 0.04 of 0.04 + 0.02, and 0.02 for none
    assert alternatives == {"transfer": 0.5, "greeting": 0.25}


def test_one_label_alone_is_not_certain_because_it_is_alone() -> None:
    assert asked((0.9, 0.08, 0.01), "greeting")[:3] == ("greeting", round(0.0225 / 0.0325, 6), True)
    assert asked((0.9, 0.04, 0.06), "greeting")[:3] == (None, round(0.06 / 0.07, 6), True)


def test_a_model_that_is_wholly_sure_of_another_label_still_names_one() -> None:
    assert asked((1.0, 0.0, 0.0), "greeting", "transfer")[:3] == ("transfer", round(2 / 3, 6), True)


def several(*labels: str) -> tuple[dict[str, float], float, bool]:
    """Ask a model of several labels for which `balance` and `transfer` apply."""
    chances = np.array([0.9, 0.8, 0.3, 0.1])
    model = LabelSetModel(CARD, Network(*np.log(chances / (1 - chances))), SetCalibration.none(4))
    (given,) = model.answer([Question("hi", "en", labels=labels or None)])
    found = {each.label: each.probability for each in given.output.labels}  # type: ignore[union-attr]
    assert all(isinstance(each, ScoredLabel) for each in given.output.labels)  # type: ignore[union-attr]
    assert {each.label for each in given.output.alternatives} <= set(labels or LABELS)  # type: ignore[union-attr]
    return found, round(given.confidence, 6), given.renormalised


def test_of_several_labels_those_asked_for_are_decided_as_before() -> None:
    everything, confidence, _ = several()
    assert (list(everything), confidence) == (["balance", "transfer"], round(0.9 * 0.8 * 0.7 * 0.9, 6))
    assert several("transfer", "balance", "greeting") == (everything, confidence, False)
    found, confidence, renormalised = several("greeting", "transfer")
    assert (list(found), confidence, renormalised) == (["transfer"], round(0.8 * 0.9, 6), True)


def test_a_language_that_is_not_asked_for_gives_way_to_the_likeliest_that_is() -> None:
    model = LanguageIdModel.load(SHIPPED)
    swedish = "Var är paketet?"

    def detected(*labels: str) -> Answer:
        (given,) = model.answer([Question(swedish, "en", labels=labels or None)])
        return given

    assert detected().output.label == "sv"
    assert (detected("sv", "fi").confidence, detected("sv", "fi").renormalised) == (detected().confidence, False)
    nearest = detected("no", "da")
    assert (nearest.output.label in {"no", "da"}, nearest.renormalised) == (True, True)
    assert sum(each.probability for each in nearest.output.alternatives) == pytest.approx(1.0)
    unlikely = detected("ja")
    assert (unlikely.output.label, unlikely.confidence, unlikely.renormalised) == (None, 0.0, True)


def specialist(task: str = "intent", **card: Any) -> SpecialistHandler:
    made = SpecialistHandler(TOPICS, CARD.model_copy(update={"task": task} | card), "default", owns_from=0)
    made.thresholds = thresholds()
    return made


SOME = {"intent": {"labels": ["transfer", "balance"]}}


def test_a_specialist_asks_its_model_for_the_labels_and_says_what_a_renormalised_answer_lacks() -> None:
    one, record = specialist(), received(text(tasks=SOME, language="en"))
    ask = one.receive(record)
    assert isinstance(ask, Ask)
    assert ask.question.labels == ("transfer", "balance")
    for renormalised in (False, True):
        given = Answer(IntentOutput(label="transfer"), 0.99, renormalised=renormalised)
        made = one.answered(record, ask, Answered(given, cached=False, timings_ms={})).events[0].message
        assert isinstance(made, Prediction)
        assert (made.renormalised, made.accuracy is None) == (renormalised, renormalised)


def test_other_labels_are_another_question_to_the_cache() -> None:
    def key(**options: Any) -> tuple[str, ...]:
        ask = specialist().receive(received(text(tasks={"intent": options}, language="en")))
        assert isinstance(ask, Ask)
        return ask.cache_key

    assert len({key(), key(labels=["balance"]), key(labels=["transfer"])}) == 3
    assert "labels" not in "".join(key())  # stored answers of earlier versions keep their keys


@pytest.mark.parametrize(
    ("asked", "known", "said"),
    [
        (
            ["transfers", "balance"],
            LABELS,
            "1 of 2 are no labels of the model, the first is no. 1 in the list; did you mean transfer?",
        ),
        (
            ["balance", "Anna Berg", "x"],
            LABELS,
            "2 of 3 are no labels of the model, the first is no. 2 in the list; ask for some of ",
        ),
        (
            ["balance"],
            (),
            "1 of 1 are no labels of the model, the first is no. 1 in the list; ask for some of its 0 labels",
        ),
        (["balance"], None, "the answer to this task is no label; leave them out"),
    ],
)
def test_labels_that_nobody_knows_are_refused_in_words_without_them(asked: list[str], known: Any, said: str) -> None:
    refused = refuse_asked("intent", asked, known)
    assert refused is not None
    assert refused.code == "labels"
    assert refused.detail.startswith(f"tasks.intent.labels: {said}")
    assert "Anna" not in refused.detail
    assert refuse_asked("intent", ["balance"], LABELS) is None


@pytest.mark.parametrize(("task", "options"), [("intent", {}), ("ner", {}), ("translation", {"target": "de"})])
def test_a_specialist_declines_labels_that_are_not_its_models(task: str, options: dict[str, Any]) -> None:
    asking = text(tasks={task: options | {"labels": ["PER"]}}, language="en")
    (emit,) = specialist(task, labels=("PER",) if task == "ner" else LABELS).receive(received(asking)).events  # type: ignore[union-attr]
    assert isinstance(emit.message, Prediction)
    assert emit.message.declined is not None
    assert emit.message.declined.code == "labels"


SMALL = ("balance", "transfer")
"""What the model that `announced` announces can answer with."""


def made(labels: list[str] | None = None, **fields: Any) -> Prediction:
    return prediction(submitted=text(tasks={"intent": {"labels": labels or ["transfer"]}}), **fields)


def test_an_answer_that_stands_is_kept_by_its_level() -> None:
    (kept,) = results(router(announced()).receive(received(made())))
    assert (kept.route.reason, kept.route.level, kept.renormalised) == ("confident", 0.97, False)


@pytest.mark.parametrize(
    ("policy", "confidence", "reason", "threshold"),
    [
        pytest.param(IntentPolicy(), 1.0, "uncalibrated", None, id="not by a goal"),
        pytest.param(IntentPolicy(keep_at=0.5), 1.0, "uncalibrated", 0.5, id="nor by keep_at alone"),
        pytest.param(
            IntentPolicy(uncalibrated="keep", uncalibrated_keep_at=0.9), 0.89, "low_confidence", 0.9, id="below"
        ),
        pytest.param(
            IntentPolicy(uncalibrated="keep", uncalibrated_keep_at=0.9), 0.9, "confident", 0.9, id="by policy"
        ),
        pytest.param(IntentPolicy(uncalibrated="keep", keep_at=0.6), 0.6, "confident", 0.6, id="by its keep_at"),
    ],
)
def test_a_renormalised_answer_is_kept_only_where_the_policy_keeps_uncalibrated_ones(
    policy: IntentPolicy, confidence: float, reason: str, threshold: float | None
) -> None:
    # A card and levels that would keep it: neither holds for an answer among some of the labels.
    model = announced(thresholds=thresholds(), card={"keep_at": 0.1})
    handler = router(model, policy=Policy(tasks=TaskPolicies(intent=policy)))
    outcome = handler.receive(received(made(confidence=confidence, renormalised=True)))
    if reason == "confident":
        (kept,) = results(outcome)
        assert (kept.route.reason, kept.route.threshold, kept.route.level) == (reason, threshold, None)
        assert (kept.renormalised, kept.confidence) == (True, confidence)
    else:
        (request,) = requests(outcome)
        assert (request.reasons[0], request.threshold, request.level) == (reason, threshold, None)
        assert request.labels == ("transfer",)


def test_a_label_that_is_not_asked_for_is_neither_kept_nor_given_when_the_frontier_declines() -> None:
    """A service of an earlier version does not know the option."""
    (request,) = requests(router(announced()).receive(received(made(["balance"]))))
    assert (request.reasons, request.labels) == (("unknown_label",), ("balance",))
    declining = answer(request.prediction, reasons=request.reasons, labels=request.labels, declined={"code": "policy"})
    (end,) = results(router().receive(received(declining)))
    assert (end.status, end.output) == ("unanswered", None)


def test_a_degraded_answer_says_that_it_is_renormalised() -> None:
    declining = answer(made(confidence=0.7, renormalised=True), reasons=("uncalibrated",), declined={"code": "policy"})
    (end,) = results(router().receive(received(declining)))
    assert (end.status, end.confidence, end.renormalised) == ("degraded", 0.7, True)
    assert isinstance(end.small, SmallAnswer)
    assert end.small.confidence is None  # no calibrated chance is known


def test_a_large_models_answer_beside_those_asked_for_does_not_count() -> None:
    (request,) = requests(router(announced()).receive(received(made(["transfer"], **declined()))))
    beside = answer(request.prediction, labels=request.labels, output={"label": "balance"})
    (end,) = results(router().receive(received(beside)))
    assert end.status == "unanswered"
    assert end.declined is not None
    assert [each.code for each in end.declined.causes] == ["target", "invalid_answer"]


def test_a_request_offers_those_that_are_asked_for_and_known_as_the_text_orders_them() -> None:
    (request,) = requests(router(announced()).receive(received(made(["transfer", "x", "balance"], **declined()))))
    assert request.labels == ("transfer", "balance")


def question(labels: tuple[str, ...] | None, *asking: str, offered: Any = None) -> Any:
    tasks = {"intent": {"labels": list(asking)} if asking else {}}
    return question_of(frontier_parts.request(labels=labels if offered is None else offered, tasks=tasks))


def test_a_large_model_is_asked_for_these_labels_alone() -> None:
    asking = question(("transfer", "balance"), "transfer", "balance")
    assert asking.problem() is None
    assert prompt_for(asking).schema["properties"]["label"]["enum"] == ["transfer", "balance", None]
    assert list(choice_for(asking).options) == ["transfer", "balance", "none of these"]


@pytest.mark.parametrize(
    ("offered", "asking", "code"),
    [(("balance",), ("balance", "x"), "labels"), ((), ("x",), "labels"), (None, ("x",), "no_labels")],
)
def test_no_large_model_is_asked_where_a_label_is_unknown(offered: Any, asking: tuple[str, ...], code: str) -> None:
    problem = question(offered, *asking).problem()
    assert problem is not None
    assert problem.code == code


def test_stored_answers_of_a_large_model_depend_on_the_labels_asked_for() -> None:
    provider = frontier_parts.FakeProvider()
    asked = [question(SMALL), question(SMALL, *SMALL), question(("balance",), "balance")]
    keys = {answer_key(frontier_parts.keyed_hash, each, "allow", "", provider, "https://a") for each in asked}  # type: ignore[arg-type]
    assert len(keys) == 3


def read(options: dict[str, Any]) -> TextSubmitted:
    value = json.dumps({"text": "hi", "tasks": {"intent": options, "desk": options}}).encode()
    return decode(plain(value), TextSubmitted).message


def test_the_labels_of_a_text_are_read_for_every_task_and_written_where_there_are_some() -> None:
    some = read({"labels": ["a", "b"]})
    assert [some.tasks.options(task).labels for task in ("intent", "desk")] == [("a", "b")] * 2  # type: ignore[union-attr]
    assert json.loads(some.model_dump_json())["tasks"]["intent"] == {"model": "default", "labels": ["a", "b"]}
    assert TextSubmitted.model_validate_json(some.model_dump_json()) == some
    for none in (read({}), read({"labels": None})):
        assert "labels" not in none.model_dump_json()


@pytest.mark.parametrize("labels", ["balance", [], [""], [1], {"balance": 1}, ["x" * 257], ["x"] * 1001])
def test_what_is_no_list_of_labels_makes_a_dead_letter(labels: Any) -> None:
    with pytest.raises(WireError, match=r"invalid_text: tasks\.intent\.labels"):
        read({"labels": labels})
