"""The router keeps or escalates predictions, and concludes what the frontier said."""

from typing import Any

import pytest
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from sprat.processing.handler import Outcome
from sprat.processing.measure import count_sent
from sprat_contracts import FrontierRequested, ModelAnnounced, ModelRef, Route
from sprat_contracts.ids import REQUEST, RESULT, derive
from sprat_policy import IntentPolicy, LanguagePolicy, NerPolicy, Policy, TaskPolicies, TaskPolicy
from support.metrics import Metrics
from support.router_records import (
    ALL_TASKS,
    ANSWERED,
    EGRESS,
    INTENT,
    LABELS,
    MODEL,
    OUTPUTS_BY_TASK,
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

ESCALATE_OUT_OF_SCOPE = Policy(tasks=TaskPolicies(intent=IntentPolicy(out_of_scope="escalate")))


@pytest.mark.parametrize("task", ["intent", "ner", "translation", "language-id"])
@pytest.mark.parametrize("confidence", [0.8, 1.0])
def test_a_sure_prediction_is_kept(task: str, confidence: float) -> None:
    sure = prediction(task, confidence=confidence, cached=True)
    (emit,) = (outcome := router().receive(received(sure))).events
    (result,) = results(outcome)
    assert emit.topic == f"sprat.results.{task}.v1"
    assert emit.id == str(derive(RESULT, "/app", "t-1", task))
    assert emit.extensions == {"tenant": "default", "status": "answered"}
    assert (result.status, result.source, result.output) == ("answered", "small", sure.output)
    goal = {"intent": 0.97, "translation": 0.9}.get(task, 0.95)
    assert result.route == Route(decision="kept", reason="confident", goal=goal, evidence="estimated", level=0.97)
    assert (result.confidence, result.model, result.cached) == (confidence, ModelRef(**MODEL), True)
    assert (result.cost_eur, result.egress, result.declined) == (0.0, None, None)
    assert result.timings_ms == sure.timings_ms


GERMAN = Policy(tasks=TaskPolicies(ner=NerPolicy(keep_at=0.6, languages={"de": LanguagePolicy(keep_at=0.95)})))


@pytest.mark.parametrize(
    ("language", "detected", "threshold"),
    [
        ("en", None, 0.6),
        ("de-AT", None, 0.95),
        ("auto", {"language": "de", "confidence": 0.9}, 0.95),
        ("auto", {"language": "en", "confidence": 0.9}, 0.6),
    ],
)
def test_the_threshold_is_that_of_the_language_that_the_text_was_read_in(
    language: str, detected: dict[str, Any] | None, threshold: float
) -> None:
    submitted = text(tasks={"ner": {}}, language=language)
    made = prediction("ner", confidence=0.9, submitted=submitted, language_detected=detected)
    outcome = router(announced("ner"), policy=GERMAN).receive(received(made))
    if threshold > 0.9:
        (request,) = requests(outcome)
        assert (request.reasons, request.threshold) == (("low_confidence",), threshold)
    else:
        (result,) = results(outcome)
        assert result.route == Route(decision="kept", reason="confident", threshold=threshold)


NULL_LABEL = {"output": {"label": None}}


@pytest.mark.parametrize(
    ("fields", "policy", "reasons"),
    [
        pytest.param({"confidence": 0.79}, Policy(), ("low_confidence",), id="unsure"),
        pytest.param(NULL_LABEL | {"confidence": 0.5}, Policy(), ("low_confidence",), id="unsure out of scope"),
        pytest.param(
            NULL_LABEL | {"confidence": 0.9}, ESCALATE_OUT_OF_SCOPE, ("out_of_scope",), id="sure out of scope"
        ),
        pytest.param(
            NULL_LABEL | {"confidence": 0.5}, ESCALATE_OUT_OF_SCOPE, ("out_of_scope", "low_confidence"), id="both"
        ),
        pytest.param(declined(), Policy(), ("declined",), id="declined"),
        pytest.param({"confidence": None}, Policy(), ("declined",), id="no confidence"),
        pytest.param({"output": None}, Policy(), ("declined",), id="no output"),
        pytest.param({"declined": {"code": "x"}}, Policy(), ("declined",), id="declined in spite of an output"),
        pytest.param({"output": OUTPUTS_BY_TASK["ner"]}, Policy(), ("declined",), id="the output of another task"),
    ],
)
def test_a_hard_case_is_escalated_whole(fields: dict[str, Any], policy: Policy, reasons: tuple[str, ...]) -> None:
    hard = prediction(**fields)
    (emit,) = (outcome := router(announced(owns_from=None), policy=policy).receive(received(hard))).events
    (request,) = requests(outcome)
    asked = {} if reasons == ("declined",) else {"goal": 0.97, "evidence": "estimated"}
    level = 0.97 if reasons == ("out_of_scope",) else None
    assert request == FrontierRequested(
        prediction=hard, reasons=reasons, labels=LABELS, label_set="h1", level=level, **asked
    )
    assert emit.topic == "sprat.frontier.requests.v1"
    assert emit.id == str(derive(REQUEST, "/app", "t-1", "intent"))
    assert emit.extensions == {"tenant": "default"}


@pytest.mark.parametrize(
    ("fields", "outside"),
    [
        pytest.param(NULL_LABEL | {"confidence": 0.9}, 1, id="kept"),
        pytest.param(NULL_LABEL | {"confidence": 0.5}, 1, id="escalated for its confidence"),
        pytest.param({"confidence": 0.5}, None, id="escalated with a label"),
        pytest.param(declined(), None, id="declined"),
    ],
)
def test_an_answer_without_a_label_is_counted_as_outside_whatever_is_decided(
    fields: dict[str, Any], outside: int | None, metrics: Metrics
) -> None:
    made = prediction(**fields)
    outcome = router().receive(received(made))
    ended = router().receive(received(answer(made))) if requests(outcome) else Outcome()
    for emit in (*outcome.events, *ended.events):
        count_sent(emit.message, None, INVALID_SPAN_CONTEXT)
    assert metrics.value("sprat.outside", task="intent") == outside


BY_CARD = announced().model_copy(update={"card": {"keep_at": 0.8}})
BY_NUMBER = Policy(tasks=TaskPolicies(intent=IntentPolicy(keep_at=0.8)))


@pytest.mark.parametrize(
    ("fields", "model", "policy", "count"),
    [
        pytest.param({"accuracy": None}, BY_CARD, Policy(), 1, id="kept by the card"),
        pytest.param({"accuracy": None, "confidence": 0.5}, BY_CARD, Policy(), 1, id="escalated by the card"),
        pytest.param({"accuracy": None}, announced(), Policy(), 1, id="not measured"),
        pytest.param({"confidence": 0.5}, BY_CARD, Policy(), None, id="measured, and below every level"),
        pytest.param({}, BY_CARD, Policy(), None, id="measured and kept"),
        pytest.param({"accuracy": None}, BY_CARD, BY_NUMBER, None, id="a fixed number decides"),
        pytest.param(declined() | {"accuracy": None}, BY_CARD, Policy(), None, id="declined"),
    ],
)
def test_an_answer_that_is_to_reach_a_goal_and_carries_no_level_is_counted(
    fields: dict[str, Any], model: ModelAnnounced, policy: Policy, count: int | None, metrics: Metrics
) -> None:
    for emit in router(model, policy=policy).receive(received(prediction(**fields))).events:
        count_sent(emit.message, None, INVALID_SPAN_CONTEXT)
    assert metrics.value("sprat.not_measured", task="intent", model=MODEL["name"]) == count


@pytest.mark.parametrize(
    ("stage", "confidence", "keep_at", "reasons"),
    [
        (None, 1.0, 0.8, ("uncalibrated",)),
        (None, 1.0, 1.0, ("uncalibrated", "low_confidence")),
        ("unchanged", 0.8, None, None),
        ("unchanged", 0.79, None, ("low_confidence",)),
        ("unchanged", 1.0, 0.8, None),
        ("unchanged", 1.0, 1.0, None),
        ("unchanged", 0.9, 0.8, None),
        ("unchanged", 0.79, 0.8, ("low_confidence",)),
        ("unchanged", 0.9999, 1.0, ("low_confidence",)),
    ],
)
def test_a_text_that_is_its_own_translation_needs_no_calibrated_model(
    stage: str | None, confidence: float, keep_at: float | None, reasons: tuple[str, ...] | None
) -> None:
    policy = Policy(tasks=TaskPolicies(translation=TaskPolicy(keep_at=keep_at)))
    made = prediction("translation", confidence=confidence, model=MODEL | {"stage": stage}, accuracy=None)
    announcement = announced(
        "translation", labels=None, card={"calibration": {"fitted_on": "nothing"}}, version=MODEL["version"]
    )
    (emit,) = router(announcement, policy=policy).receive(received(made)).events
    if reasons is None:
        assert emit.message.route == Route(decision="kept", reason="confident", threshold=keep_at or 0.8)
    else:
        assert emit.message.reasons == reasons


def test_a_sure_prediction_of_no_intent_is_kept_where_the_policy_says_so() -> None:
    (result,) = results(router().receive(received(prediction(**NULL_LABEL))))
    assert (result.status, result.route.decision, result.route.reason) == ("answered", "kept", "out_of_scope")


@pytest.mark.parametrize("message", [prediction("ner", submitted=text()), answer(prediction("ner", submitted=text()))])
def test_a_task_that_the_text_does_not_ask_for_is_a_dead_letter(message: Any) -> None:
    outcome = router().receive(received(message))
    assert outcome.events == ()
    assert outcome.rejected is not None
    assert outcome.rejected.code == "task_not_requested"


def test_equal_questions_of_a_tenant_have_one_key() -> None:
    def key(**fields: Any) -> bytes:
        asked = prediction("translation", submitted=text(**fields), confidence=0.1)
        return router().receive(received(asked)).events[0].key

    options = {"target": "de", "a": 1}
    question = key(tasks={"translation": options}, reference={"n": "1"})
    assert question == b'default|translation|{"a":1,"model":"default","target":"de"}|Move 100 euros'
    assert key(tasks={"translation": dict(reversed(options.items())), "ner": {}}) == question
    assert key(tasks={"translation": options}, tenant="other") != question
    assert key(tasks={"translation": options | {"target": "fr"}}) != question


# Answers


def test_the_frontiers_answer_is_the_result() -> None:
    (emit,) = (outcome := router().receive(received(answer(**ANSWERED, cached=True)))).events
    (result,) = results(outcome)
    assert emit.extensions == {"tenant": "default", "status": "answered"}
    assert (result.status, result.source, result.declined) == ("answered", "frontier", None)
    assert result.output.label == "balance"
    assert result.route == Route(decision="escalated", reason="low_confidence", goal=0.97, evidence="estimated")
    assert (result.confidence, result.model) == (None, ModelRef(name="large", version="large"))
    assert (result.cost_eur, result.egress.model_dump(), result.cached) == (0.002, EGRESS, True)
    assert result.usage.model_dump() == ANSWERED["usage"]
    assert result.timings_ms == {"model": 2.0, "wait": 11.0, "call": 300.0}


@pytest.mark.parametrize("paid", [{}, {"cost_eur": 0.002, "egress": EGRESS}], ids=["free", "paid"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"declined": {"code": "budget"}}, "budget", id="declined"),
        pytest.param({"declined": {"code": "budget"}, "output": {"label": "balance"}}, "budget", id="declined, output"),
        pytest.param({}, "no_output", id="neither"),
        pytest.param({"output": OUTPUTS_BY_TASK["ner"]}, "no_output", id="the output of another task"),
    ],
)
def test_without_the_frontiers_answer_the_small_one_has_to_do(
    fields: dict[str, Any], code: str, paid: dict[str, Any]
) -> None:
    small = prediction(confidence=0.3, cached=True)
    (result,) = results(router().receive(received(answer(small, **fields, **paid))))
    assert (result.status, result.source, result.output) == ("degraded", "small", small.output)
    assert result.declined.code == code
    assert (result.confidence, result.model, result.cached) == (0.3, ModelRef(**MODEL), True)
    assert (result.cost_eur, result.egress is None) == (paid.get("cost_eur", 0.0), not paid)
    assert result.route.decision == "escalated"


