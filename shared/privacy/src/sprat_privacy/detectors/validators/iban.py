"""IBANs of every registered country (ISO 13616), by their structure and their two check digits."""

import re
from collections.abc import Iterator

from stdnum import iban

from sprat_privacy.detectors.validators.reading import Hit, Reading, any_word

TYPE = "IBAN"

_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}[ -]?[0-9]{2}")
_PIECE = re.compile(r"(?: - |[ .\-/]{0,2})([A-Za-z0-9]{1,34})")
_SHORTEST = 15
_LONGEST = 34
_WORDS = any_word("iban")


def find(reading: Reading) -> Iterator[Hit]:
    """Give every valid one; after the word IBAN also one with a mistyped digit."""
    text = reading.text
    for begin in _START.finditer(text):
        found = _match(reading, begin.start())
        if found is not None:
            yield found


def _match(reading: Reading, start: int) -> Hit | None:
    """Read on from a country code and check every length at which a word ends."""
    text = reading.text
    compact = ""
    at = start
    ends: list[tuple[int, str]] = []
    while len(compact) < _LONGEST and (piece := _PIECE.match(text, at)):
        compact += piece[1]
        at = piece.end()
        if _SHORTEST <= len(compact) <= _LONGEST and reading.stands_alone(start, at):
            ends.append((at, compact))
    for end, number in reversed(ends):
        if not reading.may_check(TYPE):
            return Hit(start, end, TYPE, 0.5)
        if iban.is_valid(number, check_country=False):
            return Hit(start, end, TYPE)
    if ends and reading.before(start, _WORDS):
        written = [(end, number) for end, number in ends if sum(map(str.isdigit, number)) >= len(number) // 2]
        if written:
            return Hit(start, written[-1][0], TYPE, 0.7)
    return None
