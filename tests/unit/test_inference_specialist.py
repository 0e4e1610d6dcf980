"""What a service with a small model asks, skips and declines; and everything that a cached answer depends on."""

import json
from base64 import b64encode
from dataclasses import replace

import pytest

from sprat.base.model import Answer
from sprat.processing.handler import Answered, Ask, Outcome
from sprat_contracts import (
    Entity,
    IntentOutput,
    LabelsOutput,
    NerOutput,
    Prediction,
    Record,
    TaskOptions,
    TextSubmitted,
    TranslationOutput,
    decode,
)
from sprat_contracts.predictions import UNCHANGED, MaskedOutput, ScoredLabel
from sprat_inference.card import Card, DoubtsCard
from sprat_inference.doubts import DOUBTS_READER
from sprat_inference.specialist import SpecialistHandler
from support.measured import by_name, thresholds
from support.router_records import APPENDED_AT, TOPICS, received, text


def specialist(task="intent", *, owns_from=0, left=None, **card):
    fields = {"task": task, "name": "small", "version": "v1", "languages": ("en", "de"), "targets": ("de", "fr")}
    return SpecialistHandler(TOPICS, Card.model_construct(**fields | card), "default", owns_from, left)


def key(record, **card):
    outcome = specialist(**card).receive(received(record))
    assert isinstance(outcome, Ask)
    return outcome.tenant, outcome.question.text, outcome.cache_key


BASE = {"tasks": {"intent": {}, "ner": {}}}


@pytest.mark.parametrize(
    ("fields", "card"),
    [
        ({}, {"version": "v2"}),
        ({}, {"task": "ner"}),
        ({"text": "Move 200 euros"}, {}),
        ({"language": "de"}, {}),
        ({"tenant": "another"}, {}),
        ({"tasks": {"intent": {"beam": 3}, "ner": {}}}, {}),
    ],
    ids=["version of the model", "task", "text", "language", "tenant", "options"],
)
def test_what_an_answer_depends_on_is_in_its_cache_key(fields, card):
    assert key(text(**BASE | fields), **card) != key(text(**BASE))


def test_an_answer_that_may_be_doubted_depends_on_the_rules_too():
    says = DoubtsCard(reader="sprat-doubts/1", denying=(), short=(), several=True)
    assert key(text(**BASE), doubts=says)[2] == (*key(text(**BASE))[2], DOUBTS_READER)


def test_equal_questions_have_one_cache_key():
    assert key(text(**BASE)) == key(text(**BASE, reference={"a": "b"}, frontier="deny"))


@pytest.mark.parametrize(
    ("offset", "appended_at", "left", "skipped"),
    [
        (7, APPENDED_AT, {}, None),
        (7, APPENDED_AT - 1, {}, "older"),
        (7, APPENDED_AT - 1, {3: 7}, "older"),
        (6, APPENDED_AT - 1, {3: 7}, None),
        (6, APPENDED_AT - 1, {2: 7}, "older"),
    ],
)
def test_it_owns_the_texts_since_its_ownership_and_its_lag_at_a_retirement(offset, appended_at, left, skipped):
    record = replace(received(text()), offset=offset, appended_at=appended_at)
    outcome = specialist(owns_from=APPENDED_AT, left=left).receive(record)
    assert (outcome.skipped if isinstance(outcome, Outcome) else None) == skipped


@pytest.mark.parametrize(
    ("record", "replay_for", "skipped"),
    [
        (text(tasks={"ner": {}}), None, "not_asked"),
        (text(tasks={"intent": {"model": "other"}}), None, "other_model"),
        (text(), "ner", "replay"),
        (text(), "intent", None),
    ],
)
def test_what_is_not_for_it_is_skipped(record, replay_for, skipped):
    outcome = specialist().receive(received(record, replay_for=replay_for))
    assert (outcome.skipped if isinstance(outcome, Outcome) else None) == skipped


def escaped(value: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in value)


STRUCTURED = {
    "specversion": "1.0",
    "id": "1",
    "source": "/shop",
    "type": TextSubmitted.event_type,
    "datacontenttype": "application/json",
}
DATA = '{"text": "hi", "tasks": {"intent": {}}}'


@pytest.mark.parametrize(
    "value",
    [
        DATA,
        f'{{"text": "hi", "tasks": {{"{escaped("i")}ntent": {{}}}}}}',
        f'{{"text": "hi", "tasks": {{"in{escaped("TENT".lower())}": {{}}}}}}',
        json.dumps({**STRUCTURED, "data": json.loads(DATA)}, ensure_ascii=True),
        json.dumps({**STRUCTURED, "data": DATA}),
        json.dumps({**STRUCTURED, "data": DATA.replace("intent", escaped("intent"))}),
        json.dumps({**STRUCTURED, "data": DATA}).replace('\\"', escaped('"')),
        json.dumps({**STRUCTURED, "data_base64": b64encode(DATA.encode()).decode()}),
        json.dumps({**STRUCTURED, "data_base64": b64encode(DATA.encode()).decode()}).replace("data_", escaped("data_")),
    ],
)
def test_no_text_that_asks_is_skipped_unread(value):
    record = Record("texts", 0, 0, APPENDED_AT, None, value.encode())
    assert isinstance(decode(record, TextSubmitted).message.tasks.options("intent"), TaskOptions)
    assert specialist().may_ask(record)


