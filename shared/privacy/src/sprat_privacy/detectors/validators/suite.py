"""All validators as one finder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from sprat_privacy.detection import Detection
from sprat_privacy.detectors.validators import (
    api_key,
    credential,
    document_number,
    email_address,
    iban,
    ip_address,
    national_number,
    payment_card,
    phone_number,
    private_key,
    web_address,
    web_token,
)
from sprat_privacy.detectors.validators.reading import Hit, Reading, read

Form = Callable[[Reading], Iterator[Hit]]

FORMS: Final[tuple[Form, ...]] = (
    email_address.find,
    web_address.find,
    ip_address.find,
    iban.find,
    payment_card.find,
    phone_number.find,
    national_number.find,
    document_number.find,
    api_key.find,
    web_token.find,
    private_key.find,
    credential.find,
)


@dataclass(frozen=True, slots=True)
class Validators:
    """Finds what has a form that can be checked; the language says which phone and tax numbers are likely."""

    name: ClassVar[str] = "validators"
    languages: ClassVar[None] = None

    def find(self, text: str, language: str) -> list[Detection]:
        """Give all finds; they may overlap. Time grows with the length of the text, whatever stands in it."""
        reading = read(text, language)
        found: dict[tuple[int, int, str], Detection] = {}
        for form in FORMS:
            for hit in form(reading):
                start, end = reading.folded.original(hit.start, hit.end)
                known = found.get((start, end, hit.type))
                if known is None or known.score < hit.score:
                    found[start, end, hit.type] = Detection(start, end, hit.type, self.name, hit.score)
        return list(found.values())