@pytest.mark.parametrize(
    ("small", "causes"),
    [
        pytest.param(declined(), ["target", "policy"], id="declined"),
        pytest.param(declined("no_service") | {"model": None}, ["no_service", "policy"], id="no service"),
        pytest.param({"output": OUTPUTS_BY_TASK["ner"]}, ["policy"], id="the output of another task"),
    ],
)
def test_with_neither_answer_the_pair_ends_unanswered(small: dict[str, Any], causes: list[str]) -> None:
    (result,) = results(router().receive(received(answer(prediction(**small), declined={"code": "policy"}))))
    assert (result.status, result.source, result.output) == ("unanswered", "none", None)
    assert (result.confidence, result.model, result.cached) == (None, None, False)
    assert result.declined.code == causes[0]
    assert [each.code for each in result.declined.causes] == causes


@pytest.mark.parametrize(
    ("key", "record_key"),
    [(None, b"t-1"), ("", b""), ("/2s=", b"\xffk"), ("a", b"t-1"), ("ü", b"t-1")],
    ids=["none given", "an empty one", "bytes", "not base64", "not ASCII"],
)
def test_a_result_has_its_texts_key(key: str | None, record_key: bytes) -> None:
    for message in (prediction(key=key), answer(prediction(key=key))):
        assert router().receive(received(message)).events[0].key == record_key


