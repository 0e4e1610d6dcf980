"""Logs: JSON lines for machines, readable ones on a terminal. Never a text, never a secret."""

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from sprat.model import display_name
from sprat.telemetry.tracing import current_traceparent

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_QUIET_S = 60.0
_NOISY = ("httpx", "httpcore", "openai", "uvicorn", "faststream", "asyncio")


class JsonFormatter(logging.Formatter):
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
        traceparent = current_traceparent.get()
        if traceparent is not None:
            line["trace_id"] = traceparent.trace_id
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _once_a_minute() -> Callable[[logging.LogRecord], bool]:
    """Return a filter that passes one line a minute: an exporter without a collector logs every attempt."""
    last = [float("-inf")]

    def passes(_: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now - last[0] < _QUIET_S:
            return False
        last[0] = now
        return True

    return passes


def configure_logs(service: str, level: str, style: Literal["auto", "json", "text"], model: str | None = None) -> None:
    """Send all logs to stderr in one style; `auto` is readable on a terminal, JSON elsewhere.

    `model` is the name by which texts ask for the service's model: it distinguishes two services of one task.
    """
    handler = logging.StreamHandler(sys.stderr)
    readable = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s %(levelname)-7s {display_name(service, model)} %(message)s", "%H:%M:%S")
        if readable
        else JsonFormatter(service, model)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # aiokafka logs each failed connection as an error, many a second; sprat.kafka.connection_errors reads them.
    handler.addFilter(lambda record: record.levelno >= logging.CRITICAL or not record.name.startswith("aiokafka"))
    logging.getLogger("aiokafka").setLevel(logging.WARNING)
    for name in ("exporter.otlp.proto.http.trace_exporter", "exporter.otlp.proto.http", "sdk.trace.export"):
        logging.getLogger(f"opentelemetry.{name}").addFilter(_once_a_minute())
    # The service logs in one line what FastStream logs at length.
    logging.getLogger("sprat.faststream").setLevel(logging.CRITICAL)
