"""Log lines carry the span that they are about, as JSON and as OpenTelemetry's records; failed exports are one line."""

import asyncio
import gc
import json
import logging
import sys
import threading

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id, use_span

from sprat.telemetry.logs import ExportReport, JsonFormatter, OtlpHandler, TextFormatter, log_unhandled_errors
from sprat.telemetry.spans import current_traceparent
from sprat_contracts import Traceparent

RECORD = Traceparent("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.fixture
def span():
    return TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("a")


@pytest.fixture
def current_record():
    token = current_traceparent.set(RECORD)
    yield
    current_traceparent.reset(token)


@pytest.fixture
def emitted():
    """Return a function that emits a line by OTLP and returns its record and the name of its logger."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = OtlpHandler(provider)

    def emit(record):
        exporter.clear()
        handler.handle(record)
        finished = exporter.get_finished_logs()
        return [(each.log_record, each.instrumentation_scope.name) for each in finished]

    return emit


def line(message="ready", *args, level=logging.INFO, name="sprat.test", exc_info=None, **extra):
    record = logging.LogRecord(name, level, __file__, 1, message, args, exc_info)
    vars(record).update(extra)
    return record


def ids_in_json(record):
    fields = json.loads(JsonFormatter("intent").format(record))
    return fields.get("trace_id"), fields.get("span_id")


def ids_of(span):
    context = span.get_span_context()
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


def otlp_ids(record):
    return format_trace_id(record.trace_id), format_span_id(record.span_id)


def test_a_line_outside_of_any_record_names_no_span(emitted):
    assert ids_in_json(line()) == (None, None)
    ((record, _),) = emitted(line())
    assert (record.trace_id, record.span_id) == (0, 0)


def test_a_line_names_the_span_of_the_current_record(current_record, emitted):
    ids = (RECORD.trace_id, RECORD.parent_id)
    assert ids_in_json(line()) == ids
    ((record, _),) = emitted(line())
    assert otlp_ids(record) == ids
    assert record.trace_flags == 0x01


def test_a_line_inside_a_span_names_it(span, emitted):
    with use_span(span):
        assert ids_in_json(line()) == ids_of(span)
        ((record, _),) = emitted(line())
        assert otlp_ids(record) == ids_of(span)


def test_a_span_of_the_current_record_is_more_exact_than_the_record(span, emitted):
    current_traceparent.set(Traceparent(ids_of(span)[0], "00f067aa0ba902b7"))
    with use_span(span):
        assert ids_in_json(line()) == ids_of(span)
    current_traceparent.set(None)


def test_the_span_of_a_batch_does_not_hide_the_current_record(span, current_record):
    with use_span(span):
        assert ids_in_json(line()) == (RECORD.trace_id, RECORD.parent_id)


def test_a_line_that_names_its_own_span_keeps_it(span, emitted):
    named = line(trace_id=RECORD.trace_id, span_id=RECORD.parent_id)
    with use_span(span):
        assert ids_in_json(named) == (RECORD.trace_id, RECORD.parent_id)
        ((record, _),) = emitted(named)
    assert otlp_ids(record) == (RECORD.trace_id, RECORD.parent_id)
    assert dict(record.attributes) == {}


def test_a_record_has_message_severity_logger_and_fields(emitted):
    fields = {"topic": "sprat.texts.v1", "offset": 7, "group": None}
    ((record, logger),) = emitted(line("dead letter: %s", "invalid", level=logging.WARNING, **fields))
    assert logger == "sprat.test"
    assert record.body == "dead letter: invalid"
    assert (record.severity_text, record.severity_number.name) == ("WARNING", "WARN")
    assert dict(record.attributes) == {"topic": "sprat.texts.v1", "offset": 7, "group": "None"}
    assert record.timestamp > 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO"),
        (logging.WARNING, "WARN"),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "FATAL"),
    ],
)
def test_levels_become_severities(emitted, level, name):
    ((record, _),) = emitted(line(level=level))
    assert record.severity_number.name == name


def test_the_message_of_an_exception_is_not_exported(emitted):
    text = "my text, Zyxwvut"
    try:
        int(text)
    except ValueError:
        ((record, _),) = emitted(line(exc_info=sys.exc_info()))
    assert record.attributes["exception.type"] == "ValueError"
    assert "test_the_message_of_an_exception" in record.attributes["exception.stacktrace"]
    assert "Zyxwvut" not in str(vars(record)) + str(dict(record.attributes))


def test_a_line_of_aiokafka_is_exported_only_if_it_is_critical(emitted):
    assert emitted(line(level=logging.ERROR, name="aiokafka.conn")) == []
    assert len(emitted(line(level=logging.CRITICAL, name="aiokafka.conn"))) == 1


HTTP = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
REFUSED = "Transient error %s encountered while exporting %s batch, retrying in %.2fs."
ANSWERED = "Failed to export %s batch code: %s, reason: %s"


@pytest.fixture
def report(caplog):
    now = [1000.0]
    handler = ExportReport(lambda: now[0])

    def reported(record, *, after_s=0.0):
        caplog.clear()
        now[0] += after_s
        handler.handle(record)
        return [each.getMessage() for each in caplog.records]

    return reported


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (line(REFUSED, ConnectionError("a secret"), "spans", 1.0), "the collector does not answer (ConnectionError)"),
        (line(ANSWERED, "spans", 401, "Unauthorized"), "the collector answers HTTP 401"),
        (line("Failed to export %s batch due to timeout.", "logs"), "the collector does not take it in time"),
        (
            line("Queue full, dropping %s.", "Span"),
            "the queue is full (OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BLRP_MAX_QUEUE_SIZE)",
        ),
    ],
    ids=["away", "refused", "slow", "full"],
)
def test_a_failed_export_is_one_line_of_ours_with_the_reason(report, record, reason):
    record.name = HTTP
    assert report(record) == [f"telemetry is not exported: {reason}; this is reported once a minute"]


def test_failed_exports_are_reported_once_a_minute(report):
    failed = line(REFUSED, ConnectionError(), "spans", 1.0, name=HTTP)
    others = line(REFUSED, ConnectionError(), "logs", 1.0, name=HTTP.replace("trace", "log"))
    assert len(report(failed)) == 1
    assert report(failed, after_s=1) == []
    assert report(others, after_s=58) == []
    assert len(report(others, after_s=2)) == 1


def test_another_line_of_the_sdk_is_reported_without_its_values(report):
    record = line("Header format invalid: %s", "authorization: s3cret", name="opentelemetry.util.re")
    assert report(record) == ["OpenTelemetry: Header format invalid: %s"]
    assert report(record) == []


def test_a_stack_trace_of_the_sdk_is_not_reported(report, caplog):
    try:
        int("my text")
    except ValueError:
        record = line("Exception while exporting %s.", "Span", name="opentelemetry.sdk.trace.export")
        record.exc_info = sys.exc_info()
        report(record)
    assert [each.exc_info for each in caplog.records] == [None]


@pytest.mark.parametrize("formatter", [JsonFormatter("intent"), TextFormatter("%(message)s")], ids=["json", "text"])
def test_the_message_of_an_exception_is_not_logged(formatter):
    text = "the words of a person"
    with pytest.raises(ValueError, match="words") as caught:
        raise ValueError(text)
    line = logging.LogRecord(
        "asyncio", logging.ERROR, __file__, 1, "Task exception was never retrieved", None, caught._excinfo
    )
    written = formatter.format(line)
    assert "ValueError" in written
    assert "test_telemetry_logs.py" in written
    assert "words of a person" not in written


async def fails(text):
    raise ValueError(text)


@pytest.fixture
def unhandled(monkeypatch, caplog):
    """Have errors that nothing handles logged, and return the lines as JSON."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    loop = asyncio.new_event_loop()
    log_unhandled_errors(loop)
    yield loop, lambda: [JsonFormatter("intent").format(line) for line in caplog.records]
    loop.close()


def test_an_error_that_nothing_handled_is_logged_without_its_message(unhandled):
    loop, lines = unhandled
    text = "the words of a person"

    async def orphan():
        task = asyncio.create_task(fails(text))
        await asyncio.wait({task})

    loop.run_until_complete(orphan())
    loop.call_soon(lambda: int(text))
    loop.run_until_complete(asyncio.sleep(0))
    gc.collect()
    thread = threading.Thread(target=int, args=(text,))
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(text), None)
    said = [json.loads(line) for line in lines()]
    assert sorted(each["message"].rpartition(", in ")[2] for each in said) == [
        "a thread",
        "the event loop",
        "the event loop",
        "the process",
    ]
    assert all("ValueError" in each["exception"] for each in said)
    assert "words of a person" not in str(said)
