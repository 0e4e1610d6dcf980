"""Logs: JSON lines for machines, readable ones on a terminal, records by OTLP. Never a text, never a secret."""

import asyncio
import enum
import json
import logging
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext

from sprat.base.model import display_name
from sprat.base.retry import OnceAMinute
from sprat.telemetry.spans import current_traceparent, span_context
from sprat_contracts import Traceparent

log = logging.getLogger(__name__)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NAMES_A_SPAN = frozenset({"trace_id", "span_id"})
_NOISY = ("httpx", "httpcore", "openai", "uvicorn", "faststream", "asyncio", "urllib3", "grpc")


def span_of(line: logging.LogRecord) -> SpanContext:
    """Return the span that a line is about: the one that it names, else the current record's, else the current one."""
    named = getattr(line, "trace_id", None)
    if named is not None:
        return span_context(Traceparent(named, getattr(line, "span_id", "0")))
    current = trace.get_current_span().get_span_context()
    record = current_traceparent.get()
    if record is None or current.trace_id == int(record.trace_id, 16):
        return current
    return span_context(record)


class TextFormatter(logging.Formatter):
    """Readable lines. An exception is its type and stack: its message may hold a text."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        """Return the name of the type and the stack."""
        kind, _, stack = ei
        return f"{kind.__name__ if kind else 'no exception'}\n{''.join(traceback.format_tb(stack))}".rstrip()


class JsonFormatter(TextFormatter):
    """One JSON object a line: time, level, service, its model, logger, message, and what the call passed as `extra`."""

    def __init__(self, service: str, model: str | None = None) -> None:
        super().__init__()
        self._origin = {"service": service} | ({} if model is None else {"model": model})

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; an exception becomes one string."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self._origin,
            "logger": record.name,
            "message": record.getMessage(),
        }
        span = span_of(record)
        if span.trace_id:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
        if span.span_id:
            line["span_id"] = trace.format_span_id(span.span_id)
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class OtlpHandler(logging.Handler):
    """Emits lines as OpenTelemetry's records. Of an exception it takes type and stack: its message may hold a text."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__()
        self._provider = provider
        self.addFilter(_is_of_use)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record to the provider; it waits for the next export. A bad line is reported as logging does."""
        try:
            self._emit(record)
        except Exception:  # noqa: BLE001 - a line must not fail the work that it is about
            self.handleError(record)

    def _emit(self, record: logging.LogRecord) -> None:
        attributes: dict[str, str | int | float | bool] = {
            name: value if isinstance(value, str | int | float | bool) else str(value)
            for name, value in vars(record).items()
            if name not in _STANDARD | _NAMES_A_SPAN
        }
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__name__
            attributes["exception.stacktrace"] = "".join(traceback.format_tb(record.exc_info[2]))
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=time.time_ns(),
                context=trace.set_span_in_context(NonRecordingSpan(span_of(record)), Context()),
                severity_text=record.levelname,
                severity_number=SeverityNumber(max(1, min(21, record.levelno // 10 * 4 + 1))),
                body=record.getMessage(),
                attributes=attributes,
            )
        )


class ExportReport(logging.Handler):
    """Reports once a minute, in one line, that telemetry cannot be exported: the SDK logs every attempt at length.

    Nothing of the SDK's own values is passed on: its messages may hold headers with secrets.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._reported: defaultdict[str, OnceAMinute] = defaultdict(lambda: OnceAMinute(clock))

    def handle(self, record: logging.LogRecord) -> bool:
        """Report it, without a lock: to log inside one could wait for a thread that waits for this one."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Log one line, unless there was one in the last minute."""
        exporting = "export" in record.name or "_shared_internal" in record.name
        about = "export" if exporting else str(record.msg)
        if not self._reported[about].due():
            return
        if exporting:
            log.warning("telemetry is not exported: %s; this is reported once a minute", _reason(record))
        else:
            log.warning("OpenTelemetry: %s", about)


def _reason(record: logging.LogRecord) -> str:
    """Return why an export failed, from the values that an exporter logs."""
    if str(record.msg).startswith("Queue full"):
        return "the queue is full (OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BLRP_MAX_QUEUE_SIZE)"
    for value in record.args if isinstance(record.args, tuple) else ():
        if isinstance(value, enum.Enum):  # a gRPC status
            return value.name
        if isinstance(value, BaseException):
            return f"the collector does not answer ({type(value).__name__})"
        if isinstance(value, int):
            return f"the collector answers HTTP {value}"
    return "the collector does not take it in time"


def _is_of_use(record: logging.LogRecord) -> bool:
    """Return whether a line is of use: aiokafka logs each failed connection as an error, many a second.

    `sprat.kafka.connection_errors` reads those.
    """
    return record.levelno >= logging.CRITICAL or not record.name.startswith("aiokafka")


def configure_logs(service: str, level: str, style: Literal["auto", "json", "text"], model: str | None = None) -> None:
    """Send all logs to stderr in one style; `auto` is readable on a terminal, JSON elsewhere.

    `model` is the name by which texts ask for the service's model: it distinguishes two services of one task.
    """
    handler = logging.StreamHandler(sys.stderr)
    readable = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler.setFormatter(
        TextFormatter(f"%(asctime)s %(levelname)-7s {display_name(service, model)} %(message)s", "%H:%M:%S")
        if readable
        else JsonFormatter(service, model)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    handler.addFilter(_is_of_use)
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    sdk = logging.getLogger("opentelemetry")
    sdk.handlers[:] = [ExportReport()]
    sdk.propagate = False
    # The service logs in one line what FastStream logs at length.
    logging.getLogger("sprat.faststream").setLevel(logging.CRITICAL)


def log_unhandled_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Log what nothing handled, in tasks, callbacks, threads and the process, by type and stack.

    Python's own handlers print the error's message, asyncio's even in its own, and that may hold a text.
    """

    def report(where: str, error: BaseException | None) -> None:
        stack = None if error is None else (type(error), error, error.__traceback__)
        log.error("an error that nothing handled, in %s", where, exc_info=stack)

    loop.set_exception_handler(lambda _, context: report("the event loop", context.get("exception")))
    threading.excepthook = lambda raised: report("a thread", raised.exc_value)
    sys.excepthook = lambda _, error, __: report("the process", error)
