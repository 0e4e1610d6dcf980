"""E-mail addresses: RFC 5321's local part and domain, with letters of every script (RFC 6531)."""

import re
from collections.abc import Iterator

from sprat_privacy.detectors.validators.reading import Hit, Reading

TYPE = "EMAIL"

MAX_LOCAL = 64
MAX_DOMAIN = 253
"""RFC 5321, 4.5.3.1: what is longer is no address. They also bound the work for each `@`."""
_LOCAL = frozenset("!#$%&'*+-/=?^_`{|}~.")
_LEADING = "!#$%&'*/=?^`{|}~.-"
_FIELD = re.compile(
    r"(?:mail|e-?mail|to|from|cc|bcc|reply-?to|user(?:name)?|login|account|recipient|sender|address)=", re.IGNORECASE
)
"""`to=` in a query or a log line is no part of the address; `bounce-` … `=example.com@` is."""
_DOMAIN = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+(?:xn--[A-Za-z0-9-]{2,59}|[^\W\d_]{2,63})|localhost", re.IGNORECASE
)
_LITERAL = re.compile(r"\[[0-9A-Fa-f:.IPv]{2,60}\]")


def find(reading: Reading) -> Iterator[Hit]:
    """Give every address; work is bounded for each `@`."""
    text = reading.text
    at = text.find("@")
    while at >= 0:
        domain = _LITERAL.match(text, at + 1) or _DOMAIN.match(text, at + 1, at + 1 + MAX_DOMAIN)
        if domain is not None:
            start = _local(text, at)
            if start < at:
                yield Hit(start, domain.end(), TYPE)
        at = text.find("@", at + 1)


def _local(text: str, at: int) -> int:
    """Give where the local part before an `@` begins; `at` where there is none."""
    start = at
    first = max(0, at - MAX_LOCAL)
    if text[first:at].endswith('"'):
        opening = text.rfind('"', first, at - 1)
        return opening if opening >= 0 else at
    while start > first and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
        start -= 1
    while start < at and text[start] in _LEADING:
        start += 1
    field = _FIELD.match(text, start, at)
    return field.end() if field is not None else start
