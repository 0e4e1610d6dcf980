"""The search for the records of a text among others, and their tree; without a broker."""

import json
from dataclasses import replace

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from sprat_contracts import Cause, Declined, TextWarning, TierStep, Topics, Traceparent
from sprat_operations.record_summary import RecordKind, summarise
from sprat_operations.trace import trace
from sprat_operations.trace_records import (
    TraceQuery,
    group_by_text,
    in_time_order,
    rejection,
    requested_models,
    tasks_without_result,
    trace_trees,
)
from support.snapshots import matches_snapshot
from support.traced_records import BEGAN, SAID, TracedText, without

TOPICS = Topics()


class FakeReader:
    """Topics with these records on them; says from when on each was read."""

    def __init__(self, *records, hidden=(), unreadable=()):
        self._records = records
        self._hidden, self._unreadable = hidden, unreadable
        self.since_ms = {}

    async def unreadable_topics(self, topics):
        return {topic: "you may not see it" for topic in topics if topic in self._hidden}

    async def read_since(self, topics, since_ms):
        assert not set(topics) & set(self._hidden)
        for topic in topics:
            if topic in self._unreadable:
                raise TopicAuthorizationFailedError(topic)
            self.since_ms[topic] = since_ms
            yield [record for record in self._records if record.topic == topic and record.timestamp >= since_ms]


async def find(*records, id="order-7", source=None, since_ms=0):
    return await trace(FakeReader(*records), TOPICS, TraceQuery(id, source), since_ms)


async def test_topics_that_one_may_not_read_are_left_out_and_named_and_the_rest_is_found_once():
    hidden, unreadable = TOPICS.predictions("intent"), (TOPICS.frontier_answers, TOPICS.egress)
    reader = FakeReader(*TracedText().whole(), hidden=(hidden,), unreadable=unreadable)
    found = await trace(reader, TOPICS, TraceQuery("order-7"), 0)
    assert sorted(str(step.kind) for step in found.steps) == ["request", "result", "text"]
    assert found.unreadable_topics == {hidden: "you may not see it", **dict.fromkeys(unreadable, "you may not read it")}
    with pytest.raises(TopicAuthorizationFailedError):
        await trace(FakeReader(unreadable=(TOPICS.texts,)), TOPICS, TraceQuery("order-7"), 0)


def shape(nodes):
    return [(str(node.step.kind), shape(node.children)) if node.children else str(node.step.kind) for node in nodes]


async def test_an_escalated_text_is_a_tree_from_cause_to_effect():
    way = TracedText()
    found = await find(
        *reversed(way.whole()), way.feedback(), *TracedText("order-71").whole(), *TracedText("other").whole()
    )
    (tree,) = trace_trees(found.steps)
    assert {step.identity for step in found.steps} == {("/crm", "order-7")}
    assert shape([tree]) == [
        ("text", [("prediction", [("request", [("egress", ["egress"]), ("answer", [("result", ["feedback"])])])])])
    ]
    assert found.shared_calls == set()
    assert tasks_without_result(found.steps) == ()


async def test_a_review_hangs_below_the_prediction_its_answer_and_its_end_below_the_review():
    way = TracedText()
    told = [way.text(), way.prediction(), way.result(decision="kept"), way.review()]
    found = await find(*told, way.reviewed(), way.feedback(), way.review_closed(), way.alarm(TracedText("order-8")))
    assert shape(trace_trees(found.steps)) == [
        ("text", [("prediction", [("result", ["feedback"]), ("review", ["feedback", "review_closed"])])])
    ], "a correction that somebody picked belongs to the Result; an alarm to no text"


async def test_a_step_says_who_wrote_it_what_it_says_and_why_but_never_the_text():
    found = await find(*TracedText().whole())
    steps = {(step.kind, step.summary.decision): step for step in found.steps}
    result = steps[RecordKind.result, "escalated"]
    assert (result.service, result.summary.sentence, result.summary.reason) == (
        "router",
        "answered by frontier: transfer",
        "low_confidence",
    )
    assert steps[RecordKind.text, ""].service == "/crm"
    assert steps[RecordKind.egress, "attempt"].summary.reason == "masked: 2 PERSON"
    assert SAID not in repr(found)


