"""Where a word may begin and end.

Masking needs two notions. A *seam* is a position whose neighbours are not both letters or digits: the usual word
boundary. A *cut* is stricter: accents and invisible joiners hold a word together too, so every cut is a seam. Detected
spans are widened to cuts, so replacing them creates no new seam; and their values are searched between seams. So a
value that does not occur between seams in the original outside the spans does not occur so in the masked text.

Scripts without spaces between words (Chinese, Japanese, Thai, …) have a seam and a cut between any two characters.
"""

import unicodedata
from functools import lru_cache
from typing import Final

_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x31FF),  # Han radicals, kana, bopomofo
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # half-width kana
    (0x1B000, 0x1B16F),  # kana, historic
    (0x20000, 0x3FFFF),  # Han, supplementary planes
)


def is_seam(text: str, at: int) -> bool:
    """Return whether a word can begin or end before `text[at]`."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    return not (before.isalnum() and after.isalnum()) or is_unspaced(before) or is_unspaced(after)


def is_cut(text: str, at: int) -> bool:
    """Return whether a word can begin or end before `text[at]` without splitting off accents or invisible joiners."""
    if not is_seam(text, at):
        return False
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if _clings(after):
        return before.isspace()
    return not (_clings(before) and after.isalnum()) or is_unspaced(after)


def widen(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the smallest span around this one whose ends are cuts."""
    while not is_cut(text, start):
        start -= 1
    while not is_cut(text, end):
        end += 1
    return start, end


class Cuts:
    """The cuts of one text. To widen any number of spans takes time linear in the text: none is looked for twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._before: dict[int, int] = {}
        self._after: dict[int, int] = {}

    def widen(self, start: int, end: int) -> tuple[int, int]:
        """Return the smallest span around this one whose ends are cuts."""
        return self._cut(start, -1, self._before), self._cut(end, 1, self._after)

    def _cut(self, at: int, step: int, known: dict[int, int]) -> int:
        """Return the nearest cut in one direction, and note it for all characters on the way."""
        found = at
        while found not in known and not is_cut(self._text, found):
            found += step
        cut = known.get(found, found)
        known.update(dict.fromkeys(range(at, found + step, step), cut))
        return cut


def is_unspaced(character: str) -> bool:
    """Return whether a character belongs to a script without spaces between words."""
    return character >= "\u0e00" and _in_unspaced_ranges(character)


@lru_cache(maxsize=8192)
def _in_unspaced_ranges(character: str) -> bool:
    point = ord(character)
    return any(first <= point <= last for first, last in _UNSPACED)


def _clings(character: str) -> bool:
    return not character.isascii() and _is_mark(character)


@lru_cache(maxsize=8192)
def _is_mark(character: str) -> bool:
    """Return whether it is an accent, an invisible character, or a modifier of the emoji before it."""
    return unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"} or "\U0001f3fb" <= character <= "\U0001f3ff"