def test_a_result_tells_what_its_text_said() -> None:
    submitted = text(tasks=ALL_TASKS | {"mood": {}}, language="de-AT", tenant="acme-bank", reference={"case": "7"})
    (result,) = results(router().receive(received(prediction(submitted=submitted))))
    assert result.requested == ("intent", "ner", "translation", "language-id")
    assert (result.language, result.tenant, result.reference) == ("de-AT", "acme-bank", {"case": "7"})
    assert result.origin == prediction().origin


OUTSIDE = {"label": "send everything to me", "alternatives": []}
AS_ALTERNATIVE = {"label": "transfer", "alternatives": [{"label": "not announced", "probability": 0.1}]}
ENTITY = {"entities": [{"start": 0, "end": 4, "text": "Move", "label": "SECRET"}]}


@pytest.mark.parametrize(
    ("task", "labels", "output"),
    [
        ("intent", LABELS, OUTSIDE),
        ("intent", LABELS, AS_ALTERNATIVE),
        ("intent", (), INTENT),
        ("intent", None, INTENT),
        ("ner", ("PER", "ORG"), ENTITY),
    ],
)
def test_an_answer_with_a_label_that_was_not_offered_is_declined(task: str, labels: Any, output: Any) -> None:
    asked = prediction(task, confidence=0.3)
    (result,) = results(router().receive(received(answer(asked, labels=labels, **(ANSWERED | {"output": output})))))
    assert result.declined is not None
    assert (result.declined.code, result.status, result.output) == ("invalid_answer", "degraded", asked.output)
    assert result.cost_eur == ANSWERED["cost_eur"], "it was paid for"


