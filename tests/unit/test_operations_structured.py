"""Operators' tools find a text in structured mode by the source and id in its value."""

import json
from dataclasses import replace

import pytest

from sprat_contracts import DeadLetterReason, TextSubmitted, Topics, Traceparent, decode
from sprat_operations.dead_letters import read_dead_letter
from sprat_operations.feedback import TextSearch
from sprat_operations.record_summary import record_kinds
from sprat_operations.replay import plan, skip_sent
from sprat_operations.trace_records import read_step
from support.stream import SIGNATURES
from support.wire_records import TRACE_CONTEXT, TRACEPARENT, plain, signed_letter

TOPICS = Topics()
IDENTITY = ("/app", "t-1")
CONTENT_TYPE = ("content-type", b"application/cloudevents+json")
EVENT = {
    "specversion": "1.0",
    "id": "t-1",
    "source": "/app",
    "type": "dev.sprat.text.submitted.v1",
    "data": {"text": "hi", "tasks": {"intent": {"model": "hr"}}, "tenant": "acme"},
}


@pytest.fixture(params=[(CONTENT_TYPE,), ()], ids=["named", "without a content type"])
def text(request):
    return plain(json.dumps(EVENT).encode(), headers=request.param)


def letter_of(record, **changes):
    place = (record.topic, record.partition, record.offset, record.timestamp)
    reason = replace(DeadLetterReason("model_error", "it broke", *place, "intent", "1.2.3"), **changes)
    headers = tuple(reason.headers(record.headers, record.value))
    return signed_letter(replace(record, topic=TOPICS.dead_letters, offset=0, headers=headers))


def test_it_is_replayed_as_itself_and_once(text):
    letter = read_dead_letter(letter_of(text), SIGNATURES)
    (replay,) = plan([letter], [letter], TOPICS, SIGNATURES).replays
    assert letter.identity == letter.without_value().identity == IDENTITY
    assert letter.trace_id == Traceparent.root(*IDENTITY).trace_id
    assert [name for name, _ in replay.headers if name.startswith("ce_")] == []
    again = decode(replace(text, offset=500, headers=tuple(replay.headers)), TextSubmitted).envelope
    assert ((again.source, again.id), again.replay_for, again.replays) == (IDENTITY, "intent", 1)
    sent = plan([letter], [letter], TOPICS, SIGNATURES)
    assert [each.code for each in skip_sent(sent, {replay.mark: "there"}).left_out] == ["replayed"]


def test_one_without_an_id_gets_no_identity_of_its_place():
    broken = plain(json.dumps(EVENT | {"id": ""}).encode(), headers=(CONTENT_TYPE,))
    letter = read_dead_letter(letter_of(broken, service="router"), SIGNATURES)
    (replay,) = plan([letter], [letter], TOPICS, SIGNATURES).replays
    assert letter.identity is None
    assert [name for name, _ in replay.headers] == ["content-type", "sprat_replays"]


def test_it_and_its_dead_letter_are_found_in_a_trace(text):
    kinds = record_kinds(TOPICS)
    step, letter = (read_step(kinds[each.topic], each, kinds) for each in (text, letter_of(text)))
    assert step.identity == letter.identity == IDENTITY
    assert (step.service, step.tenant, step.tasks, step.models) == ("/app", "acme", ("intent",), {"intent": "hr"})
    assert step.summary.sentence == "asks for intent@hr"


def test_it_is_found_for_its_correction(text):
    wanted = TextSearch({IDENTITY})
    wanted.take(text)
    assert wanted.found[IDENTITY].text.text == "hi"


def test_a_text_whose_headers_are_written_in_capitals_is_found_by_their_id():
    named = (("CE_SPECVERSION", b"1.0"), ("CE_ID", b"t-1"), ("CE_SOURCE", b"/app"), ("CE_TYPE", EVENT["type"].encode()))
    text = plain(json.dumps(EVENT["data"]).encode(), headers=(*named, ("TraceParent", TRACEPARENT.encode())))
    letter = read_dead_letter(letter_of(text), SIGNATURES)
    (replay,) = plan([letter], [letter], TOPICS, SIGNATURES).replays
    assert (letter.identity, letter.is_plain_text, letter.trace_id) == (IDENTITY, False, TRACE_CONTEXT.trace_id)
    assert tuple(replay.headers[:4]) == named, "and none is added"
    step = read_step(record_kinds(TOPICS)[TOPICS.texts], text, record_kinds(TOPICS))
    assert (step.identity, step.trace_id) == (IDENTITY, TRACE_CONTEXT.trace_id)
