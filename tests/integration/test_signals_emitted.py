"""One run of the whole system through all its paths: every declared signal is emitted, no other is, and none leaks.

Router, intent and frontier run in this process with tracing on; the provider is simulated. Each text, key and record
holds planted values.
"""

import json
import logging
import re
import shutil
from collections import Counter as Count
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.structs import RecordMetadata
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan
from pydantic import SecretStr

from conftest import Kafka
from sprat.base.settings import KafkaSettings, RedisSettings
from sprat.base.thresholds import THRESHOLDS, write_thresholds
from sprat.kafka.publisher import OutRecord
from sprat.telemetry import signals
from sprat.telemetry.instruments import Attribute, SpanType
from sprat.telemetry.logs import JsonFormatter, OtlpHandler, configure_logs
from sprat.telemetry.process import watch_process
from sprat_gateway.runtime import open_door
from sprat_gateway.settings import GatewaySection, GatewaySettings
from sprat_guardian.__main__ import GuardianSettings
from sprat_guardian.__main__ import build as build_guardian
from sprat_inference.artefact import load_artefact
from sprat_intent.__main__ import SHIPPED
from sprat_local.redis import EmbeddedRedis
from sprat_operations.api_keys import add_key
from sprat_operations.feedback import feedback_record
from sprat_testing.service import running
from support.frontier_parts import CONTROL_TOKEN
from support.logs import own_logs
from support.measured import thresholds
from support.metrics import Metrics
from support.review_logs import answer_to, asked_record, drawn
from support.secrets_generator import planted
from support.spans import Spans
from support.stream import SECRET, SIGNATURES, eventually, publish
from support.system import ALLOWED, System, policy_with_reviews, whole_system

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

MARK = "Zyxwvutsrq"
"""Stands in every record; no signal may show it."""
TEXTS = [text for text in planted(40, 12) if text.language in {"en", "de", "fr"}]
SECRETS = {secret.value for text in TEXTS for secret in text.secrets}
TYPES = {"string": str, "int": int, "double": float, "boolean": bool, "string[]": tuple, "template[int]": int}


class Lines(logging.Handler):
    """Keeps each line as it is written and as it is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter("test"))
        self.written: list[dict[str, Any]] = []
        self.exported = InMemoryLogRecordExporter()
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(self.exported))
        self._otlp = OtlpHandler(provider)

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(json.loads(self.format(record)))
        self._otlp.handle(record)


@dataclass
class Run:
    """What the system has emitted."""

    metrics: dict[str, set[str]]
    series: list[dict[str, str]]
    spans: tuple[ReadableSpan, ...]
    lines: list[dict[str, Any]]
    records: list[LogRecord]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    metrics, spans, lines = Metrics(), Spans(), Lines()
    watch_process()
    with own_logs(), EmbeddedRedis() as redis:
        configure_logs("test", "debug", "json")
        logging.getLogger().addHandler(lines)
        intents = tmp_path_factory.mktemp("intents") / "default"
        shutil.copytree(SHIPPED, intents, ignore=shutil.ignore_patterns(THRESHOLDS))
        keys = tmp_path_factory.mktemp("gateway") / "keys.json"
        key, _ = add_key(keys, ALLOWED, "/test")
        policy = policy_with_reviews(tmp_path_factory.mktemp("policy"))
        async with (
            whole_system(
                kafka.bootstrap, redis.url, "emitted", exporting=True, intents=intents, policy=policy
            ) as system,
            open_door(door_settings(system, redis.url, keys)) as door,
        ):
            await measure(system, intents)
            await ask_the_gateway(door.port, key)
            await review(system, policy)
            await take_all_paths(system, redis)
            emitted = metrics.emitted()
            series = [labels for name in emitted for labels in metrics.series(name)]
        records = [each.log_record for each in lines.exported.get_finished_logs()]
        yield Run(emitted, series, spans.all, lines.written, records)


def text(body: str, **fields: Any) -> dict[str, Any]:
    given = {"tasks": {"intent": {}}, "tenant": ALLOWED, "reference": {"note": MARK}, "more": MARK}
    return given | {"text": body} | fields


HARD = {"language": "sv", "frontier": "allow"}
"""The small model does not serve the language: the router escalates."""


async def take_all_paths(system: System, redis: EmbeddedRedis) -> None:
    """Publish what takes each path of a text, and wait for what becomes of it."""
    await keep_and_cache(system)
    await escalate(system)
    await mask(system)
    await decline(system)
    await reject(system)
    await rebalance(system)
    redis.stop()
    assert (await ask(system, text("how do i freeze my account", reference={"after": MARK}))).route.decision == "kept"
    await system.settled()
    await eventually(lambda: signals.GROUP_AGE.series)


async def rebalance(system: System) -> None:
    """Join the router's group, with a topic that the router does not read, until the router has paused for it."""
    consumer = AIOKafkaConsumer(
        system.topics.feedback,
        bootstrap_servers=system.bootstrap,
        group_id=f"{system.topics.prefix}.router",
        isolation_level="read_committed",
        enable_auto_commit=False,
        partition_assignment_strategy=(StickyPartitionAssignor,),
    )
    async with consumer:
        await eventually(lambda: signals.REBALANCE_SECONDS.series)


