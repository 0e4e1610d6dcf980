"""The value of a dead letter in a form that people can read and `sprat_privacy` can mask.

JSON is laid out with one value per line, as `tasks.translation.target: de`, with the line breaks of its strings: names
and numbers are then plain text, without escapes that would hide them from a finder.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from sprat.base.words import counted
from sprat_contracts import FrontierAnswered, FrontierRequested, Prediction, TextSubmitted
from sprat_contracts.languages import LanguageTag
from sprat_contracts.structured import CONTEXT, MAX_ATTRIBUTE
from sprat_contracts.texts import FrontierRule, ModelName

if TYPE_CHECKING:
    from sprat_privacy import MaskedSpan, MaskedText

MAX_SHOWN: Final = 20_000
"""Code points that are shown, as many as a text may have."""
_MARGIN: Final = 500
"""Code points that are masked beyond those shown: a name cut in two would not be recognised."""
_ESCAPE: Final = re.compile(r"\\u(?:(?=[dD][89abAB])([0-9a-fA-F]{4})\\u([dD][c-fC-F][0-9a-fA-F]{2})|([0-9a-fA-F]{4}))")
_SHORT_NUMBER: Final = re.compile(r"(?<!\d)\d{1,6}(?!\d)")
"""Shorter than a telephone number, an account or an identity card."""
_TENANT: Final = re.compile(r"(?!(?:\D*\d){7})[A-Za-z][A-Za-z0-9._-]{0,63}")
"""A tenant in one word, with no more digits than a short number. Any other may be a person, an address or a number."""
_ADDRESS: Final = "ADDRESS"
_ATTRIBUTES: Final = CONTEXT | {"datacontenttype"}
"""Of an event, the attributes that are in logs and traces, too, and so are never masked."""
_MOST_LAYERS: Final = 4
"""How many layers of escaped escapes are decoded."""
_FEW_ESCAPED, _MOST_ESCAPED = 8, 0.1
"""A text holds at most this number or this share of bytes that are not UTF-8, whichever is more."""


@dataclass(frozen=True, slots=True)
class ReadablePayload:
    """The readable part of a value. In `text`, bytes that are not UTF-8 are Latin letters, so that names are found."""

    text: str = field(repr=False)
    escaped: frozenset[int]
    """Places of those letters; they are shown as hexadecimal bytes."""
    left_out: int = 0
    """Code points beyond what is shown."""
    language: str | None = None
    """The language that the value itself names."""
    ours: tuple[tuple[int, int], ...] = ()
    """Start and end of what is never masked: the contracts' own field names, the languages, rules, tenants and model
    names after them, the attributes of an event, and numbers in a key.
    """
    is_word: bool = False
    """Whether it is a key of one word: an identifier, which a finder of names takes for an address, as `cust-3`."""

    def shown(self, start: int = 0, end: int | None = None) -> str:
        """Return the text from `start` to `end`; bytes that are not UTF-8 are in hexadecimal."""
        stop = len(self.text) if end is None else end
        if not self.escaped:
            return self.text[start:stop]
        return "".join(
            f"\\x{ord(character):02x}" if place in self.escaped else character
            for place, character in enumerate(self.text[start:stop], start)
        )

    def spans(self, masked: "MaskedText") -> "list[MaskedSpan]":
        """Return the spans to hide."""
        return [
            span
            for span in masked.spans
            if span.start < MAX_SHOWN
            and not any(start <= span.start and span.end <= end for start, end in self.ours)
            and not (self.is_word and span.type == _ADDRESS)
        ]

    def masked(self, masked: "MaskedText") -> str:
        """Return the shown part with placeholders for the hidden spans."""
        limit = min(len(self.text), MAX_SHOWN)
        pieces: list[str] = []
        last = 0
        for span in self.spans(masked):
            pieces += (self.shown(last, span.start), span.placeholder)
            last = span.end
        return "".join((*pieces, self.shown(last, max(last, limit))))


def readable(value: bytes, *, is_event: bool = False) -> ReadablePayload | None:
    """Return the readable part of a value, of an event in structured mode where `is_event`; None: it is not a text."""
    try:
        decoded = value.decode()
    except UnicodeDecodeError:
        return _of_bytes(value)
    if "\0" in decoded:  # UTF-16, or a file: no finder would see a name in it
        return None
    try:
        pairs = json.loads(decoded, object_pairs_hook=_Pairs)
        lines = list(_lines((), pairs, is_event=is_event)) if isinstance(pairs, _Pairs | list | str) else None
    except (ValueError, RecursionError):
        lines = None
    if lines is None:
        unescaped = _unescaped(decoded)
        return None if unescaped is None else _cut(ReadablePayload(unescaped, frozenset()))
    laid_out = "\n".join(line for line, _ in lines)
    if "\0" in laid_out:
        return None
    ours, at = [], 0
    for line, known in lines:
        if known and at < MAX_SHOWN:
            ours.append((at, at + known))
        at += len(line) + 1
    return _cut(ReadablePayload(laid_out, frozenset(), language=_language(pairs), ours=tuple(ours)))


def readable_key(value: bytes) -> ReadablePayload | None:
    """Return the readable part of a record's key; in one that is a single word, no address is masked.

    Nor are short numbers, whatever they are taken for. Such as `cust-3`, `4711` or `user:1001`: a finder takes the
    number for that of a house. Persons, forms (e-mail, telephone, IBAN, …) and the policy's terms stay masked.
    """
    content = readable(value)
    if content is None or re.search(r"\s", content.text):
        return content
    numbers = tuple(found.span() for found in _SHORT_NUMBER.finditer(content.text))
    return replace(content, ours=numbers, is_word=True)


def hex_dump(value: bytes, limit: int = 4096) -> Iterator[str]:
    """Return a hex dump of the first bytes: per line the offset, sixteen bytes, and their ASCII characters."""
    for start in range(0, min(len(value), limit), 16):
        row = value[start : start + 16]
        plain = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield f"{start:08x}  {row.hex(' '):47}  {plain}"
    if len(value) > limit:
        yield f"… {counted(len(value) - limit, 'more byte')}"


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written, with its duplicate keys."""


