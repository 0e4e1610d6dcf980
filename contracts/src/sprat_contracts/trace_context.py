"""W3C trace context in record headers: https://www.w3.org/TR/trace-context/#traceparent-header."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sprat_contracts.headers import header_name
from sprat_contracts.ids import TRACE, derive

_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Traceparent:
    """The header `traceparent`: which trace a record belongs to. `str()` returns the header's value."""

    trace_id: str
    """32 hexadecimal digits."""
    parent_id: str
    """16 hexadecimal digits: the span that wrote the record."""
    flags: str = "01"
    """Two hexadecimal digits; `01`: sampled."""
    version: str = "00"

    @classmethod
    def parse(cls, header: str | bytes | None) -> "Traceparent | None":
        """Return the header's value; None where it is missing or not valid."""
        text = header.decode("utf-8", "replace") if isinstance(header, bytes) else header
        match = _TRACEPARENT.fullmatch(text or "")
        return None if match is None else cls(match[2], match[3], match[4], match[1])

    @classmethod
    def of(cls, headers: Iterable[tuple[str, bytes]]) -> "Traceparent | None":
        """Return that of a record; None where it has none, or none that is valid. Of two headers the last counts."""
        given = [value for name, value in headers if header_name(name) == "traceparent"]
        return cls.parse(given[-1]) if given else None

    @classmethod
    def root(cls, source: str, id: str) -> "Traceparent":
        """Return the trace context that all services continue when a text came without one."""
        trace = derive(TRACE, source, id).hex
        return cls(trace, trace[16:])

    def __str__(self) -> str:
        return f"{self.version}-{self.trace_id}-{self.parent_id}-{self.flags}"
