"""Spans as OTLP: what the own encoder writes is what OpenTelemetry's writes."""

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanContext, TraceFlags

from sprat.telemetry import signals
from sprat.telemetry.otlp_spans import encode, with_fast_encoding
from sprat.telemetry.tracing import Tracing
from sprat_contracts import Traceparent
from support.spans import Spans

GIVEN = Traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
ROOT = Traceparent.root("/crm", "order-7")


def made(spans: Spans):
    """Make spans of several kinds, with every type of attribute."""
    tracing = Tracing(exporting=True)
    tracing.group = "sprat.router"
    tracing.accept(
        ROOT, "texts", "order-7", 1_700_000_000_000, {"tenant": "acme", "tasks": ("intent", "ner")}, "broken"
    )
    with tracing.poll([GIVEN, ROOT], 2, 1) as poll:
        for parent in (GIVEN, ROOT):
            span = tracing.process(parent, ("texts", 3, 41), "order-7", 2, poll.link)
            span.set(threshold=0.5, cached=True, tenant="acme")
            with span.current():
                span.child(signals.MASK, masked={"IBAN": 2}).end()
            span.end()
    return spans.all


def test_it_writes_what_opentelemetry_writes(spans: Spans) -> None:
    every = made(spans)
    assert len(every) == 6
    assert ExportTraceServiceRequest.FromString(encode(every)) == encode_spans(every)
    assert encode(every) == encode_spans(every).SerializeToString()


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ü🙂",
        "x" * 127,
        "x" * 128,
        "x" * 20_000,
        0,
        1,
        127,
        128,
        -1,
        2**63 - 1,
        -(2**63),
        0.0,
        -0.5,
        1e300,
        True,
        False,
        ("a", "b"),
        (),
        (1, -2),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_every_value_is_written_as_opentelemetry_writes_it(spans: Spans, value: object) -> None:
    with spans.record():
        pass
    (span,) = spans._exporter.get_finished_spans()
    span._attributes = {"sprat.a": value, "messaging.message.id": value, "sprat.b": value}
    assert encode([span, span]) == encode_spans([span, span]).SerializeToString()


def test_nothing_is_a_request_of_nothing() -> None:
    assert encode([]) == encode_spans([]).SerializeToString()


def test_the_exporter_that_is_pinned_is_made_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = OTLPSpanExporter(endpoint="http://127.0.0.1:1/v1/traces", timeout=0.1)
    assert with_fast_encoding(exporter) is not exporter
    other = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    assert with_fast_encoding(other) is other