@pytest.mark.parametrize(
    ("task", "labels", "output"),
    [
        ("intent", LABELS, {"label": None, "alternatives": []}),
        ("intent", None, {"label": None, "alternatives": []}),
        ("ner", None, ENTITY),
        ("ner", ("SECRET",), ENTITY),
    ],
)
def test_an_answer_with_an_offered_label_or_none_is_the_result(task: str, labels: Any, output: Any) -> None:
    asked = prediction(task, confidence=0.3)
    (result,) = results(router().receive(received(answer(asked, labels=labels, **(ANSWERED | {"output": output})))))
    assert (result.status, result.source) == ("answered", "frontier")


@pytest.mark.parametrize("output", [OUTSIDE, AS_ALTERNATIVE])
def test_a_small_answer_with_a_label_that_its_model_does_not_have_is_escalated(output: Any) -> None:
    odd = prediction(output=output, confidence=1.0)
    (request,) = requests(router(announced()).receive(received(odd)))
    assert request.reasons == ("unknown_label",)
    (result,) = results(router().receive(received(answer(odd, reasons=request.reasons, declined={"code": "policy"}))))
    assert (result.status, result.output, result.route.reason) == ("unanswered", None, "unknown_label")
    assert result.declined is not None
    assert result.declined.code == "unknown_label"
    assert [each.code for each in result.declined.causes] == ["unknown_label", "policy"]


@pytest.mark.parametrize(
    "models", [(), (announced(version="v2"),), (announced(labels=None),)], ids=["retired", "another version", "open"]
)
def test_labels_are_compared_with_those_of_the_same_version_alone(models: tuple[ModelAnnounced, ...]) -> None:
    """While a model is replaced, its old version answers with labels that the announced one may not have."""
    (result,) = results(router(*models).receive(received(prediction(output=OUTSIDE, confidence=1.0))))
    assert result.status == "answered"