@pytest.mark.parametrize(
    "way", [TracedText(), TracedText.plain((TOPICS.texts, 1, 9), 1_700_000_000_000)], ids=["CloudEvent", "plain JSON"]
)
async def test_a_text_is_found_by_its_trace_as_by_its_id(way):
    other = TracedText("order-8")
    headers = way.source == "/crm"
    records = [
        way.text(headers=headers),
        way.prediction(),
        way.request(),
        way.call("attempt", 100),
        way.answer(),
        way.result(),
    ]
    records += [other.text(), other.prediction(), other.result(decision="kept")]
    by_id = await find(*records, id=way.id)
    assert len(by_id.steps) == 6
    assert await find(*records, id=way.traceparent.trace_id) == by_id
    assert (await find(*records, id="f" * 32)).steps == []


async def test_each_task_has_a_branch_and_one_without_a_result_is_reported():
    way = TracedText(tasks=("intent", "ner"))
    found = await find(way.text(), way.prediction(), way.result(decision="kept"), way.request(task="ner", model=None))
    assert shape(trace_trees(found.steps)) == [("text", [("prediction", ["result"]), "request"])]
    assert tasks_without_result(found.steps) == ("ner",)


async def test_the_model_that_the_text_asks_for_is_known_from_the_text_or_from_what_carries_it():
    way = TracedText(tasks=("intent", "ner"))
    way.options = {"intent": {"model": "hr"}, "ner": {}}
    records = [way.text(), way.prediction(), way.request(), way.answer(), way.result()]
    found = await find(*records)
    assert found.steps[0].summary.sentence == "asks for intent@hr, ner"
    assert requested_models(found.steps) == {"intent": "hr", "ner": "default"}
    for record in records[1:4]:
        (step,) = (await find(record)).steps
        assert step.models == {"intent": "hr", "ner": "default"}, step.kind
    assert requested_models((await find(records[4])).steps) == {}


async def test_options_that_are_no_options_do_no_harm():
    way = TracedText()
    text = way.text()
    value = {"text": SAID, "tasks": {"intent": {"model": 7}, "ner": None, "translation": ["x"]}}
    (step,) = (await find(replace(text, value=json.dumps(value).encode()))).steps
    assert step.models == {"intent": "default", "translation": "default"}


async def test_a_task_that_is_null_is_not_asked_for():
    way = TracedText()
    value = {"text": SAID, "tasks": {"intent": {}, "ner": None, "desk": None}}
    found = await find(replace(way.text(), value=json.dumps(value).encode()), way.result())
    assert found.steps[0].summary.sentence == "asks for intent"
    assert tasks_without_result(found.steps, ("intent", "ner", "desk")) == ()


async def test_a_text_that_the_router_rejected_is_ended_by_its_dead_letter():
    way = TracedText()
    text = way.text()
    found = await find(text, way.letter(text))
    assert shape(trace_trees(found.steps)) == [("text", ["dead_letter"])]
    assert tasks_without_result(found.steps) == ("intent",)
    assert rejection(found.steps).summary.reason == "invalid_text"
    alone = await find(way.letter(text))
    assert rejection(alone.steps) is not None, "the text may be older than the look back"


async def test_a_dead_letter_of_a_task_of_a_service_or_of_an_earlier_record_does_not_end_the_text():
    way = TracedText()
    text = way.text()
    corrected = replace(text, offset=text.offset + 1, timestamp=text.timestamp + 50)
    for records in (
        (text, way.letter(text, code="unknown_task")),
        (text, way.letter(text, code="defect", service="intent")),
        (text, way.letter(way.prediction(), code="defect")),
        (text, way.letter(text), corrected),
    ):
        found = await find(*records)
        assert rejection(found.steps) is None
        assert tasks_without_result(found.steps) == ("intent",)


