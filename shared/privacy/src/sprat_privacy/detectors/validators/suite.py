"""All validators as one detector."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from sprat_privacy.detection import Detection
from sprat_privacy.detectors.validators.contact import find_email_addresses, find_phone_numbers
from sprat_privacy.detectors.validators.national_numbers import find_document_numbers, find_national_numbers
from sprat_privacy.detectors.validators.network import find_ip_addresses, find_mac_addresses, find_web_addresses
from sprat_privacy.detectors.validators.payments import find_cards, find_ibans
from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText, prepare
from sprat_privacy.detectors.validators.secrets import (
    find_api_keys,
    find_credentials,
    find_private_keys,
    find_web_tokens,
)

Validator = Callable[[PreparedText], Iterator[Hit]]

VALIDATORS: Final[tuple[Validator, ...]] = (
    find_email_addresses,
    find_web_addresses,
    find_ip_addresses,
    find_mac_addresses,
    find_ibans,
    find_cards,
    find_phone_numbers,
    find_national_numbers,
    find_document_numbers,
    find_api_keys,
    find_web_tokens,
    find_private_keys,
    find_credentials,
)

GLUED_VALIDATORS: Final[tuple[Validator, ...]] = (
    find_cards,
    find_phone_numbers,
    find_national_numbers,
    find_document_numbers,
)
"""Those that also search a text in which spaces set its words apart from the numbers that touch them."""


@dataclass(frozen=True, slots=True)
class Validators:
    """Detects values whose form can be checked; the language says which phone and national numbers are likely."""

    name: ClassVar[str] = "validators"
    languages: ClassVar[None] = None

    def find(self, text: str, language: str) -> list[Detection]:
        """Return all detections; they may overlap. Time is linear in the length of the text, whatever it holds."""
        source = prepare(text, language)
        searches = [(source, VALIDATORS)]
        if (apart := source.with_numbers_apart()) is not None:
            searches.append((apart, GLUED_VALIDATORS))
        detections: dict[tuple[int, int, str], Detection] = {}
        for searched, validators in searches:
            for find_hits in validators:
                for hit in find_hits(searched):
                    start, end = searched.folded.original(hit.start, hit.end)
                    known = detections.get((start, end, hit.type))
                    if known is None or known.score < hit.score:
                        detections[start, end, hit.type] = Detection(start, end, hit.type, self.name, hit.score)
        return list(detections.values())