async def ask(system: System, value: dict[str, Any], task: str = "intent") -> Any:
    return await system.result(await submit(system, value), task)


async def submit(system: System, value: dict[str, Any]) -> RecordMetadata:
    return await system.submit(value, key=MARK.encode())


async def behave(system: System, **behaviour: Any) -> None:
    async with httpx.AsyncClient() as client:
        headers = {"authorization": f"Bearer {CONTROL_TOKEN}"}
        (await client.post(f"{system.simulator}/control", json=behaviour, headers=headers)).raise_for_status()


async def measure(system: System, folder: Path) -> None:
    """Answer without thresholds, then by those that the running service takes over."""

    async def has_level() -> bool:
        return (await ask(system, text("what is my balance"))).route.level is not None

    assert not await has_level()
    measured = thresholds(model_version=load_artefact(folder).card.version)
    write_thresholds(folder / THRESHOLDS, measured)
    await eventually(has_level)


async def review(system: System, policy: Path) -> None:
    """Close draws until an alarm, by answers that count and by one that does not."""
    draws = [drawn(id=f"{MARK}-{number}") for number in range(10)]
    records = [asked_record(each, system.topics) for each in draws]
    answers = [answer_to(each, "balance") for each in (*draws, draws[0])]
    records += [feedback_record(each, system.topics.feedback) for each in answers]
    second = records[-1]
    settings = GuardianSettings(kafka=kafka_of(system), secret=SecretStr(SECRET), policy=policy, health_port=0)
    async with running("guardian", settings, build_guardian):
        shown = (signals.GUARDIAN_ALARMS, signals.GUARDIAN_EVIDENCE, signals.REVIEWS_IGNORED)

        async def are_shown() -> bool:
            while records:
                each = records.pop(0)
                await system.producer.send_and_wait(each.topic, each.value, each.key, headers=list(each.headers))
            records.append(second)  # what is read while the guardian starts is not told
            return all(each.series for each in shown)

        await eventually(are_shown)


def kafka_of(system: System) -> KafkaSettings:
    return KafkaSettings(bootstrap=system.bootstrap, prefix=system.topics.prefix, partitions=2)


def door_settings(system: System, redis_url: str, keys: Path) -> GatewaySettings:
    kafka = kafka_of(system)
    redis = RedisSettings(url=SecretStr(redis_url))
    section = GatewaySection(port=0, keys_file=keys, data=keys.parent / "store", page="on")
    return GatewaySettings(kafka=kafka, redis=redis, gateway=section, _env_file=None)


