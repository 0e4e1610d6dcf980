"""The router judges texts, hands on what it does not know, and ends what is too large."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from sprat.base.channels import router_channels
from sprat.base.errors import Fatal, Rejected
from sprat.processing.handler import Outcome
from sprat_contracts import (
    Declined,
    FrontierAnswered,
    FrontierRequested,
    LanguageDetected,
    ModelAnnounced,
    Prediction,
    Route,
    TextSignature,
    TextWarning,
    texts,
)
from sprat_contracts.ids import RESULT, derive, plain_text_identity
from sprat_policy import Policy
from support.router_records import (
    ALL_TASKS,
    ANSWERED,
    APPENDED_AT,
    EGRESS,
    INTENT,
    LABELS,
    MODEL,
    TOPICS,
    announced,
    answer,
    prediction,
    received,
    requests,
    results,
    router,
    text,
)

LATER = "it was announced for later texts; send the text again"


def test_a_text_whose_tasks_are_all_served_is_left_to_the_specialists() -> None:
    outcome = router(announced()).receive(received(text()))
    assert (outcome.events, outcome.rejected, outcome.skipped) == ((), None, "served")


def test_a_result_names_the_model_that_the_text_asked_for_whoever_answers() -> None:
    asked = text(tasks={"intent": {"model": "hr"}, "ner": {}})
    of_hr = prediction(submitted=asked)
    handler = router(announced(model="hr"))
    (kept,) = results(handler.receive(received(of_hr)))
    (escalated,) = results(handler.receive(received(answer(of_hr, **ANSWERED))))
    assert [each.asked_model for each in (kept, escalated)] == ["hr", "hr"]
    assert (kept.model.name, escalated.model.name) == ("en-fast", "large")
    (usual,) = results(handler.receive(received(prediction("ner", submitted=asked))))
    assert usual.asked_model == "default"


@pytest.mark.parametrize(
    ("asked", "suggested"),
    [
        pytest.param("layofs-2027", True, id="missing"),
        pytest.param("layoffss-2027", True, id="too many"),
        pytest.param("layofts-2027", True, id="another"),
        pytest.param("alyoffs-2027", True, id="changed places"),
        pytest.param("Layoffs-2027", True, id="another case"),
        pytest.param("layoffs-207", True, id="near the end"),
        pytest.param("layoffs", False, id="half of it"),
        pytest.param("layoffs-2026x", False, id="two"),
        pytest.param("l", False, id="a letter"),
        pytest.param("other", False, id="nothing like it"),
    ],
)
def test_the_name_of_a_model_is_told_only_to_who_nearly_wrote_it(asked: str, *, suggested: bool) -> None:
    outcome = router(announced(), announced(model="layoffs-2027")).receive(
        received(text(tasks={"intent": {"model": asked}}))
    )
    (request,) = requests(outcome)
    declined = request.prediction.declined
    assert declined is not None
    said = declined.detail.removeprefix(f"no model intent/{asked} served when the text arrived; ")
    without = "no other has nearly that name; without `model`, default answers"
    assert said == ("did you mean layoffs-2027?" if suggested else without)


@pytest.mark.parametrize(
    ("announcements", "labels", "hint"),
    [
        pytest.param([], None, "no model for intent is announced: is its service running?", id="nothing announced"),
        pytest.param([announced(owns_from=None)], LABELS, LATER, id="known but not serving yet"),
        pytest.param([announced(owns_from=APPENDED_AT + 1)], LABELS, LATER, id="the text came first"),
        pytest.param([announced(model="layoffs-2027")], None, "no other has nearly that name", id="another model"),
        pytest.param([announced(model="defaults"), announced("ner")], None, "did you mean defaults?", id="like it"),
    ],
)
def test_a_known_task_that_nobody_serves_is_escalated(
    announcements: list[ModelAnnounced], labels: tuple[str, ...] | None, hint: str
) -> None:
    outcome = router(*announcements).receive(received(text(), key=b"\xffk"))
    (request,) = requests(outcome)
    assert outcome.rejected is None
    assert (request.reasons, request.threshold, request.labels) == (("no_service",), None, labels)
    assert request.label_set == (labels and "h1")
    made = request.prediction
    assert (made.text_id, made.text_source, made.task, made.submitted) == ("t-1", "/app", "intent", text())
    assert (made.output, made.confidence, made.model) == (None, None, None)
    said = f"no model intent/default served when the text arrived; {hint}"
    assert made.declined == Declined(code="no_service", detail=said)
    assert made.origin.model_dump() == {
        "partition": 3,
        "offset": 7,
        "appended_at": APPENDED_AT,
        "key": base64.b64encode(b"\xffk").decode(),
    }


@pytest.mark.parametrize(
    ("model", "codes"),
    [pytest.param("hrr", ["no_service"], id="misspelt"), pytest.param("default", [], id="none named")],
)
def test_an_answer_that_a_misspelt_model_made_a_large_one_give_warns_of_it(model: str, codes: list[str]) -> None:
    handler = router(announced(model="hr"))
    submitted = text(tasks={"intent": {"model": model}})
    (request,) = requests(handler.receive(received(submitted)))
    detail = f"no model intent/{model} served when the text arrived; "
    made = request.prediction
    (answered,) = results(handler.receive(received(answer(made, output=INTENT, model=MODEL, labels=LABELS))))
    assert (answered.status, answered.declined) == ("answered", None)
    assert [each.code for each in answered.warnings] == codes
    assert all(each.detail.startswith(detail) for each in answered.warnings)
    declined = answer(made, output=None, model=None, declined=Declined(code="policy").model_dump(mode="json"))
    (unanswered,) = results(handler.receive(received(declined)))
    assert (unanswered.status, unanswered.warnings) == ("unanswered", ())
    assert unanswered.declined is not None
    assert unanswered.declined.detail.startswith(detail), "said here already"


def test_a_result_says_which_language_was_detected() -> None:
    submitted, found = text(language="auto"), {"language": "nl", "confidence": 0.97}
    made = prediction(submitted=submitted, language_detected=found)
    for record in (made, answer(made)):
        (result,) = results(router(announced()).receive(received(record)))
        assert (result.language, result.language_detected) == ("auto", LanguageDetected(**found))


def test_each_task_and_model_is_looked_up_by_itself() -> None:
    handler = router(
        announced("intent", model="small"),
        announced("ner"),
        announced("translation", owns_from=None),
        announced("language-id"),
    )
    outcome = handler.receive(received(text(tasks=ALL_TASKS | {"intent": {"model": "small"}})))
    assert [request.prediction.task for request in requests(outcome)] == ["translation"]


@pytest.mark.parametrize(
    ("unknown", "told"),
    [
        pytest.param(["mood"], "1 unknown", id="one"),
        pytest.param(["mood", "Anna", "AnnaSchmidt", "x" * 65, ""], "5 unknown", id="names that may be anything"),
        pytest.param(["intents"], "1 unknown, did you mean intent?", id="misspelt"),
        pytest.param(["INTENT", "Ner"], "2 unknown, did you mean intent or ner?", id="capitals"),
        pytest.param(["intnet", "translate", "Intent"], "3 unknown, did you mean intent or translation?", id="several"),
    ],
)
def test_unknown_tasks_are_one_dead_letter_beside_their_siblings(unknown: list[str], told: str) -> None:
    outcome = router().receive(received(text(tasks={"intent": {}} | {name: {} for name in unknown})))
    assert [request.prediction.task for request in requests(outcome)] == ["intent"]
    assert outcome.rejected is not None
    assert outcome.rejected.code == "unknown_task"
    assert outcome.rejected.detail == f"tasks: {told}; known are intent, ner, translation, language-id"
    assert not outcome.rejected.own_fault


def test_many_unknown_tasks_are_counted_and_the_first_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def similar(name: str, *_: Any, **__: Any) -> list[str]:
        compared.append(name)
        return ["intent"]

    monkeypatch.setattr(texts, "get_close_matches", similar)
    outcome = router().receive(received(text(tasks={f"intent-{number}": {} for number in range(1_000)})))
    assert outcome.rejected is not None
    assert "1000 unknown, did you mean intent?" in outcome.rejected.detail
    assert compared == [f"intent-{number}" for number in range(8)]


def test_an_unknown_task_beside_a_served_one_is_a_dead_letter_alone() -> None:
    outcome = router(announced()).receive(received(text(tasks={"intent": {}, "mood": {}})))
    assert (outcome.events, outcome.skipped) == ((), None)
    assert outcome.rejected is not None


@pytest.mark.parametrize("message", [text(), prediction(), answer()], ids=["text", "prediction", "answer"])
def test_a_replay_is_handled_by_the_one_it_is_for(message: Any) -> None:
    handler = router(announced())
    assert handler.receive(received(message, replay_for="intent")).skipped == "replay"
    assert handler.receive(received(message, replay_for="router")) == handler.receive(received(message))


def test_a_replay_for_a_model_that_serves_no_more_is_escalated_for_its_task_alone() -> None:
    handler = router(announced(model="other"))
    outcome = handler.receive(received(text(tasks=ALL_TASKS), replay_for="intent"))
    assert [(each.prediction.task, each.reasons) for each in requests(outcome)] == [("intent", ("no_service",))]
    assert (outcome.rejected, outcome.skipped) == (None, None)


def test_what_cannot_be_decoded_is_rejected_as_it_was_found() -> None:
    rejected = Rejected("invalid_json", "at line 1")
    assert router().malformed(rejected, "sprat.texts.v1").rejected is rejected


def test_unknown_fields_survive_every_hop() -> None:
    handler = router()
    news = {"news": {"deep": [1]}}
    asked = text(tasks={"intent": {"later": 1}}, **news)
    (first,) = requests(handler.receive(received(asked)))
    assert first.prediction.submitted.model_extra == news
    assert first.prediction.submitted.tasks.intent.model_extra == {"later": 1}
    hard = prediction(submitted=asked, confidence=0.1, **news)
    (request,) = requests(handler.receive(received(hard)))
    assert request.prediction.model_extra == news
    written = FrontierRequested.model_validate_json(request.model_dump_json())
    back = FrontierAnswered.model_validate_json(FrontierAnswered(request=written).model_dump_json())
    assert back.request.prediction.submitted.model_extra == news


def _emit_of(message: Any) -> tuple[Any, Any]:
    record = received(message, key=b"k")
    return record, router().receive(record).events[0]


@pytest.mark.parametrize(
    "message",
    [text(), prediction(), prediction(confidence=0.1), answer(**ANSWERED), answer(declined={"code": "budget"})],
    ids=["text", "kept", "escalated", "answered", "degraded"],
)
def test_too_large_an_event_becomes_a_small_result_and_a_dead_letter(message: Any) -> None:
    record, emit = _emit_of(message)
    outcome = router().oversized(record, emit)
    assert outcome.rejected is not None
    assert (outcome.rejected.code, outcome.rejected.own_fault) == ("too_large", False)
    (result,) = results(outcome)
    assert outcome.events[0].id == str(derive(RESULT, "/app", "t-1", "intent"))
    assert outcome.events[0].extensions["status"] == result.status == "unanswered"
    assert (result.source, result.output, result.confidence, result.model) == ("none", None, None, None)
    assert result.declined.causes[-1].code == "too_large"
    assert result.declined.code == result.declined.causes[0].code
    assert result.timings_ms == {}
    assert type(result).model_validate_json(result.model_dump_json()) == result


def test_what_was_paid_and_what_left_stays_told_when_the_answer_is_too_large() -> None:
    (result,) = results(router().oversized(*_emit_of(answer(**ANSWERED))))
    assert (result.cost_eur, result.egress.model_dump()) == (0.002, EGRESS)
    assert result.usage.model_dump() == ANSWERED["usage"]
    assert result.route == Route(decision="escalated", reason="low_confidence", goal=0.97, evidence="estimated")


STEPS = (
    {"tier": "house", "provider": "vllm", "outcome": "unsure", "label": "balance", "confidence": 0.4, "keep_at": 0.8},
    {"tier": "large", "provider": "large", "outcome": "kept", "label": "balance", "cost_eur": 0.002, "egress": EGRESS},
)


def test_a_result_tells_what_each_tier_said_also_when_the_answer_is_too_large() -> None:
    answered = answer(**ANSWERED, tiers=STEPS)
    (result,) = results(router().receive(_emit_of(answered)[0]))
    assert [step.model_dump(exclude_defaults=True) for step in result.tiers] == [
        STEPS[0],
        STEPS[1] | {"egress": {name: value for name, value in EGRESS.items() if value}},
    ]
    (small,) = results(router().oversized(*_emit_of(answered)))
    assert small.tiers == result.tiers
    (without,) = results(router().receive(_emit_of(answer(**ANSWERED))[0]))
    assert without.tiers == ()


def test_no_result_holds_the_text_that_left() -> None:
    answered = answer(**ANSWERED, tiers=[step | {"sent": "as it left"} for step in STEPS], sent="as it left")
    for outcome in (router().receive(_emit_of(answered)[0]), router().oversized(*_emit_of(answered))):
        (result,) = results(outcome)
        assert len(result.tiers) == len(STEPS)
        assert "as it left" not in result.model_dump_json()


def test_a_result_tells_what_the_small_model_said_of_an_escalated_text() -> None:
    (result,) = results(router().receive(_emit_of(answer(**ANSWERED))[0]))
    said = result.small
    predicted = answer(**ANSWERED).request.prediction
    assert (said.model, said.labels, said.confidence) == (predicted.model, ("transfer",), predicted.confidence)
    assert result.source == "frontier"
    (kept,) = results(router().receive(received(prediction(confidence=0.99))))
    assert (kept.route.decision, kept.small) == ("kept", None)


def test_all_that_nobody_serves_of_a_text_ends_when_one_request_is_too_large() -> None:
    outcome = router().oversized(*_emit_of(text(tasks=ALL_TASKS)))
    assert [result.task for result in results(outcome)] == ["intent", "ner", "translation", "language-id"]


def test_every_topic_of_the_router_has_its_message() -> None:
    handler = router()
    assert handler.message_type(TOPICS.texts).__name__ == "TextSubmitted"
    assert handler.message_type(TOPICS.predictions("ner")) is Prediction
    assert handler.message_type(TOPICS.frontier_answers) is FrontierAnswered
    assert len(router_channels(TOPICS).reads) == 6


def test_a_message_that_the_router_does_not_read_stops_the_service() -> None:
    with pytest.raises(Fatal):
        router().receive(received(announced()))


GUARDED = Policy.model_validate({"tenants": {"acme": {"sources": ["/crm/*"]}, "signs": {"signing_keys": ["${KEY}"]}}})


@pytest.mark.parametrize("replay_for", [None, "intent", "nobody"])
@pytest.mark.parametrize(("tenant", "code"), [("acme", "foreign_source"), ("signs", "bad_signature")])
def test_a_text_that_is_not_its_tenants_is_one_dead_letter_and_nothing_else(
    tenant: str, code: str, replay_for: str | None
) -> None:
    submitted = text(tenant=tenant, tasks=ALL_TASKS | {"mood": {}})
    outcome = router(policy=GUARDED).receive(received(submitted, replay_for=replay_for))
    assert outcome.rejected is not None
    assert (outcome.rejected.code, outcome.events, outcome.judged) == (code, (), False)


def test_a_text_as_plain_json_is_known_by_its_place() -> None:
    record = received(text(tenant="signs"))
    source, id = plain_text_identity(record.topic, record.partition, record.offset, record.appended_at)
    plain = replace(record, envelope=replace(record.envelope, source=source, id=id))
    outcome = router(policy=GUARDED).receive(plain)
    assert outcome.rejected is not None
    assert "plain JSON cannot be signed" in outcome.rejected.detail


@pytest.mark.parametrize(("tenant", "code"), [("acme", "foreign_source"), ("signs", "bad_signature")])
def test_the_predictions_of_such_a_text_are_dropped(tenant: str, code: str) -> None:
    for confidence in (0.99, 0.1):
        made = prediction(submitted=text(tenant=tenant), confidence=confidence)
        outcome = router(policy=GUARDED).receive(received(made))
        assert (outcome.skipped, outcome.events, outcome.rejected) == (code, (), None)


def test_a_request_without_a_service_carries_the_texts_signature() -> None:
    signature = TextSignature(signature="v1=0", value_sha256="0" * 64)
    record = received(text())
    (request,) = requests(router().receive(replace(record, envelope=replace(record.envelope, signature=signature))))
    assert request.prediction.text_signature == signature


MISSPELT = (TextWarning(code="unknown_field", detail="tenent, did you mean tenant?"),)
WRITTEN = [each.model_dump() for each in MISSPELT]


def test_what_was_not_understood_is_told_by_each_result_of_a_text() -> None:
    (request,) = requests(router().receive(replace(received(text()), warnings=MISSPELT)))
    assert request.prediction.warnings == MISSPELT
    for message in (
        prediction(warnings=WRITTEN),
        answer(prediction(warnings=WRITTEN, confidence=0.1), **ANSWERED),
        answer(request.prediction, declined={"code": "policy"}),
    ):
        (result,) = results(router().receive(received(message)))
        assert result.warnings == MISSPELT
    assert results(router().receive(received(prediction())))[0].warnings == ()


def test_a_strict_router_refuses_what_is_not_understood_once() -> None:
    strict = router(strict_texts=True)
    more = (*MISSPELT, TextWarning(code="unknown_value", detail="frontier: …"))
    outcome = strict.receive(replace(received(text(tasks=ALL_TASKS | {"mood": {}})), warnings=more))
    assert outcome.rejected is not None
    assert (outcome.events, outcome.judged) == ((), False)
    assert str(outcome.rejected) == "unknown_field: tenent, did you mean tenant?; frontier: …"
    assert strict.receive(received(prediction(warnings=WRITTEN))) == Outcome(skipped="unknown_field")
    assert requests(strict.receive(received(text())))
    assert results(strict.receive(received(prediction())))


def test_a_strict_router_drops_what_a_specialist_of_an_earlier_version_made_of_such_a_text() -> None:
    """It names no warnings, and hands on the text with the field that it does not know."""
    made = prediction(submitted=text(tenent="acme"))
    assert router(strict_texts=True).receive(received(made)) == Outcome(skipped="unknown_field")
    assert results(router().receive(received(made)))
