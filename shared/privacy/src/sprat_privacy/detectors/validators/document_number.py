"""Numbers of passports, identity cards and driving licences: no form of their own, but a word before them."""

import re
from collections.abc import Iterator

from sprat_privacy.detectors.validators.context import DOCUMENTS
from sprat_privacy.detectors.validators.reading import Hit, Reading, any_word

_WORDS = {type: any_word(*words) for type, words in DOCUMENTS.items()}
_NUMBER = re.compile(
    r"(?<![^\W_])(?:[A-Z]{1,3}[ -])?[A-Za-z0-9]*[0-9][A-Za-z0-9]*"
    r"(?:[ -][A-Za-z0-9]{0,8}[0-9][A-Za-z0-9]{0,8}){0,5}(?![^\W_])"
)
_REACH = 40
"""Characters between the word and its number."""
_FEWEST, _MOST, _FEWEST_DIGITS = 5, 20, 4


def find(reading: Reading) -> Iterator[Hit]:
    """Give the first number behind each such word."""
    if not reading.has_digits:
        return
    for type, words in _WORDS.items():
        for word in words.finditer(reading.lower):
            number = _NUMBER.search(reading.text, word.end(), word.end() + _REACH)
            if number is None:
                continue
            compact = [character for character in number.group() if character.isalnum()]
            digits = sum(map(str.isdigit, compact))
            if _FEWEST <= len(compact) <= _MOST and digits >= _FEWEST_DIGITS:
                yield Hit(number.start(), number.end(), type, 0.8)