async def test_a_plain_json_text_is_found_by_the_id_that_it_was_given():
    way = TracedText.plain((TOPICS.texts, 2, 17), BEGAN)
    text = way.text(headers=False)
    other = replace(text, offset=18)
    found = await find(text, other, way.prediction(), way.letter(text), id=f"17-{BEGAN}")
    assert shape(trace_trees(found.steps)) == [("text", ["prediction", "dead_letter"])]
    assert found.steps[0].identity == ("/sprat.texts.v1/2", f"17-{BEGAN}")


async def test_a_text_in_structured_mode_is_found_by_the_id_in_its_value():
    text, *others = TracedText().whole()
    event = {"specversion": "1.0", "id": "order-7", "source": "/crm", "data": json.loads(text.value)}
    headers = [("content-type", b"application/cloudevents+json")]
    found = await find(replace(text, value=json.dumps(event).encode(), headers=headers), *others)
    assert [str(step.kind) for step in in_time_order(found.steps)][:2] == ["text", "prediction"]


@pytest.mark.parametrize("mode", ["binary", "source empty", "structured", "source a number"])
async def test_a_text_without_a_source_and_its_dead_letter_are_found_by_the_id(mode):
    way = TracedText()
    text = way.text()
    kept = [each for each in text.headers if each[0] not in {"ce_source", "traceparent"}]
    if mode == "source empty":
        kept.append(("ce_source", b""))
    if mode in {"structured", "source a number"}:
        event = {"specversion": "1.0", "id": "order-7", "data": json.loads(text.value)}
        event |= {"source": 7} if mode != "structured" else {}
        text = replace(text, value=json.dumps(event).encode())
        kept = [("content-type", b"application/cloudevents+json")]
    text = replace(text, headers=kept)
    letter = way.letter(text, code="invalid_cloudevent")
    found = await find(text, letter, TracedText("order-71").text())
    assert shape(trace_trees(found.steps)) == [("text", ["dead_letter"])]
    assert group_by_text(found.steps).keys() == {("", "order-7")}
    assert [step.trace_id for step in found.steps] == [None, None], "nobody has a trace of it"
    assert rejection(found.steps) is not None
    alone = await find(letter)
    assert rejection(alone.steps) is not None, "the text may be older than the look back"
    assert (await find(text, letter, source="/crm")).steps == []


async def test_the_id_of_another_record_than_a_text_is_none_of_a_text():
    way = TracedText()
    prediction = replace(way.prediction(), value=b"{", headers=[("ce_id", b"order-7")])
    assert (await find(way.letter(prediction, code="invalid_json"))).steps == []


async def test_a_dead_letter_of_any_record_is_below_it_even_without_its_value():
    way = TracedText()
    prediction = way.prediction()
    letter = way.letter(prediction, code="too_large", value=b"")
    found = await find(
        way.text(), prediction, letter, way.letter(TracedText("other").prediction(offset=9), value=b"", offset=8)
    )
    assert shape(trace_trees(found.steps)) == [("text", [("prediction", ["dead_letter"])])]
    assert group_by_text(found.steps).keys() == {("/crm", "order-7")}


async def test_texts_of_one_id_and_several_sources_are_kept_apart():
    records = [*TracedText(source="/crm").whole(), *TracedText(source="/shop").whole()]
    found = await find(*records)
    assert {identity: len(steps) for identity, steps in group_by_text(found.steps).items()} == {
        ("/crm", "order-7"): 7,
        ("/shop", "order-7"): 7,
    }
    assert set(group_by_text((await find(*records, source="/shop")).steps)) == {("/shop", "order-7")}


