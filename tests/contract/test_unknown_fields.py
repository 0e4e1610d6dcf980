"""A field of a newer writer survives every hop: text → prediction → request → answer, as bytes between services."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sprat.base.channels import Channels, frontier_channels, router_channels, specialist_channels
from sprat.base.model import Answer
from sprat.processing.handler import Answered, Ask, Outcome, Received
from sprat.processing.records import receive
from sprat_contracts import (
    Envelope,
    FrontierAnswered,
    FrontierRequested,
    IntentOutput,
    Message,
    Prediction,
    Record,
    Result,
    TextSubmitted,
)
from sprat_contracts.topics import Topics
from sprat_inference.specialist import SpecialistHandler
from support import frontier_parts
from support.router_records import announced, router
from support.stream import card
from support.wire_records import event, published

TOPICS = Topics()
NEWS: Any = {"deep": [1, 2.5, None, {"größer": "🐟"}], "flag": True}
SUBMITTED = {
    "text": "please move 100 euros",
    "tasks": {"intent": {"later": NEWS}, "mood": {"scale": 5}},
    "tenant": "acme",
    "frontier": "allow",
    "later": NEWS,
}
OUTPUT = {
    "label": "transfer",
    "alternatives": [{"label": "transfer", "probability": 0.3, "later": NEWS}],
    "later": NEWS,
}

Hop = Callable[[Record], tuple[Record, ...]]


def text() -> Record:
    record = event(json.dumps(SUBMITTED).encode(), ce_id="t-1", ce_source="/app")
    return Record(TOPICS.texts, 3, 41, frontier_parts.NOW_MS, b"key", record.value, record.headers)


def read(record: Record, kind: type[Message]) -> Received[Any]:
    return receive(record, kind)


def written(outcome: Outcome, cause: Envelope, by: Channels) -> list[Record]:
    """Return the records of an outcome; a service writes what it declares, where it declares it."""
    records = []
    for emit in outcome.events:
        assert by.writes[emit.topic] is type(emit.message)
        records.append(published(emit, cause))
    return records


def specialist(record: Record) -> Record:
    handler = SpecialistHandler(TOPICS, card("intent"), "default", owns_from=0)
    received = read(record, TextSubmitted)
    ask = handler.receive(received)
    assert isinstance(ask, Ask)
    answer = Answer(IntentOutput.model_validate_json(json.dumps(OUTPUT)), 0.3)
    outcome = handler.answered(received, ask, Answered(answer, cached=False, timings_ms={"model": 1.0}))
    (prediction,) = written(outcome, received.envelope, specialist_channels("intent", TOPICS))
    return prediction


def routed(record: Record, kind: type[Message], *, served: bool = True) -> Record:
    handler = router(announced(owns_from=0)) if served else router()
    received = read(record, kind)
    (out,) = written(handler.receive(received), received.envelope, router_channels(TOPICS))
    return out


async def frontier(record: Record, provider: Any = None) -> Record:
    parts = frontier_parts.FrontierHarness(provider)
    received = read(record, parts.handler.message_type(record.topic))
    (answer,) = written(await parts.handler.handle(received), received.envelope, frontier_channels(TOPICS))
    return answer


def value(record: Record) -> Any:
    assert record.value is not None
    return json.loads(record.value)


def with_news(record: Record, *path: str) -> Record:
    """Return the record as a newer writer would write it: with a field more at that place."""
    whole = value(record)
    place = whole
    for step in path:
        place = place[step]
    place["added"] = NEWS
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        json.dumps(whole).encode(),
        record.headers,
    )


def assert_submitted(submitted: Mapping[str, Any]) -> None:
    assert submitted["later"] == NEWS
    assert submitted["tasks"] == {"intent": {"model": "default", "later": NEWS}, "mood": {"scale": 5}}


async def test_the_upstreams_and_the_models_news_survive_to_the_answer() -> None:
    prediction = specialist(text())
    request = routed(prediction, Prediction)
    answer = await frontier(request)
    for carried in (
        value(prediction),
        value(request)["prediction"],
        value(answer)["request"]["prediction"],
    ):
        assert_submitted(carried["submitted"])
        assert carried["output"] == OUTPUT
    result = read(routed(answer, FrontierAnswered), Result).message
    assert (result.status, result.source) == ("answered", "frontier")


async def test_the_news_of_each_hop_survive_the_next_ones() -> None:
    prediction = specialist(text())
    for path in ((), ("origin",), ("model",), ("output",), ("submitted", "tasks")):
        prediction = with_news(prediction, *path)
    request = with_news(routed(prediction, Prediction))
    answer = await frontier(request)
    carried = value(answer)["request"]
    assert carried["added"] == NEWS
    assert carried["prediction"]["added"] == NEWS
    for name in ("origin", "model", "output"):
        assert carried["prediction"][name]["added"] == NEWS
    assert carried["prediction"]["submitted"]["tasks"]["added"] == NEWS


async def test_news_survive_where_no_model_serves() -> None:
    answer = await frontier(routed(text(), TextSubmitted, served=False))
    assert_submitted(value(answer)["request"]["prediction"]["submitted"])


async def test_a_field_that_a_model_adds_reaches_the_consumer() -> None:
    said = IntentOutput.model_validate_json(json.dumps(OUTPUT))
    answer = await frontier(routed(specialist(text()), Prediction), frontier_parts.FakeProvider(lambda _: said))
    assert value(answer)["output"] == OUTPUT
    assert value(routed(answer, FrontierAnswered))["output"] == OUTPUT


async def test_the_deepest_field_that_is_accepted_can_be_read_at_the_last_hop() -> None:
    deepest = json.loads('{"x":' * 64 + "1" + "}" * 64)
    submitted = SUBMITTED | {"later": deepest, "tasks": {"intent": {"later": deepest}}}
    record = text()
    submitted_record = Record(
        record.topic, 3, 41, record.timestamp, None, json.dumps(submitted).encode(), record.headers
    )
    answer = await frontier(routed(specialist(submitted_record), Prediction))
    assert value(answer)["request"]["prediction"]["submitted"]["tasks"]["intent"]["later"] == deepest
    assert read(routed(answer, FrontierAnswered), Result).message.status == "answered"


async def test_one_text_has_one_trace_at_every_hop() -> None:
    first = text()
    prediction = specialist(first)
    request = routed(prediction, Prediction)
    answer = await frontier(request)
    result = routed(answer, FrontierAnswered)
    kinds: tuple[type[Message], ...] = (TextSubmitted, Prediction, FrontierRequested, FrontierAnswered, Result)
    traces = {
        read(record, kind).envelope.traceparent.trace_id
        for record, kind in zip((first, prediction, request, answer, result), kinds, strict=True)
    }
    assert len(traces) == 1
