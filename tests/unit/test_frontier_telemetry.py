"""What the frontier shows of its work: each metric's value, each span's attributes and parent, and never a text."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from sprat.base.retry import FaultLog
from sprat.kafka.publisher import Acknowledged
from sprat_contracts import IntentOutput, Topics, Usage
from sprat_frontier.egress_audit import KafkaEgressAudit
from sprat_frontier.errors import ProviderError
from sprat_frontier.redaction import Redactor
from sprat_frontier.responses import span_attributes
from support import frontier_parts as parts
from support.audit_log import attempt
from support.spans import RECORD
from support.stream import eventually

OUTPUT = IntentOutput(label="transfer")
SENDING = "send sprat.audit.egress.v1"
UNAVAILABLE = ProviderError("server_error", "HTTP status 503", retryable=True)
TEXT = "Zoë Ångström (zoe@example.org) lives in Tromsø; call Zoë"
COUNTS = {"EMAIL": 1, "LOCATION": 1, "PERSON": 2}
SECRETS = ("Zoë", "Ångström", "zoe@example.org", "Tromsø", "Zo\\u00eb", "\\u00c5ngstr")


def frontier(script=lambda _: OUTPUT, **changes):
    return parts.FrontierHarness(parts.FakeProvider(script), parts.settings(**changes))


class Publisher:
    """Acknowledges every record."""

    def __init__(self):
        self.records = []

    async def publish(self, records):
        self.records += records
        return [Acknowledged(3, 7, 0) for _ in records]


@pytest.fixture
def audited():
    """Return a frontier that writes egress records as the service does, and what it has published."""
    service, publisher = frontier(), Publisher()
    service.audit = KafkaEgressAudit(publisher, Topics(), "frontier", 1, parts.AUDIT)
    service.restart()
    return service, publisher


def escalations(metrics, **labels):
    return metrics.value("sprat.escalations", **labels) or 0


async def test_each_escalation_is_counted_once_with_what_became_of_it(metrics):
    service = frontier()
    service.provider.gate.clear()
    tasks = [asyncio.create_task(service.answer(parts.request(id=f"t-{n}"))) for n in range(3)]
    await service.provider.wait_for_calls(1)
    service.provider.gate.set()
    await asyncio.gather(*tasks)
    await service.answer(parts.request(id="t-4"))
    await service.answer(parts.request("another text", tenant="nobody"))
    labels = {"task": "intent", "tenant": "acme", "reason": "none"}
    assert [escalations(metrics, result=result, **labels) for result in ("answered", "coalesced", "stored")] == [
        1,
        2,
        1,
    ]
    assert escalations(metrics, result="declined", reason="policy", tenant="nobody") == 1
    assert escalations(metrics) == 5


async def test_a_redelivered_escalation_is_counted_as_stored_and_costs_nothing_again(metrics):
    service = frontier()
    await service.answer(parts.request())
    service.restart()
    await service.answer(parts.request())
    assert escalations(metrics, result="stored") == escalations(metrics, result="answered") == 1
    assert metrics.value("sprat.cost") == pytest.approx(0.00206)


async def test_a_defect_is_counted_as_declined_and_an_oversized_answer_not_twice(metrics):
    service = frontier()
    record = parts.received(parts.request())
    service.handler.failed(record)
    assert escalations(metrics, result="declined", reason="defect") == 1
    (emit,) = (await service.handler.handle(record)).events
    service.handler.oversized(record, emit)
    assert escalations(metrics) == 2


async def test_a_call_is_measured_in_seconds_tokens_euros_bytes_and_masked_items(metrics):
    service = frontier()
    await service.answer(parts.request(TEXT, frontier="redact"))
    call = {"provider": "simulated", "request_model": "large"}
    assert metrics.value("sprat.cost", task="intent", tenant="acme", **call) == pytest.approx(0.00206)
    assert metrics.value("gen_ai.client.token.usage", gen_ai_operation="chat", token_type="input", **call) == 1000
    assert metrics.value("gen_ai.client.token.usage", gen_ai_operation="chat", token_type="output", **call) == 10
    assert metrics.count("gen_ai.client.operation.duration", gen_ai_operation="chat", **call) == 1
    out = {"tenant": "acme", "provider": "simulated", "region": "eu"}
    assert metrics.value("sprat.egress.calls", **out) == 1
    assert metrics.value("sprat.egress.size", **out) == service.audit.records[0].bytes_out
    assert {type: metrics.value("sprat.masked.items", type=type) for type in COUNTS} == COUNTS
    assert metrics.value("sprat.masked.items") == 4


async def test_what_is_answered_without_a_call_is_no_egress_and_costs_nothing(metrics):
    service = frontier()
    await service.answer(parts.request(TEXT, frontier="redact"))
    await service.answer(parts.request(TEXT, frontier="redact", id="t-2"))
    await service.answer(parts.request(TEXT, frontier="redact", tenant="abroad"))
    assert metrics.value("sprat.egress.calls") == 1
    assert metrics.value("sprat.masked.items") == 4
    assert metrics.count("gen_ai.client.operation.duration") == 1
    assert metrics.count("sprat.masking.duration") == 3


async def test_nothing_counts_as_egress_while_the_audit_is_unavailable(metrics):
    service = frontier()
    service.audit.error = OSError("kafka is unavailable")
    with pytest.raises(OSError, match="kafka"):
        await service.answer(parts.request())
    assert not metrics.value("sprat.egress.calls")
    assert metrics.count("gen_ai.client.operation.duration") == 0


async def test_failed_calls_have_their_code_and_retries_are_counted(metrics):
    service = frontier(lambda n: UNAVAILABLE if n < 2 else OUTPUT)
    await service.answer(parts.request())
    assert metrics.count("gen_ai.client.operation.duration", error="server_error") == 2
    assert metrics.count("gen_ai.client.operation.duration") == 3
    assert metrics.value("sprat.retries", reason="provider_call") == 2
    assert metrics.value("sprat.egress.calls") == len(service.provider.questions) == 3


async def test_a_call_that_is_not_made_again_is_no_retry(metrics):
    service = frontier(lambda _: UNAVAILABLE, max_retries=0)
    await service.answer(parts.request())
    assert not metrics.value("sprat.retries", reason="provider_call")
    assert escalations(metrics, result="declined", reason="provider") == 1


async def test_an_unusable_answer_counts_what_it_costs(metrics):
    usage = Usage(input_tokens=1_000_000, output_tokens=5)
    service = frontier(lambda _: ProviderError("invalid_answer", "it is not JSON", usage=usage))
    await service.answer(parts.request())
    assert metrics.value("sprat.cost") == pytest.approx(2.00003)
    assert metrics.value("gen_ai.client.token.usage") == 1_000_005
    assert escalations(metrics, result="declined", reason="invalid_answer") == 1


class Broken:
    """A detector with a defect whose message holds the text."""

    name, languages = "broken", None

    def find(self, text, language):
        raise ValueError(text)


@pytest.mark.parametrize(
    ("language", "detectors", "error"),
    [("fi", parts.DETECTORS, "LanguageNotCovered"), ("en", (*parts.DETECTORS, Broken()), "NotVerified")],
    ids=["language", "defect"],
)
async def test_a_failure_to_mask_is_counted_by_its_class(metrics, spans, language, detectors, error):
    service = frontier()
    service.redactor = Redactor(detectors, parts.POLICY.perimeter, "1")
    service.restart()
    with spans.record():
        answered = await service.answer(parts.request(TEXT, frontier="redact", language=language))
    assert answered.declined.code == "masking"
    assert metrics.count("sprat.masking.duration", error=error) == metrics.count("sprat.masking.duration") == 1
    span = spans.one("mask")
    assert (dict(span.attributes), span.status.status_code) == ({"error.type": error}, StatusCode.ERROR)
    assert [secret for secret in SECRETS if secret in spans.words] == []


async def test_masking_seconds_include_the_wait_for_the_thread(metrics):
    service = frontier()
    held = asyncio.Event()
    loop = asyncio.get_running_loop()
    service.redactor._threads.submit(lambda: asyncio.run_coroutine_threadsafe(held.wait(), loop).result(10))
    masking = asyncio.create_task(service.answer(parts.request(TEXT, frontier="redact")))
    await asyncio.sleep(0)  # it begins before the time that must be seen
    await asyncio.sleep(0.1)
    held.set()
    await masking
    assert metrics.value("sprat.masking.duration") >= 0.1


async def test_masking_and_the_call_are_spans_of_the_record(spans):
    service = frontier(base_url="https://models.example.org:8443/v1")
    with spans.record():
        await service.answer(parts.request(TEXT, frontier="redact"))
    masking, call = spans.one("mask"), spans.one("chat large")
    assert masking.attributes == {f"sprat.masked.{type}": count for type, count in COUNTS.items()}
    assert (masking.kind, call.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT)
    assert call.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "simulated",
        "gen_ai.output.type": "json",
        "gen_ai.request.model": "large",
        "gen_ai.response.model": "simulated-large",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 10,
        "sprat.cost": pytest.approx(0.00206),
        "server.address": "models.example.org",
        "server.port": 8443,
    }
    assert call.status.status_code == StatusCode.UNSET
    assert {spans.parent(masking), spans.parent(call)} == {RECORD}
    assert [secret for secret in SECRETS if secret in spans.words] == []


@pytest.mark.parametrize(
    ("id", "reasons", "shown"),
    [
        ("chatcmpl-9f2c", ("stop",), {"response_id": "chatcmpl-9f2c", "finish_reasons": ("stop",)}),
        ("Zoë Ångström of Tromsø", ("zoe@example.org",), {"finish_reasons": ("other",)}),
        ("x" * 129, (None,), {}),
        (None, (), {}),
    ],
    ids=["usual", "words of a text", "too long", "none"],
)
def test_what_a_provider_writes_into_id_and_reason_is_shown_only_in_its_usual_form(id, reasons, shown):
    assert span_attributes(id, *reasons) == shown


@pytest.mark.parametrize("code", ["unauthorised", "rate_limited", "timeout", "unreachable"])
async def test_the_span_of_a_failed_call_has_the_code_and_not_the_reason(spans, code):
    service = frontier(lambda _: ProviderError(code, TEXT), max_retries=0)
    with spans.record():
        await service.answer(parts.request())
    call = spans.one("chat large")
    assert (call.attributes["error.type"], call.status.status_code) == (code, StatusCode.ERROR)
    assert call.status.description is None
    assert call.events == ()
    assert [secret for secret in SECRETS if secret in spans.words] == []


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (
            ProviderError("unauthorised", "HTTP status 403"),
            ["the provider refuses the calls: unauthorised: HTTP status 403; 1 since the last such line"],
        ),
        (
            ProviderError("no_such_model", "HTTP status 404"),
            ["the provider refuses the calls: no_such_model: HTTP status 404; 1 since the last such line"],
        ),
        (ProviderError("http_400", "HTTP status 400"), []),  # refused for what it asks
    ],
)
async def test_refused_calls_are_logged_with_their_status_once_a_minute(caplog, error, lines):
    service = frontier(lambda _: error)
    for number in range(3):
        await service.answer(parts.request(f"text {number}", id=f"t-{number}"))
    assert caplog.messages == lines


def test_a_fault_is_logged_again_after_a_minute_with_how_many_there_were(caplog):
    now = [0.0]
    faults = FaultLog("it fails", clock=lambda: now[0])
    for now[0] in (0.0, 1.0, 59.9, 60.0, 61.0):
        faults.add("why")
    assert caplog.messages == ["it fails: why; 1 since the last such line", "it fails: why; 3 since the last such line"]


async def test_without_a_traced_record_no_span_is_made(spans):
    await frontier().answer(parts.request(TEXT, frontier="redact"))
    assert spans.all == ()


async def test_a_shared_call_belongs_to_the_trace_of_the_record_that_started_it(spans):
    service = frontier()
    service.provider.gate.clear()

    async def traced(id):
        with spans.record() as trace_id:
            await service.answer(parts.request(TEXT, frontier="redact", id=id))
        return trace_id

    first = asyncio.create_task(traced("t-1"))
    await service.provider.wait_for_calls(1)
    others = [asyncio.create_task(traced(f"t-{n}")) for n in range(2, 4)]
    await eventually(lambda: len(spans.named("mask")) == 3)  # the step in which a text is masked joins the call, too
    service.provider.gate.set()
    assert spans.of(await first) == ["mask", "chat large"]
    assert [spans.of(await other) for other in others] == [["mask"], ["mask"]]
    assert len(spans.all) == 4


async def test_an_egress_record_is_sent_in_a_span_that_its_trace_context_names(spans, audited):
    service, publisher = audited
    with spans.record() as trace_id:
        await service.answer(parts.request(TEXT, frontier="redact"))
    sending = spans.named(SENDING)
    assert len(sending) == len(publisher.records) == 2
    for phase, span, out in zip(("attempt", "outcome"), sending, publisher.records, strict=True):
        headers = dict(out.headers)
        assert span.attributes == {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": out.topic,
            "messaging.destination.partition.id": "3",
            "messaging.kafka.offset": 7,
            "messaging.message.id": headers["ce_id"].decode(),
            "sprat.egress.phase": phase,
        }
        assert headers["traceparent"].decode().startswith(f"00-{trace_id:032x}-{span.context.span_id:016x}-")
        assert (span.kind, spans.parent(span)) == (SpanKind.PRODUCER, RECORD)
    assert [secret for secret in SECRETS if secret in spans.words] == []


async def test_the_spans_of_a_call_that_outlives_its_record_belong_to_the_record(spans, audited):
    service, publisher = audited
    service.provider.gate.clear()
    with spans.record() as trace_id:
        assert (await service.answer(parts.request(deadline_ms=30))).declined.code == "deadline"
    service.provider.gate.set()
    await service.calls.drain(1)
    assert spans.of(trace_id) == [SENDING, "chat large", SENDING]
    assert {spans.parent(span) for span in spans.all} == {RECORD}
    assert [dict(out.headers)["traceparent"][3:35].decode() for out in publisher.records] == [f"{trace_id:032x}"] * 2


async def test_without_a_traced_record_an_egress_record_has_a_trace_of_its_own(spans, audited):
    service, publisher = audited
    await service.answer(parts.request())
    assert spans.all == ()
    traces = {dict(out.headers)["traceparent"] for out in publisher.records}
    assert len(traces) == 2
    assert not any(trace.startswith(b"00-00000000") for trace in traces)


async def test_a_checkpoint_that_the_second_place_does_not_take_is_overdue_until_it_does(metrics, tmp_path):
    def overdue_s():
        return metrics.value("sprat.audit.checkpoint.overdue")

    place = tmp_path / "checkpoints"
    place.mkdir()
    settings = parts.AUDIT.model_copy(update={"checkpoints": place, "checkpoint_every_s": 0.1})
    async with AsyncExitStack() as stack:
        audit = await KafkaEgressAudit.open(Publisher(), Topics(), "frontier", 1, settings, stack)
        kept = place.rename(tmp_path / "kept")
        place.touch()
        assert overdue_s() == 0, "nothing waits for a checkpoint"
        await audit(attempt("one"))
        await eventually(lambda: overdue_s() > 0.3)
        place.unlink()
        kept.rename(place)
        await eventually(lambda: overdue_s() == 0)
    assert overdue_s() is None
