"""One text, one trace: on every topic, and in the spans that are exported."""

import asyncio
import json
import os
import subprocess
import sys

from opentelemetry.sdk.trace import ReadableSpan

from conftest import Kafka, Redis
from sprat_contracts import Traceparent
from support.otlp_sink import otlp_sink, values
from support.spans import Spans
from support.stream import SECRET, eventually, made_topics, publish, read_all, read_until, settings_for
from support.system import ALLOWED, whole_system

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
HARD = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"hard"),
    ("ce_source", b"/crm"),
    ("ce_type", b"dev.sprat.text.submitted.v1"),
]


def trace_of(record) -> str:
    return dict(record.headers)["traceparent"].decode().split("-")[1]


async def test_one_text_has_one_trace_id_on_every_topic(kafka: Kafka, redis_server: Redis, prefix: str) -> None:
    async with whole_system(kafka.bootstrap, redis_server.url, prefix) as system:
        value = {"text": "vad är mitt saldo", "language": "sv", "tasks": {"intent": {}}, "tenant": ALLOWED}
        place = await system.submit(value | {"frontier": "allow"}, [("traceparent", PARENT), ("tracestate", b"a=b")])
        assert (await system.result(place)).source == "frontier"
        await eventually(lambda: _both_egress(system), 20)
        t = system.topics
        passed = (t.predictions("intent"), t.frontier_requests, t.egress, t.frontier_answers, t.results("intent"))
        for topic in passed:
            records = await read_all(kafka.bootstrap, topic)
            assert {trace_of(record) for record in records} == {TRACE}, topic


async def _both_egress(system) -> bool:
    return len(await read_all(system.bootstrap, system.topics.egress)) == 2


