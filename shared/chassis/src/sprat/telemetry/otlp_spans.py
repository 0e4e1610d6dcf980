"""Spans as OTLP, in a tenth of the time that OpenTelemetry's own encoder takes.

A protobuf message is the bytes of its fields, one after the other. Most attributes repeat from span to span, so the
bytes of each pair of a name and a value are made once, and a span is mostly joined. The exporter, with its connection,
retries and compression, stays OpenTelemetry's. Imported only where spans are exported.
"""

import functools
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import SpanFlags, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from sprat.telemetry.attributes import MESSAGE_ID
from sprat.telemetry.spans import SCOPE


def with_fast_encoding(exporter: Any) -> Any:
    """Return the exporter with this encoding, where it is OpenTelemetry's for HTTP; else the exporter itself."""
    client = getattr(exporter, "_client", None)  # not public: another version may not have it
    return _FastExporter(exporter, client) if hasattr(client, "export") else exporter


class _FastExporter:
    """Encodes and sends. The exporter's metrics of itself and its limit of a request's size, 64 MiB, are left out."""

    def __init__(self, exporter: Any, client: Any) -> None:
        self._exporter = exporter
        self._client = client

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans in one request."""
        if any(span.instrumentation_scope is not SCOPE or span.events for span in spans):  # a library's own
            own: SpanExportResult = self._exporter.export(spans)
            return own
        sent = self._client.export(encode(spans))
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    """Return the request for spans of one resource and scope, which a process has.

    The numbers of fields are those of `trace.proto` and `common.proto`; a test compares with OpenTelemetry's encoder.
    """
    if not spans:
        return b""
    (resource,) = encode_spans(spans[:1]).resource_spans
    (scope,) = resource.scope_spans
    schemas = [_field(_SCHEMA_URL, each.schema_url.encode()) if each.schema_url else b"" for each in (scope, resource)]
    for each in (scope, resource):
        each.ClearField("schema_url")
    del scope.spans[:], resource.scope_spans[:]
    scope_spans = scope.SerializeToString() + b"".join(_field(_SPAN, _span(each)) for each in spans) + schemas[0]
    return _field(_RESOURCE_SPANS, resource.SerializeToString() + _field(_SCOPE_SPANS, scope_spans) + schemas[1])


def _span(span: ReadableSpan) -> bytes:
    context, parent = span.context, span.parent
    remote = parent is not None and parent.is_remote
    return b"".join(
        (
            _identity(context),
            b"" if parent is None else _PARENT_SPAN_ID + parent.span_id.to_bytes(8, "big"),
            _name_and_kind(span.name, span.kind),
            _START,
            _U64(span.start_time or 0),
            _END,
            _U64(span.end_time or 0),
            *_attributes(span.attributes or {}),
            *(_field(_LINK, _identity(each.context) + _LINK_FLAGS[each.context.is_remote]) for each in span.links),
            _STATUS[span.status.status_code],
            _SPAN_FLAGS[remote],
        )
    )


def _attributes(attributes: Mapping[str, Any]) -> Iterator[bytes]:
    for name, value in attributes.items():
        if type(value) in _REPEATED and name != MESSAGE_ID.name:
            yield _attribute_once(name, value)
        else:
            yield _attribute(name, value)


def _attribute(name: str, value: Any) -> bytes:
    return _field(_ATTRIBUTE, _key(name) + _field(_VALUE, _any_value(value)))


_attribute_once = functools.lru_cache(maxsize=4096)(_attribute)
_REPEATED = {str, tuple}
"""Types of values that are the same in many spans, tuples of strings alone; 1 would be taken for True."""


@functools.cache
def _key(name: str) -> bytes:
    return _field(_KEY, name.encode())


def _any_value(value: Any) -> bytes:
    match value:
        case str():
            return _field(_STRING, value.encode())
        case bool():
            return _BOOL + _varint(value)
        case int():
            return _INT + _varint(value & _UNSIGNED)
        case float():
            return _DOUBLE + _F64(value)
        case _:
            return _field(_ARRAY, b"".join(_field(_ITEM, _any_value(each)) for each in value))


def _identity(context: SpanContext) -> bytes:
    """Return trace id and span id, which have the same numbers in a span and in a link."""
    return _TRACE_ID + context.trace_id.to_bytes(16, "big") + _SPAN_ID + context.span_id.to_bytes(8, "big")


@functools.lru_cache(maxsize=1024)
def _name_and_kind(name: str, kind: SpanKind) -> bytes:
    return _field(_NAME, name.encode()) + _KIND + _varint(kind.value + 1)  # 0 is unspecified there


def _tag(number: int, wire_type: int) -> bytes:
    """Return what a field begins with."""
    return _varint(number << 3 | wire_type)


def _field(tag: bytes, value: bytes) -> bytes:
    """Return a field of bytes, text, or a message."""
    return tag + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    """Return a number in as many groups of seven bits as it needs, the lowest first."""
    if number <= _SEVEN_BITS:
        return number.to_bytes()
    groups = bytearray()
    while number > _SEVEN_BITS:
        groups.append(number & _SEVEN_BITS | _MORE)
        number >>= 7
    groups.append(number)
    return bytes(groups)


_SEVEN_BITS, _MORE = 0x7F, 0x80
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types: https://protobuf.dev/programming-guides/encoding/#structure."""
_RESOURCE_SPANS, _SCOPE_SPANS, _SPAN = _tag(1, _BYTES), _tag(2, _BYTES), _tag(2, _BYTES)
_SCHEMA_URL = _tag(3, _BYTES)
"""The same number in the spans of a resource and in those of a scope."""
_TRACE_ID, _SPAN_ID, _PARENT_SPAN_ID = _tag(1, _BYTES) + b"\x10", _tag(2, _BYTES) + b"\x08", _tag(4, _BYTES) + b"\x08"
_NAME, _KIND, _START, _END = _tag(5, _BYTES), _tag(6, _VARINT), _tag(7, _FIXED64), _tag(8, _FIXED64)
_ATTRIBUTE, _LINK = _tag(9, _BYTES), _tag(13, _BYTES)
_STATUS = {
    code: _field(_tag(15, _BYTES), Status(code=Status.StatusCode.Name(code.value)).SerializeToString())
    for code in StatusCode
}
_KEY, _VALUE, _ITEM = _tag(1, _BYTES), _tag(2, _BYTES), _tag(1, _BYTES)
_STRING, _BOOL, _INT = _tag(1, _BYTES), _tag(2, _VARINT), _tag(3, _VARINT)
_DOUBLE, _ARRAY = _tag(4, _FIXED64), _tag(5, _BYTES)
_U64, _F64 = struct.Struct("<Q").pack, struct.Struct("<d").pack
_UNSIGNED = (1 << 64) - 1
"""A negative number is written as its two's complement in 64 bits."""


def _flags(number: int) -> dict[bool, bytes]:
    """Return the field of flags, by whether the context is another process's."""
    known, remote = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK, SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    begin = _tag(number, _FIXED32)
    return {False: begin + known.to_bytes(4, "little"), True: begin + (known | remote).to_bytes(4, "little")}


_SPAN_FLAGS, _LINK_FLAGS = _flags(16), _flags(6)
