"""IP addresses, versions 4 and 6; the machine's own (loopback) and the unspecified one belong to nobody."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from sprat_privacy.detectors.validators.reading import Hit, Reading

TYPE = "IP"

_FOUR = re.compile(r"(?<![\w.])(?:[0-9]{1,3}+\.){3}[0-9]{1,3}+(?!\w|\.[0-9])")
_SIX = re.compile(r"[0-9A-Fa-f:.]{2,}+")
_MAX_SIX = 45
"""Of the longest way to write one, `::ffff:255.255.255.255` written out."""


def find(reading: Reading) -> Iterator[Hit]:
    """Give every address that is one."""
    text = reading.text
    for four in _FOUR.finditer(text):
        if _counts(IPv4Address, four.group()):
            yield Hit(four.start(), four.end(), TYPE)
    if text.count(":") < 2:
        return
    for run in _SIX.finditer(text):
        start, end = _trimmed(run.group(), run.start())
        if end - start <= _MAX_SIX and text.count(":", start, end) >= 2 and _is_six(text, start, end):
            yield Hit(start, end, TYPE)


def _trimmed(run: str, start: int) -> tuple[int, int]:
    """Leave out the punctuation around: one colon before, colons and full stops behind."""
    if run.startswith(":") and not run.startswith("::"):
        run, start = run[1:], start + 1
    run = run.rstrip(".")
    if run.endswith(":") and not run.endswith("::"):
        run = run[:-1]
    return start, start + len(run)


def _is_six(text: str, start: int, end: int) -> bool:
    before_free = start == 0 or not (text[start - 1].isalnum() and text[start] != ":") or text[start - 1] == ":"
    after_free = end == len(text) or not text[end].isalnum()
    address = text[start:end]
    has_digit = any(character.isdigit() for character in address)
    glued = address.startswith("::") and start > 0 and text[start - 1].isalnum()
    return before_free and after_free and has_digit and not glued and _counts(IPv6Address, address)


def _counts(version: type[IPv4Address] | type[IPv6Address], written: str) -> bool:
    try:
        # ipaddress refuses leading zeros (octal elsewhere); they are addresses to people all the same.
        address = version(
            re.sub(r"(?<![0-9A-Fa-f.])0+(?=[0-9])|(?<=\.)0+(?=[0-9])", "", written)
            if version is IPv4Address
            else written
        )
    except AddressValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