async def test_a_span_for_each_record_is_exported_names_the_model_and_continues_the_texts_trace(
    kafka: Kafka, prefix: str
) -> None:
    topics = await made_topics(settings_for(kafka.bootstrap, prefix))
    with otlp_sink() as collector:
        environment = os.environ | {
            "SPRAT_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "SPRAT_KAFKA__PREFIX": prefix,
            "SPRAT_REDIS__URL": "redis://127.0.0.1:1/0",
            "SPRAT_SECRET": SECRET,
            "SPRAT_HEALTH_PORT": "0",
            "SPRAT_INTENT__MODEL": "hr",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        process = subprocess.Popen([sys.executable, "-m", "sprat_intent"], env=environment, stderr=subprocess.PIPE)
        try:
            await read_until(kafka.bootstrap, [topics.models], 2)
            value = {"text": "what is my balance, says Zyxwvut", "tasks": {"intent": {"model": "hr"}}}
            await publish(kafka.bootstrap, topics.texts, [json.dumps(value).encode()], [("traceparent", PARENT)])
            (record,) = await read_until(kafka.bootstrap, [topics.predictions("intent")], 1)
        finally:
            process.terminate()
            _, logged = await asyncio.to_thread(process.communicate, None, 20)
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {
        "poll",
        "MGET",
        f"process {topics.texts}",
        "infer intent",
        f"send {topics.predictions('intent')}",
        "commit",
    }
    process, poll, sent = spans[f"process {topics.texts}"], spans["poll"], spans[f"send {topics.predictions('intent')}"]
    attributes = values(process.attributes)
    assert (process.trace_id.hex(), process.parent_span_id.hex()) == (TRACE, "00f067aa0ba902b7")
    assert [link.span_id for link in process.links] == [poll.span_id]
    assert [link.span_id.hex() for link in poll.links] == ["00f067aa0ba902b7"]
    assert (sent.trace_id, sent.parent_span_id) == (process.trace_id, process.span_id)
    assert dict(record.headers)["traceparent"].decode().split("-")[2] == sent.span_id.hex(), "the record continues it"
    assert {spans[name].parent_span_id for name in ("infer intent", "commit")} == {poll.span_id}
    assert attributes["messaging.consumer.group.name"].endswith("intent.hr")
    assert attributes["sprat.task"] == "intent"
    assert {(each["service.name"], each["sprat.model.name"]) for each in collector.resources} == {
        ("sprat-intent", "hr")
    }, "each export, and there may be several, names service and model"
    assert {(line["service"], line["model"]) for line in map(json.loads, logged.splitlines())} == {("intent", "hr")}
    assert attributes["messaging.kafka.offset"] == 0
    assert "Zyxwvut" not in str(collector.spans)


async def test_all_hops_of_a_hard_text_are_one_tree_under_one_root(
    kafka: Kafka, redis_server: Redis, prefix: str, spans: Spans
) -> None:
    async with whole_system(kafka.bootstrap, redis_server.url, prefix, exporting=True) as system:
        text = {"text": "vad är mitt saldo", "language": "sv", "tasks": {"intent": {}}, "tenant": ALLOWED}
        place = await system.submit(text | {"frontier": "allow"}, HARD)
        assert (await system.result(place)).source == "frontier"
        await system.settled()
        t = system.topics
    root = Traceparent.root("/crm", "hard")
    tree = {span.context.span_id: span for span in spans.all if f"{span.context.trace_id:032x}" == root.trace_id}
    assert len([span for span in tree.values() if span.parent is None]) == 1
    assert all(span.parent is None or span.parent.span_id in tree for span in tree.values()), "no parent is missing"

    def above(span: ReadableSpan) -> list[str]:
        return [span.name, *(above(tree[span.parent.span_id]) if span.parent else ())]

    (ended,) = [span for span in tree.values() if span.name == f"send {t.results('intent')}"]
    hops = [f"accept {t.texts}", f"process {t.texts}", f"send {t.predictions('intent')}"]
    hops += [f"process {t.predictions('intent')}", f"send {t.frontier_requests}", f"process {t.frontier_requests}"]
    hops += [f"send {t.frontier_answers}", f"process {t.frontier_answers}", f"send {t.results('intent')}"]
    assert above(ended) == hops[::-1]
    (call,) = [span for span in tree.values() if span.name == "chat simulated-large"]
    assert above(call)[1] == f"process {t.frontier_requests}"
    records = [span for span in tree.values() if span.name.startswith("process ")]
    batches = {span.context.span_id: span for span in spans.named("poll")}
    for span in records:
        (batch,) = [batches[link.context.span_id] for link in span.links]
        assert span.parent.span_id in {link.context.span_id for link in batch.links}
    result = next(span.attributes for span in records if span.name == f"process {t.frontier_answers}")
    assert (result["sprat.decision"], result["sprat.status"]) == ("escalated", "answered")


async def test_a_text_that_is_another_services_has_no_span_there(
    kafka: Kafka, redis_server: Redis, prefix: str, spans: Spans
) -> None:
    async with whole_system(kafka.bootstrap, redis_server.url, prefix, exporting=True) as system:
        text = {"text": "Ada lives in Rome", "tasks": {"ner": {}}, "frontier": "deny"}
        place = await system.submit(text, HARD)
        await system.result(place, "ner")
        await system.settled()
        t = system.topics
    groups = [span.attributes["messaging.consumer.group.name"] for span in spans.named(f"process {t.texts}")]
    assert groups == [f"{prefix}.router"], "it escalates, for nobody serves names here; intent skips the text"


async def test_the_senders_sampling_flag_is_honoured_on_every_topic(
    kafka: Kafka, redis_server: Redis, prefix: str, spans: Spans
) -> None:
    unsampled, sampled = f"{TRACE[:-1]}a", f"{TRACE[:-1]}b"
    parents = [f"00-{unsampled}-00f067aa0ba902b7-00", f"00-{sampled}-00f067aa0ba902b7-01"]
    async with whole_system(kafka.bootstrap, redis_server.url, prefix, exporting=True) as system:
        text = {"text": "what is my balance", "tasks": {"intent": {}}}
        for parent in parents:
            await system.result(await system.submit(text, [("traceparent", parent.encode())]))
        await system.settled()
        results = await read_all(kafka.bootstrap, system.topics.results("intent"))
    assert {trace_of(each): dict(each.headers)["traceparent"][-2:] for each in results} == {
        unsampled: b"00",
        sampled: b"01",
    }
    assert spans.of(int(unsampled, 16)) == []
    names = spans.of(int(sampled, 16))
    assert names
    assert not [name for name in names if name.startswith("accept")], "the sender's span is the root"


async def test_a_dead_letter_has_a_trace_with_its_reason(
    kafka: Kafka, redis_server: Redis, prefix: str, spans: Spans
) -> None:
    async with whole_system(kafka.bootstrap, redis_server.url, prefix, exporting=True) as system:
        place = await system.submit(b"not JSON")
        await system.letter(place)
        await system.settled()
        t = system.topics
    root, process = spans.one(f"accept {t.texts}"), spans.one(f"process {t.texts}")
    sent = spans.one(f"send {t.dead_letters}")
    assert root.attributes["error.type"] == process.attributes["error.type"] == "invalid_json"
    assert (process.parent.span_id, sent.parent.span_id) == (root.context.span_id, process.context.span_id)
    assert root.parent is None
