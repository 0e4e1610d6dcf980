"""What needs no model, because its form can be checked: e-mail and web addresses, IBANs, phone and card numbers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import phonenumbers

from sprat_ner import web
from sprat_privacy.detection import Detection, resolve
from sprat_privacy.detectors.validators import email_address, iban, payment_card, phone_number
from sprat_privacy.detectors.validators.phone_regions import regions_of
from sprat_privacy.detectors.validators.reading import Hit, Reading, read

CHECKED: Final = ("EMAIL", "URL", "IBAN", "PHONE", "CARD")
"""The labels."""

_SOURCE: Final = "checked"
_FEWEST_PHONE_DIGITS: Final = 7


def find_checked(text: str, language: str) -> list[Detection]:
    """Give what is certain, in the order of the text, without overlaps.

    The perimeter's finders would rather mask too much; here a find counts only where its check digits or its country's
    numbering plan bear it out.
    """
    reading = read(text, language)
    hits = [hit for find in _FORMS for hit in find(reading)]
    doubtful = [hit for hit in hits if hit.type == iban.TYPE and hit.score < 1]
    certain = [hit for hit in hits if _holds(reading, hit, doubtful)]
    return resolve(Detection(*reading.folded.original(hit.start, hit.end), hit.type, _SOURCE) for hit in certain)


def _holds(reading: Reading, hit: Hit, doubtful: Sequence[Hit]) -> bool:
    """Say whether a find is certain. The digits of a mistyped IBAN are no phone number either."""
    if hit.type == phone_number.TYPE:
        within = any(hit.start < other.end and other.start < hit.end for other in doubtful)
        return not within and _in_a_plan(reading, hit)
    return hit.score >= 1


def _in_a_plan(reading: Reading, hit: Hit) -> bool:
    """Say whether a country has such a number: that of the number's own code, or one where the language is at home."""
    written = reading.text[hit.start : hit.end]
    if sum(map(str.isdigit, written)) < _FEWEST_PHONE_DIGITS:
        return False
    regions = (None,) if written.startswith("+") else regions_of(reading.language, reading.region)
    return any(_is_valid(written, region) for region in regions)


def _is_valid(written: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False


_FORMS: Final[tuple[Callable[[Reading], Iterator[Hit]], ...]] = (
    email_address.find,
    web.find,
    iban.find,
    payment_card.find,
    phone_number.find,
)