@pytest.mark.parametrize(
    "value",
    [
        '{"text": "my intent: grüße, \\u00fc \\u201c\\n", "tasks": {"ner": {}}}',
        '{"text": "hi", "tasks": {"intention": {}}}',
    ],
)
def test_a_text_that_does_not_name_its_task_is_skipped_unread(value):
    assert not specialist().may_ask(Record("texts", 0, 0, APPENDED_AT, None, value.encode()))


def test_what_is_no_bytes_is_decoded():
    assert specialist().may_ask(Record("texts", 0, 0, APPENDED_AT, None, None))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"language": "fi"}, "language"),
        ({"language": "en-GB"}, None),
        ({"tasks": {"translation": {"target": "sv"}}}, "target"),
        ({"tasks": {"translation": {"target": "de-AT"}}}, None),
    ],
)
def test_a_language_or_target_that_it_does_not_serve_is_declined(fields, code):
    task = next(iter(fields.get("tasks", {"intent": {}})))
    outcome = specialist(task).receive(received(text(**fields)))
    if code is None:
        assert isinstance(outcome, Ask)
        return
    (emit,) = outcome.events
    assert isinstance(emit.message, Prediction)
    assert emit.message.declined.code == code


GERMAN = "Wo bleibt meine Bestellung? Sie sollte am Montag kommen."
DUTCH = "Waar blijft mijn bestelling? Die zou maandag komen."


def test_with_auto_the_model_is_asked_in_the_detected_language():
    one, record = specialist(), received(text(text=GERMAN, language="auto"))
    ask = one.receive(record)
    assert isinstance(ask, Ask)
    assert ask.question.language == "de"
    made = one.failed(record, ask).events[0].message
    assert (made.submitted.language, made.language_detected.language, made.text_language) == ("auto", "de", "de")
    assert made.language_detected.confidence > 0.99
    assert key(text(text=GERMAN, language="auto")) == key(text(text=GERMAN, language="de"))


def test_with_auto_it_declines_the_detected_language_and_says_which():
    (emit,) = specialist().receive(received(text(text=DUTCH, language="auto"))).events
    assert emit.message.language_detected.language == "nl"
    assert emit.message.declined.code == "language"
    assert emit.message.declined.detail.startswith("detected nl (1.00); intent/default serves en, de; send one of")


@pytest.mark.parametrize("task", ["intent", "translation"])
@pytest.mark.parametrize("tag", ["deutsch", "xx", "x-klingon", "deutsch-AT"])
def test_what_is_no_known_language_is_said_to_be_that(task, tag):
    tasks = {task: {"target": "de"} if task == "translation" else {}}
    (emit,) = specialist(task).receive(received(text(language=tag, tasks=tasks))).events
    assert emit.message.declined.code == "language"
    assert emit.message.declined.detail == f"{tag} is no known language; send a tag such as de"


def test_a_model_for_all_languages_takes_any():
    assert isinstance(specialist(languages=()).receive(received(text(language="deutsch"))), Ask)


def test_with_auto_a_text_of_no_sure_language_is_read_in_the_default_one():
    ask = specialist().receive(received(text(text="4711 / 0815", language="AUTO")))
    assert isinstance(ask, Ask)
    assert ask.question.language == "en"


def test_without_auto_nothing_is_detected():
    one, record = specialist(), received(text(text=DUTCH, language="en"))
    assert one.failed(record, one.receive(record)).events[0].message.language_detected is None


def test_a_text_that_breaks_the_model_is_declined_and_becomes_a_dead_letter_by_own_fault():
    one = specialist()
    record = received(text())
    outcome = one.failed(record, one.receive(record))
    assert outcome.rejected.own_fault
    assert outcome.events[0].message.declined.code == "model_error"


ENTITY = Entity(start=0, end=4, text="Anna", label="PER", probability=0.9)
SOME = {
    "intent": IntentOutput(label="pay"),
    "ner": NerOutput(entities=(ENTITY,)),
    "translation": TranslationOutput(text="Hallo", target="de"),
    "topics": LabelsOutput(labels=(ScoredLabel(label="a", probability=0.9),)),
    "clean": MaskedOutput(masked="[PERSON_1]", spans=()),
}
NONE = {"intent": IntentOutput(label=None), "ner": NerOutput(entities=()), "topics": LabelsOutput(labels=())}


def judged(output, confidence, *, stage=None, cached=False, language="en", by=thresholds(german=0.9)):  # noqa: B008 - frozen
    one, record = specialist(), received(text(language=language, text=GERMAN))
    one.thresholds = by
    answered = Answered(Answer(output, confidence, stage), cached=cached, timings_ms={})
    return one.answered(record, one.receive(record), answered).events[0].message.accuracy