async def ask_the_gateway(port: int, key: str) -> None:
    """Ask for an answer, follow its text as a stream, and send what is no text."""
    headers = {"authorization": f"Bearer {key}", "prefer": "wait=20"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
        answered = (await client.post("/v1/texts", json=text("please freeze my card"))).json()
        assert answered["complete"], answered
        events = await client.get(f"/v1/texts/{answered['uuid']}/events")
        assert "data:" in events.text
        wrong = await client.post(f"/v1/texts?say={MARK}", json=text("what is my balance", language=MARK * 20))
        assert wrong.status_code == 422, wrong.text


async def keep_and_cache(system: System) -> None:
    same = text("please move 100 euros to my savings")
    kept = await ask(system, same)
    assert (kept.route.decision, kept.cached) == ("kept", False)

    async def is_cached() -> bool:  # on a busy machine Redis may not answer in time
        return (await ask(system, same)).cached

    await eventually(is_cached)


async def escalate(system: System) -> None:
    """By a call, by an equal call that is under way, by a stored answer, and after a call that fails."""
    await behave(system, latency_ms=700)
    question = text(f"vad är mitt saldo, undrar {MARK}", **HARD)
    equal = [await submit(system, question) for _ in range(2)]
    results = [await system.result(place) for place in equal]
    results.append(await ask(system, question))
    assert {(result.source, result.status) for result in results} == {("frontier", "answered")}
    await behave(system, latency_ms=0, error_rate=1)
    failed = await ask(system, text(f"mitt kort är borta, skriver {MARK}", **HARD))
    assert (failed.status, failed.declined.causes[-1].code) == ("unanswered", "provider")
    await behave(system, error_rate=0)
    served = await ask(system, text(f"who is {MARK}", tasks={"ner": {}}, frontier="allow"), "ner")
    assert served.route.reason == "no_service"


async def mask(system: System) -> None:
    """Mask what leaves, and fail to where nothing finds names in the language."""
    places = [
        await submit(
            system, text(each.text, language=each.language, frontier="redact", tasks={"intent": {}, "ner": {}})
        )
        for each in TEXTS
    ]
    results = [await system.result(place, task) for place in places for task in ("intent", "ner")]
    assert sum(bool(result.egress and result.egress.masked) for result in results) >= len(TEXTS)
    failed = await ask(system, text(f"mikä on saldoni, kysyy {MARK}", language="fi", frontier="redact"))
    assert [each.code for each in failed.declined.causes] == ["language", "masking"]


async def decline(system: System) -> None:
    declined = await ask(system, text(f"vad kostar det, {MARK}", language="sv", tenant="nobody"))
    assert [each.code for each in declined.declined.causes] == ["language", "policy"]


async def reject(system: System) -> None:
    """By the router, alone for one of several tasks, and by the service that reads the requests; forged, by nobody."""
    await system.letter(await system.submit(f"not JSON, says {MARK}".encode(), key=MARK.encode()))
    unknown = await submit(system, text("what is my balance", tasks={"intent": {}, "astrology": {"of": MARK}}))
    _, reason = await system.letter(unknown)
    assert reason.code == "unknown_task"
    await system.result(unknown)
    requests = system.topics.frontier_requests
    forged = OutRecord(requests, MARK.encode(), f"not JSON, says {MARK}".encode())
    await publish(system.bootstrap, requests, [forged.value], key=forged.key)
    signed = SIGNATURES.sign(forged)
    await publish(system.bootstrap, requests, [signed.value], signed.headers, key=signed.key)


# What is emitted, and what is declared.


async def test_every_declared_metric_is_emitted_and_no_other(run: Run) -> None:
    assert run.metrics.keys() == {metric.name for metric in signals.METRICS}


ERRORS_OF_KAFKA = {"error.type"}
"""Sending and committing fail in an outage of the broker, which other tests of the loops make."""


async def test_every_declared_attribute_of_a_metric_is_emitted(run: Run) -> None:
    declared = {metric.name: {attribute.name for attribute in metric.attributes} for metric in signals.METRICS}
    missing = {name: names - run.metrics.get(name, set()) - ERRORS_OF_KAFKA for name, names in declared.items()}
    assert {name: names for name, names in missing.items() if names} == {}


def type_of(span: ReadableSpan) -> SpanType | None:
    """Return the declared kind of a span: that of its kind and name."""
    attributes = {name: str(value) for name, value in (span.attributes or {}).items()}
    for declared in signals.SPANS:
        name = re.sub(r"\{(.*?)\}", lambda found: attributes.get(found[1], found[0]), declared.name)
        if (name, declared.kind) == (span.name, span.kind):
            return declared
    return None


async def test_every_declared_kind_of_span_is_emitted_and_no_other(run: Run) -> None:
    assert {span.name for span in run.spans if type_of(span) is None} == set()
    found = {declared.name for span in run.spans if (declared := type_of(span))}
    assert found == {declared.name for declared in signals.SPANS}


def declared_attribute(span_type: SpanType, name: str) -> Attribute | None:
    for attribute in span_type.attributes:
        if name == attribute.name or (attribute.type == "template[int]" and name.startswith(f"{attribute.name}.")):
            return attribute
    return None


async def test_a_span_has_only_attributes_that_are_declared_for_its_kind(run: Run) -> None:
    for span, span_type in spans_with_types(run):
        for name, value in (span.attributes or {}).items():
            attribute = declared_attribute(span_type, name)
            assert attribute is not None, f"{span_type.name} does not declare {name}"
            assert isinstance(value, TYPES[attribute.type]), name
            assert isinstance(value, bool) is (attribute.type == "boolean"), name
            assert not attribute.values or value in attribute.values, name


async def test_every_declared_attribute_of_a_span_is_emitted(run: Run) -> None:
    missing = {
        span_type.name: {attribute.name for attribute in span_type.attributes} - ERRORS_OF_KAFKA
        for span_type in signals.SPANS
    }
    for span, span_type in spans_with_types(run):
        found = (declared_attribute(span_type, name) for name in span.attributes or {})
        missing[span_type.name] -= {attribute.name for attribute in found if attribute}
    assert {name: names for name, names in missing.items() if names} == {}


def spans_with_types(run: Run) -> Iterator[tuple[ReadableSpan, SpanType]]:
    return ((span, span_type) for span in run.spans if (span_type := type_of(span)))


async def test_each_span_but_a_root_has_its_parent(run: Run) -> None:
    """A trace has one root, which the router exports; nothing names a parent that nobody has exported."""
    ids = {span.context.span_id for span in run.spans}
    for span, span_type in spans_with_types(run):
        if span_type in (signals.ACCEPT, signals.POLL):
            assert span.parent is None
        else:
            assert span.parent is not None, span.name
            assert span.parent.span_id in ids, span.name


# What none of them may show.


def planted_in(shown: str) -> list[str]:
    return [value for value in (MARK, *SECRETS) if value in shown]


def shown(span: ReadableSpan) -> str:
    """Return all that a span says, without escapes."""
    parts = [span.name, span.status.description, span.resource.attributes, span.attributes]
    parts += [(event.name, event.attributes) for event in span.events]
    return str([dict(part) if hasattr(part, "items") else part for part in (*parts, *span.links)])


async def test_no_planted_value_is_in_a_span(run: Run) -> None:
    assert len(run.spans) > 100
    assert planted_in("\n".join(map(shown, run.spans))) == []


async def test_no_planted_value_is_in_a_label(run: Run) -> None:
    assert len(run.series) > 50
    assert planted_in(str(run.series)) == []


async def test_no_planted_value_is_in_a_log_line(run: Run) -> None:
    assert {line["level"] for line in run.lines} >= {"debug", "info", "warning"}
    assert planted_in(json.dumps(run.lines, ensure_ascii=False)) == []
    assert planted_in(str([(each.body, each.attributes, each.event_name) for each in run.records])) == []


LIFECYCLE = (
    *("sprat.runtime", "sprat.kafka", "sprat.registry", "sprat.base", "sprat_router.group_metrics"),
    *("sprat_frontier.egress_audit", "sprat_inference.serving", "sprat_gateway", "sprat_guardian"),
)
"""Loggers of what is about a service, not about records; and of forged ones, whose trace is somebody else's."""


async def test_each_line_about_records_names_a_trace_and_a_span(run: Run) -> None:
    """A line about one record names its own span; one about a batch, such as the cache's, that of the batch."""
    ids = {(f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") for span in run.spans}
    ours = [line for line in run.lines if line["logger"].startswith("sprat")]
    about = [line for line in ours if not line["logger"].startswith(LIFECYCLE)]
    assert {line.get("topic", "").removeprefix("emitted.") for line in about} >= {"texts.v1", "frontier.requests.v1"}
    for line in about:
        assert (line.get("trace_id"), line.get("span_id")) in ids, line
    exported = Count((f"{each.trace_id:032x}", f"{each.span_id:016x}", each.body) for each in run.records)
    assert Count((line["trace_id"], line["span_id"], line["message"]) for line in about) <= exported