def _lines(path: tuple[str | int, ...], value: Any, *, is_event: bool) -> Iterator[tuple[str, int]]:
    """Return the lines, each with the length of its start that is never masked: its path, path and value, or 0."""
    if isinstance(value, _Pairs | list) and value:
        for step, inner in value if isinstance(value, _Pairs) else enumerate(value):
            yield from _lines((*path, step), inner, is_event=is_event)
        return
    if isinstance(value, _Pairs | list):
        content = "{}" if isinstance(value, _Pairs) else "[]"
    else:
        content = _whole(value) if isinstance(value, str) else json.dumps(value)
    named = _whole(".".join(map(str, path)))
    first, *more = content.split("\n")
    line = f"{named}: {first}" if path else first
    if _is_plain(path, value) or (is_event and _is_attribute(path, value)):
        yield line, len(line)
    else:
        yield line, len(named) if all(isinstance(step, int) or step in _names() for step in path) else 0
    yield from ((f"  {line}", 0) for line in more)


def _is_plain(path: tuple[str | int, ...], value: Any) -> bool:
    """Return whether the value is a language, a rule, a tenant in one word or the name of a model, by the contract."""
    if not isinstance(value, str) or any(step not in _names() for step in path):
        return False
    match path:
        case (*_, "language") | (*_, "tasks", str(), "target"):
            kind: Any = LanguageTag
        case (*_, "frontier"):
            kind = FrontierRule
        case (*_, "tasks", str(), "model"):
            kind = ModelName
        case ("tenant",) | (*_, "submitted", "tenant"):
            return _TENANT.fullmatch(value) is not None
        case _:
            return False
    try:
        _adapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def _is_attribute(path: tuple[str | int, ...], value: Any) -> bool:
    """Return whether the value is an attribute of an event that is never masked, also where it should be a string."""
    if len(path) != 1 or path[0] not in _ATTRIBUTES or isinstance(value, list):
        return False
    return not isinstance(value, str) or len(value) <= MAX_ATTRIBUTE


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _unescaped(text: str) -> str | None:
    """Decode the escapes in a text that is not JSON; None where escapes are left over, or a NUL was escaped."""
    for _ in range(_MOST_LAYERS):
        decoded = _ESCAPE.sub(_decoded, text)
        if decoded == text:
            return None if "\0" in decoded else decoded
        text = decoded
    return None


def _decoded(escape: re.Match[str]) -> str:
    high, low, single = escape.groups()
    if single is None:
        return bytes.fromhex(high + low).decode("utf-16-be")
    character = chr(int(single, 16))
    return escape[0] if "\ud800" <= character <= "\udfff" else character  # half of a surrogate pair is kept


def _whole(text: str) -> str:
    """Escape halves of surrogate pairs, which no finder accepts."""
    return text.encode("utf-8", "backslashreplace").decode()


@cache
def _names() -> frozenset[str]:
    """Return all field names of the messages that a dead letter may hold."""
    names: set[str] = set()
    for message in (TextSubmitted, Prediction, FrontierRequested, FrontierAnswered):
        schema = message.model_json_schema()
        for part in (schema, *schema.get("$defs", {}).values()):
            names.update(part.get("properties", {}))
    return frozenset(names)


def _language(value: Any) -> str | None:
    """Return the language that a text names; also that of one inside an event, a prediction, a request or an answer."""
    if not isinstance(value, _Pairs):
        return None
    fields = dict(value)
    if isinstance(fields.get("language"), str):
        named: str = fields["language"]
        return named
    return next(
        (found for step in ("data", "submitted", "prediction", "request") if (found := _language(fields.get(step)))),
        None,
    )


def _of_bytes(value: bytes) -> ReadablePayload | None:
    decoded = _unescaped(value.decode("utf-8", "surrogateescape"))
    if decoded is None:
        return None
    places = frozenset(place for place, character in enumerate(decoded) if "\udc80" <= character <= "\udcff")
    if len(places) > max(_FEW_ESCAPED, _MOST_ESCAPED * len(decoded)):
        return None
    text = "".join(
        chr(ord(character) - 0xDC00) if place in places else character for place, character in enumerate(decoded)
    )
    return _cut(ReadablePayload(text, places))


def _cut(content: ReadablePayload) -> ReadablePayload:
    more = len(content.text) - MAX_SHOWN
    return content if more <= 0 else replace(content, text=content.text[: MAX_SHOWN + _MARGIN], left_out=more)
