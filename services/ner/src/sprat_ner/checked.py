"""What needs no model, because its form can be checked: e-mail and web addresses, IBANs, phone and card numbers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import phonenumbers

from sprat_ner import web
from sprat_privacy import Detection, resolve
from sprat_privacy.detectors.validators.contact import PHONE, find_email_addresses, find_phone_numbers, regions_of
from sprat_privacy.detectors.validators.payments import IBAN, find_cards, find_ibans
from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText, prepare

CHECKED: Final = ("EMAIL", "URL", "IBAN", "PHONE", "CARD")
"""The labels."""

_SOURCE: Final = "checked"
_FEWEST_PHONE_DIGITS: Final = 7


def find_checked(text: str, language: str) -> list[Detection]:
    """Give what is certain, in the order of the text, without overlaps.

    The perimeter's finders would rather mask too much; here a find counts only where its check digits or its country's
    numbering plan bear it out.
    """
    source = prepare(text, language)
    hits = [hit for find in _FORMS for hit in find(source)]
    doubtful = [hit for hit in hits if hit.type == IBAN and hit.score < 1]
    certain = [hit for hit in hits if _holds(source, hit, doubtful)]
    return resolve(Detection(*source.folded.original(hit.start, hit.end), hit.type, _SOURCE) for hit in certain)


def _holds(source: PreparedText, hit: Hit, doubtful: Sequence[Hit]) -> bool:
    """Say whether a find is certain. The digits of a mistyped IBAN are no phone number either."""
    if hit.type == PHONE:
        within = any(hit.start < other.end and other.start < hit.end for other in doubtful)
        return not within and _in_a_plan(source, hit)
    return hit.score >= 1


def _in_a_plan(source: PreparedText, hit: Hit) -> bool:
    """Say whether a country has such a number: that of the number's own code, or one where the language is at home."""
    written = source.text[hit.start : hit.end]
    if sum(map(str.isdigit, written)) < _FEWEST_PHONE_DIGITS:
        return False
    regions = (None,) if written.startswith("+") else regions_of(source.language, source.region)
    return any(_is_valid(written, region) for region in regions)


def _is_valid(written: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False


_FORMS: Final[tuple[Callable[[PreparedText], Iterator[Hit]], ...]] = (
    find_email_addresses,
    web.find,
    find_ibans,
    find_cards,
    find_phone_numbers,
)
