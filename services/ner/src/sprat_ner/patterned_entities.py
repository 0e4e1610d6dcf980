"""Entities that need no model, because their form can be validated: e-mail and web addresses, IBANs, phones, cards."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import phonenumbers

from sprat_privacy import Detection, resolve
from sprat_privacy.detectors.validators.contact import PHONE, find_email_addresses, find_phone_numbers, regions_of
from sprat_privacy.detectors.validators.payments import IBAN, find_cards, find_ibans
from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText, prepare

PATTERNED_TYPES: Final = ("EMAIL", "URL", "IBAN", "PHONE", "CARD")
"""The labels."""

_SOURCE: Final = "checked"
_FEWEST_PHONE_DIGITS: Final = 7


def find_patterned(text: str, language: str) -> list[Detection]:
    """Return the certain entities in the order of the text, without overlaps.

    The detectors are those that mask personal data, which prefer to find too much. Here a hit counts only if its check
    digits, or a country's numbering plan, confirm it.
    """
    prepared = prepare(text, language)
    hits = [hit for find in _DETECTORS for hit in find(prepared)]
    invalid_ibans = [hit for hit in hits if hit.type == IBAN and hit.score < 1]
    certain = [hit for hit in hits if _is_certain(prepared, hit, invalid_ibans)]
    return resolve(Detection(*prepared.folded.original(hit.start, hit.end), hit.type, _SOURCE) for hit in certain)


def _is_certain(prepared: PreparedText, hit: Hit, invalid_ibans: Sequence[Hit]) -> bool:
    """Return whether the hit is confirmed. The digits of a mistyped IBAN are no phone number."""
    if hit.type == PHONE:
        within = any(hit.start < other.end and other.start < hit.end for other in invalid_ibans)
        return not within and _is_in_a_numbering_plan(prepared, hit)
    return hit.score >= 1


def _is_in_a_numbering_plan(prepared: PreparedText, hit: Hit) -> bool:
    """Return whether the number is valid in the country of its own code, or in one where the language is spoken."""
    number = prepared.text[hit.start : hit.end]
    if sum(map(str.isdigit, number)) < _FEWEST_PHONE_DIGITS:
        return False
    regions = (None,) if number.startswith("+") else regions_of(prepared.language, prepared.region)
    return any(_is_valid(number, region) for region in regions)


def _is_valid(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


_URL_BEGIN: Final = re.compile(
    r"(?<![\w@./-])(?:(?:https?|ftps?|sftp|wss?)://(?=[^\s/?#])|www\d?\.(?=[A-Za-z0-9-]{1,63}\.[A-Za-z])"
    r"|(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?::[0-9]{1,5})?(?=[/?][^\s/?]))",
    re.IGNORECASE,
)
"""A scheme, `www.`, or a domain followed by a path: `Booking.com` alone is more likely a company."""
_URL_END: Final = re.compile(r"[\s<>\"`{}|\\^\x00-\x1f]")
_OPENING: Final = {")": "(", "]": "["}
_SENTENCE_PUNCTUATION: Final = ".,;:!?'’*_~…)]»”“"
"""Trailing punctuation belongs to the sentence; a bracket belongs to the address if it was opened in it."""


def _find_urls(prepared: PreparedText) -> Iterator[Hit]:
    """Yield every web address, in time linear in the length of the text."""
    text, at = prepared.text, 0
    while (begin := _URL_BEGIN.search(text, at)) is not None:
        stop = _URL_END.search(text, begin.end())
        end = _without_punctuation(text, begin.end(), stop.start() if stop else len(text))
        if end > begin.end() or not text[begin.start() : end].endswith(("/", ".")):
            yield Hit(begin.start(), end, "URL")
        at = max(end, begin.end())


def _without_punctuation(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1] in _SENTENCE_PUNCTUATION:
        opening = _OPENING.get(text[end - 1])
        if opening is not None and text.count(opening, start, end) >= text.count(text[end - 1], start, end):
            break
        end -= 1
    return end


_DETECTORS: Final[tuple[Callable[[PreparedText], Iterator[Hit]], ...]] = (
    find_email_addresses,
    _find_urls,
    find_ibans,
    find_cards,
    find_phone_numbers,
)
