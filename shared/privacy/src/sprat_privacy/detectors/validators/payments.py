"""IBANs and payment cards.

IBANs of every registered country (ISO 13616) by their structure and their two check digits, also where letters touch
them. Cards (ISO/IEC 7812) by a
brand's first digits, its lengths and the Luhn digit; after a context word, cards of any brand.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from stdnum import iban, luhn, numdb

from sprat_privacy.detectors.validators.context_words import CARD_WORDS
from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText, any_word

IBAN = "IBAN"
CARD = "CARD"

_IBAN_START = re.compile(r"[A-Za-z]{2}[ -]?[0-9]{2}")
_IBAN_PIECE = re.compile(r"(?: - |[ .\-/]{0,2})([A-Za-z0-9]{1,34})")
_SHORTEST_IBAN = 15
_LONGEST_IBAN = 34
_IBAN_WORDS = any_word("iban")


def find_ibans(source: PreparedText) -> Iterator[Hit]:
    """Find every valid IBAN; after the word IBAN also one with a mistyped digit."""
    text = source.text
    for begin in _IBAN_START.finditer(text):
        hit = (
            not text[begin.start() - 1 : begin.start()].isalnum() and _iban_at(source, begin.start())
        ) or _glued_iban_at(source, begin.start())
        if hit:
            yield hit


def _glued_iban_at(source: PreparedText, start: int) -> Hit | None:
    """Read an IBAN of its country's length that letters touch: `refDE89…`, `…3000please`."""
    text = source.text
    length = _iban_length(text[start : start + 2].upper())
    compact = ""
    at = start
    while len(compact) < length and (piece := _IBAN_PIECE.match(text, at)):
        taken = piece[1][: length - len(compact)]
        compact += taken
        at = piece.start(1) + len(taken)
    if not length or len(compact) < length or source.is_isolated(start, at) or text[at : at + 1].isdigit():
        return None
    if not source.may_check(IBAN):
        return Hit(start, at, IBAN, 0.5)
    return Hit(start, at, IBAN) if iban.is_valid(compact, check_country=False) else None


@lru_cache(maxsize=1024)
def _iban_length(country: str) -> int:
    """Return how many characters the IBANs of a country have; 0 if it has none."""
    ((_, registered),) = numdb.get("iban").info(country)[:1] or [("", {})]
    structure = registered.get("bban", "")
    return 4 + sum(map(int, re.findall(r"[0-9]+", structure))) if structure else 0


def _iban_at(source: PreparedText, start: int) -> Hit | None:
    """Read on from a country code; check every length that ends at a word boundary, the longest first."""
    text = source.text
    compact = ""
    at = start
    ends: list[tuple[int, str]] = []
    while len(compact) < _LONGEST_IBAN and (piece := _IBAN_PIECE.match(text, at)):
        compact += piece[1]
        at = piece.end()
        if _SHORTEST_IBAN <= len(compact) <= _LONGEST_IBAN and source.is_isolated(start, at):
            ends.append((at, compact))
    for end, number in reversed(ends):
        if not source.may_check(IBAN):
            return Hit(start, end, IBAN, 0.5)
        if iban.is_valid(number, check_country=False):
            return Hit(start, end, IBAN)
    if ends and source.before(start, _IBAN_WORDS):
        plausible = [end for end, number in ends if sum(map(str.isdigit, number)) >= len(number) // 2]
        if plausible:
            return Hit(start, plausible[-1], IBAN, 0.7)
    return None


_CARD_DIGITS = re.compile(r"(?<![^\W_])[0-9]++(?:(?: - |[ .\-/]{1,2})[0-9]++)*+")
_DIGITS = re.compile(r"[0-9]+")
_SHORTEST_CARD = 12
_LONGEST_CARD = 19

_BRANDS: tuple[tuple[re.Pattern[str], frozenset[int]], ...] = tuple(
    (re.compile(prefix), frozenset(lengths))
    for prefix, lengths in (
        (r"4", (13, 16, 18, 19)),  # Visa
        (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
        (r"3[47]", (15,)),  # American Express
        (r"30[0-5]|309|36|3[89]", range(14, 20)),  # Diners Club
        (r"6011|64[4-9]|65|60|81|82|508", range(16, 20)),  # Discover, RuPay
        (r"35", range(16, 20)),  # JCB; its own are 3528 to 3589
        (r"2131|1800", (15,)),  # JCB, older
        (r"62|81", range(16, 20)),  # UnionPay
        (r"50|5[6-8]|6[0-9]", range(12, 20)),  # Maestro
        (r"220[0-4]", range(16, 20)),  # Mir
        (r"9792", (16,)),  # Troy
    )
)


def find_cards(source: PreparedText) -> Iterator[Hit]:
    """Find every number that can be a card's, however its digits are grouped."""
    for run in _CARD_DIGITS.finditer(source.text):
        if run.end() - run.start() >= _SHORTEST_CARD:
            yield from _cards(source, run.start(), run.group())


def _cards(source: PreparedText, origin: int, run: str) -> Iterator[Hit]:
    """Try adjacent groups together; if several fit from one start, take the longest."""
    groups = [match.span() for match in _DIGITS.finditer(run)]
    has_context = source.before(origin, CARD_WORDS)
    if not source.is_isolated(origin, origin + len(run)):
        groups.pop()
    digits = "".join(run[start:end] for start, end in groups)
    ends: dict[int, int] = {}
    """Number of digits up to the end of a group → offset of that end in the run."""
    counted = 0
    for start, end in groups:
        counted += end - start
        ends[counted] = end
    free_from = counted = 0
    for start, end in groups:
        if start >= free_from:
            for length in range(_LONGEST_CARD, _SHORTEST_CARD - 1, -1):
                if counted + length in ends and _is_card(
                    source, digits[counted : counted + length], has_context=has_context
                ):
                    free_from = ends[counted + length]
                    yield Hit(origin + start, origin + free_from, CARD)
                    break
        counted += end - start


def _is_card(source: PreparedText, digits: str, *, has_context: bool) -> bool:
    if not has_context and not any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _BRANDS):
        return False
    return not source.may_check(CARD) or luhn.is_valid(digits)