@pytest.mark.parametrize("task", SOME)
def test_an_answer_carries_the_levels_that_its_confidence_reaches(task):
    levels = [judged(SOME[task], confidence) for confidence in (0.5, 0.6, 0.8, 0.95)]
    assert [each.estimated for each in levels] == [None, 0.97, 0.97, 0.99]
    assert [each.certified for each in levels] == [None, None, 0.97, 0.97]
    assert {(each.thresholds, each.rows) for each in levels} == {(thresholds(german=0.9).thresholds_version, 400)}


@pytest.mark.parametrize("task", NONE)
def test_an_answer_that_names_nothing_has_levels_of_its_own(task):
    worth = judged(NONE[task], 0.95)
    assert (worth.certified, worth.estimated, worth.rows) == (None, 0.9, 50)


@pytest.mark.parametrize(("language", "estimated"), [("de-AT", None), ("auto", None), ("en", 0.97)])
def test_the_estimate_is_that_of_the_language_that_the_text_was_read_in(language, estimated):
    assert judged(SOME["intent"], 0.7, language=language).estimated == estimated


def test_a_cached_answer_is_judged_by_the_thresholds_of_now():
    before, after = (
        judged(SOME["intent"], 0.7, cached=True, by=by) for by in (thresholds(), thresholds(certified=0.7))
    )
    assert (before.certified, after.certified) == (None, 0.97)
    assert before.thresholds != after.thresholds


def test_without_thresholds_and_where_no_model_was_asked_an_answer_has_no_level():
    assert judged(SOME["intent"], 0.99, by=None) is None
    assert judged(SOME["translation"], 1.0, stage=UNCHANGED) is None
    assert judged(SOME["intent"], 0.99, stage="lexical").estimated == 0.99


def test_what_is_declined_has_no_level():
    one, record = specialist(), received(text(language="fi"))
    one.thresholds = thresholds()
    (emit,) = one.receive(record).events
    assert emit.message.accuracy is None


PERSON, PLACE, MAIL = (
    Entity(start=0, end=4, text="Anna", label=label, probability=probability)
    for label, probability in (("PER", 0.9), ("LOC", 0.9), ("EMAIL", 1.0))
)


def named(output, *, nothing_missed=0.9, by=by_name(), **how):  # noqa: B008 - frozen
    one, record = specialist("ner"), received(text(language=how.pop("language", "en"), tasks={"ner": {}}))
    one.thresholds = by
    answer = Answer(output, 0.7, nothing_missed=nothing_missed, **how)
    answered = Answered(answer, cached=True, timings_ms={})
    return one.answered(record, one.receive(record), answered).events[0].message


def test_each_name_carries_the_level_of_its_type_and_probability():
    output = NerOutput(entities=(PERSON, PLACE, MAIL, PLACE.model_copy(update={"probability": 0.99})))
    levels = [each.level for each in named(output).output.entities]
    assert levels == [0.95, None, None, 0.98], "of a place 0.9 reaches none; of mails nothing was measured"
    assert output.entities[0].level is None, "what is cached has none: the thresholds of now judge it"


@pytest.mark.parametrize(("language", "level"), [("de", 0.9), ("de-AT", 0.9), ("fr", 0.95)])
def test_a_name_is_judged_by_its_language_else_by_all_together(language, level):
    one = specialist("ner", languages=())
    record = received(text(language=language, tasks={"ner": {}}))
    one.thresholds = by_name()
    answered = Answered(Answer(NerOutput(entities=(PERSON,)), 0.7), cached=False, timings_ms={})
    (entity,) = one.answered(record, one.receive(record), answered).events[0].message.output.entities
    assert entity.level == level


def test_what_it_is_worth_that_nothing_is_missed_is_no_word_about_the_whole():
    made = named(NerOutput(entities=(PERSON,)))
    assert (made.nothing_missed.estimated, made.nothing_missed.certified, made.nothing_missed.rows) == (0.96, None, 70)
    assert made.nothing_missed.thresholds == by_name().thresholds_version
    assert made.accuracy.estimated == 0.97
    assert named(NerOutput(entities=(PERSON,)), nothing_missed=0.5).nothing_missed.estimated is None


def test_where_nothing_is_named_nothing_missed_is_the_whole():
    made = named(NerOutput(entities=()), nothing_missed=0.7)
    assert made.nothing_missed == made.accuracy
    assert made.accuracy.estimated == 0.9


@pytest.mark.parametrize(
    "unknown", [{"nothing_missed": None}, {"by": None}, {"renormalised": True}, {"by": thresholds()}]
)
def test_what_was_not_measured_of_names_is_not_stated(unknown):
    made = named(NerOutput(entities=(PERSON,)), **unknown)
    assert made.nothing_missed is None
    assert (made.output.entities[0].level is None) == ("nothing_missed" not in unknown)


def test_an_announcement_carries_no_levels_of_names():
    announced = by_name().announced()
    assert (announced.entities, announced.nothing_missed) == ((), ())
    assert announced.thresholds_version == by_name().thresholds_version
