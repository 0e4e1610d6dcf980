"""The standard `OTEL_*` variables, checked before the SDK reads them: it would log a wrong value and use another."""

import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from sprat.base.errors import UserError

Signal = Literal["traces", "metrics", "logs"]

_COMMON: Final = "OTEL_EXPORTER_OTLP"
_PROTOCOLS: Final[Mapping[str, tuple[str, str]]] = {
    "http/protobuf": ("otlp_proto_http", "sprat[otel]"),
    "grpc": ("otlp_proto_grpc", "sprat[otel-grpc]"),
}
"""Protocol → its exporters' entry point, and the extra that installs it."""
_SHORTEST_TIMEOUT_MS: Final = 100
_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "OTEL_TRACES_SAMPLER": (
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ),
    "OTEL_METRICS_EXEMPLAR_FILTER": ("always_on", "always_off", "trace_based"),
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": ("cumulative", "delta", "lowmemory"),
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": (
        "explicit_bucket_histogram",
        "base2_exponential_bucket_histogram",
    ),
}
_POSITIVE: Final = (
    *(
        f"OTEL_{processor}_{what}"
        for processor in ("BSP", "BLRP")
        for what in ("SCHEDULE_DELAY", "EXPORT_TIMEOUT", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE")
    ),
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_METRIC_EXPORT_TIMEOUT",
)
_LIMITS: Final = (
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
)
_PAIR = re.compile(r"[^=,\s]+\s*=[^,]*")


def variable(name: str) -> str:
    """Return a variable's value; empty where it is not set, which OpenTelemetry treats alike."""
    return os.environ.get(name, "").strip()


def sdk_disabled() -> bool:
    """Return whether `OTEL_SDK_DISABLED` switches all telemetry off.

    Raises:
        UserError: it is neither `true` nor `false`.
    """
    return _choice("OTEL_SDK_DISABLED", ("true", "false"), "false") == "true"


def check_variables() -> None:
    """Check what the SDK reads by itself.

    Raises:
        UserError: a value is wrong; the message names the variable, never the value.
    """
    for name, allowed in _CHOICES.items():
        _choice(name, allowed, allowed[0])
    for name in (*_POSITIVE, *_LIMITS):
        _number(name, at_least=0 if name in _LIMITS else 1)
    for processor, queue, batch in (("BSP", 2048, 512), ("BLRP", 2048, 512)):
        names = f"OTEL_{processor}_MAX_EXPORT_BATCH_SIZE", f"OTEL_{processor}_MAX_QUEUE_SIZE"
        if (_number(names[0]) or batch) > (_number(names[1]) or queue):
            raise UserError(f"{names[0]}: at most {names[1]}")
    if "ratio" in variable("OTEL_TRACES_SAMPLER") and not _is_share(variable("OTEL_TRACES_SAMPLER_ARG") or "1"):
        raise UserError("OTEL_TRACES_SAMPLER_ARG: a number from 0 to 1")
    _check_pairs("OTEL_RESOURCE_ATTRIBUTES")


def exporters(signal: Signal) -> list[Any]:
    """Return the exporters of a signal, made from its variables.

    Raises:
        UserError: a value is wrong, or the exporter is not installed.
    """
    name = f"OTEL_{signal.upper()}_EXPORTER"
    endpoint = next((each for each in _names(signal, "ENDPOINT") if variable(each)), None)
    default = "none" if endpoint is None else "otlp"
    wanted = list(dict.fromkeys(each.strip() for each in (variable(name) or default).split(",")))
    if wanted == ["none"]:
        return []
    if not set(wanted) <= {"otlp", "console"}:
        raise UserError(f"{name}: none, otlp or console; or otlp,console")
    reason = f"{name} is otlp" if variable(name) else f"{endpoint} is set"
    return [_otlp(signal, reason) if each == "otlp" else _entry_point(signal, "console")() for each in wanted]


def _otlp(signal: Signal, reason: str) -> Any:
    protocol = _choice(_first(signal, "PROTOCOL"), tuple(_PROTOCOLS), "http/protobuf")
    name, extra = _PROTOCOLS[protocol]
    exporter = _entry_point(signal, name)
    if exporter is None:
        raise UserError(f"{reason}, but the exporter for {protocol} is not installed: install {extra}, or unset it")
    _check_endpoint(_first(signal, "ENDPOINT"), protocol)
    _check_pairs(_first(signal, "HEADERS"))
    _choice(_first(signal, "COMPRESSION"), ("none", "gzip", "deflate"), "none")
    for what in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        file = _first(signal, what)
        if variable(file) and not Path(variable(file)).is_file():
            raise UserError(f"{file}: there is no such file")
    # The specification's unit is milliseconds; the exporters would read the variable as seconds.
    timeout = _first(signal, "TIMEOUT")
    milliseconds = _number(timeout) or 10_000
    if milliseconds < _SHORTEST_TIMEOUT_MS:
        raise UserError(f"{timeout}: milliseconds, at least {_SHORTEST_TIMEOUT_MS}")
    return exporter(timeout=milliseconds / 1000)


def _names(signal: Signal, what: str) -> tuple[str, str]:
    return f"{_COMMON}_{signal.upper()}_{what}", f"{_COMMON}_{what}"


def _first(signal: Signal, what: str) -> str:
    """Return the variable that counts: the signal's own, else the one for all signals."""
    own, common = _names(signal, what)
    return own if variable(own) else common


def _entry_point(signal: Signal, name: str) -> Any:
    found = entry_points(group=f"opentelemetry_{signal}_exporter", name=name)
    return next(iter(found)).load() if found else None


def _choice(name: str, allowed: Sequence[str], default: str) -> str:
    value = variable(name).lower() or default
    if value not in allowed:
        raise UserError(f"{name}: one of {', '.join(allowed)}")
    return value


def _number(name: str, at_least: int = 1) -> int | None:
    value = variable(name)
    if not value:
        return None
    if not (value.isascii() and value.isdecimal() and int(value) >= at_least):
        raise UserError(f"{name}: a whole number, at least {at_least}")
    return int(value)


def _is_share(value: str) -> bool:
    try:
        return 0 <= float(value) <= 1
    except ValueError:
        return False


def _check_pairs(name: str) -> None:
    value = variable(name)
    if value and not all(_PAIR.fullmatch(pair.strip()) for pair in value.split(",") if pair.strip()):
        raise UserError(f"{name}: name=value, several separated by commas")


def _check_endpoint(name: str, protocol: str) -> None:
    value = variable(name)
    try:
        address = urlsplit(value if protocol == "http/protobuf" or "://" in value else f"http://{value}")
        correct = address.scheme in {"http", "https"} and bool(address.hostname) and address.port != 0
    except ValueError:
        correct = False
    if value and not correct:
        raise UserError(f"{name}: http://host:port or https://host:port")
