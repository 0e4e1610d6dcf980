"""A text that names no language is read in the installation's default, the same for whatever a service does with it."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from sprat.base.errors import UserError
from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.base.settings import LanguageSettings, default_language, language_of_files, load_settings
from sprat.processing.handler import Ask, Outcome, Received
from sprat.processing.loop import LoopContext
from sprat.processing.outbox import Outbox
from sprat.telemetry.tracing import Tracing
from sprat_contracts import FrontierRequested, Message, Prediction, Record, TextSubmitted, Topics, decode
from sprat_contracts.dead_letters import REPLAY_FOR
from sprat_inference.card import Card
from sprat_inference.specialist import SpecialistHandler
from sprat_langid import detect
from sprat_translation.handler import TranslationHandler
from support.batch_parts import Broker
from support.router_records import TOPICS, router
from support.stream import SIGNATURES
from support.wire_records import event, plain, published, signed_replay

GERMAN = "Wo bleibt meine Bestellung? Sie sollte am Montag kommen."
SHORT = "ok 17"


def value(text: str = GERMAN, **fields: Any) -> bytes:
    return json.dumps({"text": text, "tasks": {"intent": {}}} | fields).encode()


def decoded(record: Record, handler: Any, default: str) -> Received[Message]:
    """Return a record as the loop of a service with this setting hands it to the handler."""
    context = LoopContext(
        Outbox("intent", "1", Topics(), Broker([]), SIGNATURES),
        consumer=lambda: pytest.fail("nothing is polled here"),
        tracing=Tracing(exporting=False),
        signatures=SIGNATURES,
        admission=AdmissionControl(),
        failure=Failure(),
        default_language=default,
    )
    item = context.decode(record, handler, 0.0)
    assert item.received is not None
    return item.received


def small(default: str, languages: Iterable[str], kind: type[SpecialistHandler] = SpecialistHandler) -> Any:
    task = "translation" if kind is TranslationHandler else "intent"
    card = Card.model_construct(task=task, name="small", version="1", languages=tuple(languages), targets=("de",))
    return kind(TOPICS, card, "default", owns_from=0, default_language=default)


def decided(record: Record, handler: Any, default: str) -> Outcome | Ask:
    outcome: Outcome | Ask = handler.receive(decoded(record, handler, default))
    return outcome


def structured(text: bytes) -> Record:
    attributes = {"specversion": "1.0", "id": "1", "source": "/crm", "type": TextSubmitted.event_type}
    return plain(json.dumps(attributes | {"data": json.loads(text)}).encode())


def replay(text: bytes) -> Record:
    record = event(text)
    return signed_replay(replace(record, headers=(*record.headers, (REPLAY_FOR, b"intent"))))


FORMS = {"plain JSON": plain, "CloudEvent": event, "structured": structured, "replay": replay}


@pytest.mark.parametrize("form", [pytest.param(form, id=name) for name, form in FORMS.items()])
@pytest.mark.parametrize(
    ("fields", "language"),
    [({}, "de"), ({"language": None}, "de"), ({"language": "en"}, "en"), ({"language": "auto"}, "auto")],
    ids=["none", "null", "another", "auto"],
)
def test_only_a_text_that_names_no_language_is_in_the_default_one(form: Any, fields: Any, language: str) -> None:
    received = decoded(form(value(**fields)), small("de", ["de"]), "de")
    assert isinstance(received.message, TextSubmitted)
    assert received.message.language == language
    assert received.message.names_language == bool(fields.get("language"))


def test_a_german_model_is_asked_as_for_a_text_that_names_german() -> None:
    asked = decided(plain(value()), small("de", ["de"]), "de")
    assert isinstance(asked, Ask)
    assert asked.question.language == "de"
    assert asked == decided(plain(value(language="de")), small("de", ["de"]), "de"), "its cached answer is the same"


def test_a_model_that_does_not_serve_the_default_declines_and_the_prediction_names_it() -> None:
    record = plain(value())
    outcome = decided(record, small("de", ["en"]), "de")
    assert isinstance(outcome, Outcome)
    (emit,) = outcome.events
    envelope = decode(record, TextSubmitted).envelope
    prediction = decode(published(emit, envelope), Prediction).message
    assert prediction.declined is not None
    assert prediction.declined.code == "language"
    assert (prediction.submitted.language, prediction.text_language) == ("de", "de")
    assert prediction.declined.detail == (
        "the text names no language, and de is the default; intent/default serves en; send one of these, or name a "
        "model that serves the text's language"
    )


@pytest.mark.parametrize(
    ("default", "fields"), [("de", {"language": "de"}), ("auto", {}), ("de", {"language": "auto"})]
)
def test_a_text_that_is_declined_for_another_language_names_no_default(default: str, fields: Any) -> None:
    outcome = decided(plain(value(**fields)), small(default, ["en"]), default)
    assert isinstance(outcome, Outcome)
    (prediction,) = [emit.message for emit in outcome.events]
    assert isinstance(prediction, Prediction)
    assert prediction.declined is not None
    assert "names no language" not in prediction.declined.detail


def test_where_no_service_is_announced_the_request_names_it() -> None:
    record = plain(value())
    outcome = decided(record, router(), "de-AT")
    assert isinstance(outcome, Outcome)
    (emit,) = outcome.events
    request = decode(published(emit, decode(record, TextSubmitted).envelope), FrontierRequested).message
    assert (request.reasons, request.prediction.submitted.language) == (("no_service",), "de-AT")


def test_with_auto_as_the_default_such_a_text_is_detected() -> None:
    asked = decided(plain(value()), small("auto", ["de"]), "auto")
    assert isinstance(asked, Ask)
    assert asked.question.language == "de"


@pytest.mark.parametrize(("default", "language"), [("de", "de"), ("pt-BR", "pt-BR"), ("auto", "en"), ("en", "en")])
def test_where_no_language_is_sure_enough_it_is_the_default(default: str, language: str) -> None:
    asked = decided(plain(value(SHORT, language="auto")), small(default, ["de", "pt", "en"]), default)
    assert isinstance(asked, Ask)
    assert asked.question.language == language


@pytest.mark.parametrize(
    ("default", "fields", "unchanged"),
    [("de", {}, False), ("de", {"language": "de"}, True), ("auto", {}, True), ("auto", {"language": "fi"}, False)],
    ids=["default", "named", "detected", "named another"],
)
def test_a_default_is_no_proof_that_a_text_is_its_own_translation(
    default: str, fields: Any, *, unchanged: bool
) -> None:
    handler = small(default, ["en"], TranslationHandler)
    outcome = decided(plain(value(tasks={"translation": {"target": "de"}}, **fields)), handler, default)
    assert isinstance(outcome, Outcome)
    (prediction,) = [emit.message for emit in outcome.events]
    assert isinstance(prediction, Prediction)
    assert (prediction.output is not None, prediction.declined is None) == (unchanged, unchanged)


@pytest.mark.parametrize(("given", "read"), [("de", "de"), ("pt_BR", "pt-BR"), ("Auto", "Auto"), ("gsw", "gsw")])
def test_the_setting_is_a_tag_as_texts_name_it(monkeypatch: pytest.MonkeyPatch, given: str, read: str) -> None:
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", given)
    assert default_language() == read


@pytest.mark.parametrize("given", ["german", "de DE", "", "d", "de-", "-de", "de-abcdefghi", f"de{'-abcdefgh' * 4}"])
def test_a_wrong_tag_is_refused_with_what_to_write(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", given)
    with pytest.raises(UserError) as refused:
        load_settings(LanguageSettings)
    assert str(refused.value) == (
        "settings: SPRAT_DEFAULT_LANGUAGE: no language tag, such as de or pt-BR; auto: it is detected"
    )


@pytest.mark.parametrize(
    ("given", "instead"),
    [("deu", "de"), ("ger_AT", "de-AT"), ("dk", "da"), ("jp", "ja"), ("ge", "de, or ka for Georgian")],
)
def test_a_code_of_no_language_is_refused_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, given: str, instead: str
) -> None:
    monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", given)
    with pytest.raises(UserError) as refused:
        default_language()
    assert str(refused.value) == (
        f"settings: SPRAT_DEFAULT_LANGUAGE: {given.partition('_')[0]} is no language tag: write {instead}"
    )


@pytest.mark.parametrize(("given", "read"), [("de", "de"), ("pt_BR", "pt-BR"), ("auto", "en"), (None, "en")])
def test_a_file_is_read_in_the_default_language_and_in_english_where_that_is_detected(
    monkeypatch: pytest.MonkeyPatch, given: str | None, read: str
) -> None:
    monkeypatch.delenv("SPRAT_DEFAULT_LANGUAGE", raising=False)
    if given is not None:
        monkeypatch.setenv("SPRAT_DEFAULT_LANGUAGE", given)
    assert language_of_files() == read


def test_without_the_setting_it_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPRAT_DEFAULT_LANGUAGE", raising=False)
    assert default_language() == "auto"
    text = decode(plain(value()), TextSubmitted).message
    assert text.language == "auto"
    assert text.read_in("auto") is text


UNSURE = "Hallo Anna, alles ok?"
"""The detector says Estonian, with a confidence from 0.5 to 0.8."""


@pytest.mark.parametrize(
    ("given", "fields", "language"),
    [
        (GERMAN, {}, "de"),
        (SHORT, {}, "fr-CA"),
        (UNSURE, {}, "fr-CA"),
        (UNSURE, {"language": "auto"}, "et"),
        ("Où est ma commande ? Elle devait arriver lundi.", {}, "fr-CA"),
    ],
    ids=["surely another", "no word", "perhaps another", "asked to detect", "its own"],
)
def test_a_model_of_one_language_reads_a_text_without_one_as_its_own(given: str, fields: Any, language: str) -> None:
    assert 0.5 <= detect(UNSURE).confidence < 0.8
    assert detect(UNSURE).language == "et"
    handler, record = small("auto", ["fr-CA"]), plain(value(given, **fields))
    decision = decided(record, handler, "auto")
    if isinstance(decision, Ask):
        decision = handler.failed(decoded(record, handler, "auto"), decision)
    (prediction,) = [emit.message for emit in decision.events]
    assert isinstance(prediction, Prediction)
    assert prediction.language_detected is not None
    assert prediction.text_language == prediction.language_detected.language == language


@pytest.mark.parametrize("fields", [{}, {"language": "auto"}])
@pytest.mark.parametrize(
    ("given", "language"),
    [("Anna is late", "en"), (UNSURE, "et"), ("Wo bleibt sie?", "de"), (SHORT, "en")],
    ids=["perhaps another", "more words", "surely another", "no word"],
)
def test_few_words_are_english_unless_they_are_surely_another(given: str, fields: Any, language: str) -> None:
    asked = decided(plain(value(given, **fields)), small("auto", ["en", "de", "et"]), "auto")
    assert isinstance(asked, Ask)
    assert asked.question.language == language


def test_a_model_of_one_language_reads_a_text_without_one_in_the_default_where_that_is_set() -> None:
    outcome = decided(plain(value(SHORT)), small("de", ["fr"]), "de")
    assert isinstance(outcome, Outcome)
    (prediction,) = [emit.message for emit in outcome.events]
    assert isinstance(prediction, Prediction)
    assert prediction.text_language == "de"