async def test_calls_of_another_text_under_the_same_trace_are_not_taken_for_its_own():
    shared = Traceparent.root("/crm", "a batch of the upstream")
    first, second = TracedText(traceparent=shared), TracedText("order-8", traceparent=shared)
    spans = [replace(shared, parent_id=f"{number:016x}") for number in (1, 2)]
    records = [first.text(), first.prediction(), first.request(), second.text(), second.request()]
    traced = [
        replace(way.answer(), headers=_with_span(way, span)) for way, span in zip((first, second), spans, strict=True)
    ]
    mine, other = (
        first.call("attempt", 30, call_id=call, traceparent=span) for call, span in zip("ab", spans, strict=True)
    )
    found = await find(*records, *traced, mine, other)
    assert {step.call_id for step in found.steps if step.call_id} == {"a"}
    assert found.shared_calls == set()


def _with_span(way, span):
    return tuple((name, str(span).encode() if name == "traceparent" else value) for name, value in way.answer().headers)


async def test_calls_that_may_belong_to_another_text_are_marked():
    shared = Traceparent.root("/crm", "a batch of the upstream")
    first, second = TracedText(traceparent=shared), TracedText("order-8", traceparent=shared)
    found = await find(*first.whole(), *second.whole())
    assert found.shared_calls == {"call-1"}


async def test_calls_with_a_span_of_their_own_are_marked_where_texts_share_a_trace():
    shared = Traceparent.root("/crm", "a batch of the upstream")
    first, second = TracedText(traceparent=shared), TracedText("order-8", traceparent=shared)
    call = first.call("attempt", 30, call_id="a", traceparent=replace(shared, parent_id="1" * 16))
    alone = [first.text(), first.prediction(), first.request(), first.answer()]
    assert (await find(*alone, call)).shared_calls == set()
    assert (await find(*alone, second.text(), second.request(), call)).shared_calls == {"a"}


async def test_a_call_of_another_tenant_or_task_is_not_its_own():
    way = TracedText()
    calls = [way.call("attempt", 30, call_id="a", tenant="beta"), way.call("attempt", 30, call_id="b", task="ner")]
    found = await find(*way.whole()[:3], *calls)
    assert not [step for step in found.steps if step.call_id]


async def test_where_the_text_is_older_than_the_look_back_the_rest_is_found():
    way = TracedText()
    found = await find(*way.whole(), since_ms=BEGAN + 5)
    assert shape(trace_trees(found.steps)) == [
        ("prediction", [("request", [("egress", ["egress"]), ("answer", ["result"])])])
    ]
    assert min(step.text_at for step in found.steps if step.text_at) == BEGAN
    assert tasks_without_result(found.steps) == ()


async def test_other_topics_are_read_from_the_text_on_and_egress_only_where_something_was_escalated():
    way = TracedText()
    reader = FakeReader(way.text(), way.prediction(), way.result(decision="kept"))
    await trace(reader, TOPICS, TraceQuery("order-7"), 0)
    assert reader.since_ms[TOPICS.texts] == 0
    assert reader.since_ms[TOPICS.results("intent")] == BEGAN - 60_000
    assert TOPICS.egress not in reader.since_ms


async def test_a_cause_whose_broker_has_a_later_clock_is_found_all_the_same():
    way = TracedText()
    found = await find(way.text(after_ms=40), way.prediction(after_ms=10), way.result(after_ms=5, decision="kept"))
    assert shape(trace_trees(found.steps)) == [("text", [("prediction", ["result"])])]


async def test_a_redelivery_hangs_below_what_it_comes_of():
    way = TracedText()
    records = [way.text(), way.prediction(10), way.prediction(100, offset=2)]
    records += [way.result(20, decision="kept"), way.result(110, decision="kept", offset=6)]
    assert shape(trace_trees((await find(*records)).steps)) == [("text", [("prediction", ["result"])] * 2)]


