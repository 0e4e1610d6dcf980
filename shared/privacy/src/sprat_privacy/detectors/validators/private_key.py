"""Private keys in armour: PEM (RFC 7468), OpenSSH, PGP, PuTTY."""

import re
from collections.abc import Iterator

from sprat_privacy.detectors.validators.reading import Hit, Reading

TYPE = "PRIVATE_KEY"

_BEGIN = re.compile(r"-{4,5} ?BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_END = re.compile(r"-{4,5} ?END (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_PUTTY = re.compile(r"PuTTY-User-Key-File-[0-9]: ")
_PUTTY_END = re.compile(r"Private-MAC: [0-9a-f]{40,64}")
_BODY = re.compile(
    r"(?:(?:\\n|\\r|[\s>|*-])*+(?:[A-Za-z0-9+/=]{16,}+|[A-Z][A-Za-z-]{2,20}: [^\n]*+|=[A-Za-z0-9+/]{4}))*+"
    r"(?:(?:\\n|\r?\n)[A-Za-z0-9+/]{1,15}={0,2}(?![A-Za-z]))?"
)
"""What follows the beginning of a key without an end: lines of base 64 and the headers before them."""


def find(reading: Reading) -> Iterator[Hit]:
    """Give every key from its beginning to its end; of one that was cut off, as much as is there."""
    text = reading.text
    if "PRIVATE KEY" not in text and "PuTTY" not in text:
        return
    for begin, end in ((_BEGIN, _END), (_PUTTY, _PUTTY_END)):
        last = 0
        ends = [match.end() for match in end.finditer(text)]
        while (key := begin.search(text, last)) is not None:
            while ends and ends[0] < key.end():
                ends.pop(0)
            last = _key_end(text, key.end(), ends[0] if ends else None, begin)
            yield Hit(key.start(), last, TYPE)


def _key_end(text: str, start: int, end: int | None, begin: re.Pattern[str]) -> int:
    following = begin.search(text, start, end) if end is not None else None
    if end is not None and following is None:
        return end
    body = _BODY.match(text, start)
    return body.end() if body is not None else start