@pytest.mark.parametrize("id", ['say "hi"', "grün/7", "back\\slash", "\u2028"])
async def test_ids_are_found_however_json_writes_them(id):
    way = TracedText(id)
    feedback = way.feedback()
    escaped = replace(feedback, value=json.dumps(json.loads(feedback.value)).encode())
    slashed = replace(feedback, offset=9, value=feedback.value.replace(b"/7", rb"\/7"))
    found = await find(way.text(), way.prediction(), escaped, slashed, id=id)
    assert len(found.steps) == 4


async def test_records_that_are_not_what_their_topic_holds_do_no_harm():
    way = TracedText()
    odd = [
        replace(way.result(), value=value) for value in (b"order-7", b'["order-7"]', b'{"text_id": "order-7"}', None)
    ]
    letter = replace(way.letter(way.text()), headers=(("ce_id", b"order-7"),))
    bare = without(way.prediction(), "origin", "model", "output")
    found = await find(way.text(), bare, *odd, letter)
    assert [(step.kind, step.summary.sentence) for step in in_time_order(found.steps)] == [
        (RecordKind.text, "asks for intent"),
        (RecordKind.prediction, ""),
    ]


GONE = Cause(code="no_service", detail="no model intent/hrr served; did you mean hr?")
DENIED = Cause(code="policy", detail="the policy lets nothing of the tenant acme leave")
OUTPUTS = {
    "intent": {"label": None},
    "mood": {"label": None},
    "topics": {"labels": [{"label": "badge"}, {"label": "leave"}], "alternatives": []},
    "colours": {"labels": [], "alternatives": []},
    "pii": {"masked": "[A]", "spans": [{}]},
    "summary": {"content": "…"},
}
NOT_ASKED = [TierStep(tier=code, provider="x", outcome=code) for code in ("no_confidence", "policy")]


async def test_what_a_record_says_is_told_in_words():
    """Those that are found first, then values alone."""
    way = TracedText()
    records = [
        replace(way.text(), value=b'{"text": "hi", "tasks"'),
        way.answer(
            tiers=(
                TierStep(
                    tier="house", provider="vllm", outcome="unsure", label="balance", confidence=0.9, calibrated=0.4
                ),
                TierStep(tier="big", provider="mistral", outcome="kept"),
            )
        ),
        way.answer(
            tiers=(TierStep(tier="house", provider="vllm", outcome="invalid_answer"), *NOT_ASKED),
            output=None,
            declined=Declined(code="policy"),
        ),
        way.answer(output=None, model=None, declined=Declined(code="deadline")),
        way.result(status="degraded", source="small", declined=Declined(code="deadline")),
        way.answer(output=None, model=None, declined=Declined(code=DENIED.code, detail=DENIED.detail)),
        way.result(
            status="unanswered",
            source="none",
            output=None,
            declined=Declined(code=GONE.code, detail=GONE.detail, causes=(GONE, DENIED)),
            warnings=(TextWarning(code="unknown_field", detail="tenent, did you mean tenant?"),),
        ),
        way.review(),
        way.reviewed(),
        way.reviewed(verdict="cannot_tell"),
        way.review_closed(verdict="wrong", disputed=True),
        way.review_closed(verdict="unanswered", by=None),
    ]
    said = []
    for record in records:
        (step,) = (await find(record)).steps
        said.append((step.kind, step.summary))
    answered = {"model": {"name": "m"}, "confidence": 0.5, "declined": None}
    values = [
        *((RecordKind.prediction, answered | {"task": task, "output": output}) for task, output in OUTPUTS.items()),
        (RecordKind.prediction, answered | {"task": "intent", "output": {"label": "pay"}, "renormalised": True}),
        (RecordKind.prediction, {"declined": dict(GONE)}),
        # What a declined text would have needed is not said, as it has no confidence.
        (RecordKind.request, {"prediction": {"confidence": None}, "reasons": ["declined"], "threshold": 0.72}),
    ]
    said += [(kind, summarise(kind, value)) for kind, value in values]
    lines = [f"{kind}: {each.sentence} | {each.decision} | {each.reason}" for kind, each in said]
    assert matches_snapshot("records", "\n".join([*lines, ""]))
