"""The types of what is found: their names, which find wins, when two values are one, what NER calls them."""

import re
from typing import Final

TYPE_PATTERN: Final = r"^[A-Z][A-Z0-9_]{0,31}$"
"""What a type may be called; company-specific ones, too."""
_TYPE = re.compile(TYPE_PATTERN)

SECRETS: Final = frozenset({"PRIVATE_KEY", "API_KEY", "TOKEN", "SECRET", "URL"})
"""Equal only where every character is: case and separators carry meaning."""

ADDRESSES: Final = frozenset({"EMAIL", "IP"})
"""Equal whatever the case; dots and hyphens carry meaning."""

NUMBERS: Final = frozenset(
    {
        "BANK_ACCOUNT",
        "CARD",
        "DRIVERS_LICENSE",
        "GOVERNMENT_ID",
        "IBAN",
        "PASSPORT",
        "PHONE",
        "ROUTING_NUMBER",
        "SOCIAL_SECURITY",
        "TAX_ID",
    }
)
"""Equal whatever stands between their letters and digits."""

STRONGEST_FIRST: Final = (
    "PRIVATE_KEY",
    "API_KEY",
    "TOKEN",
    "SECRET",
    "URL",
    "EMAIL",
    "IBAN",
    "IP",
    "CARD",
    "SOCIAL_SECURITY",
    "GOVERNMENT_ID",
    "PASSPORT",
    "DRIVERS_LICENSE",
    "TAX_ID",
    "BANK_ACCOUNT",
    "ROUTING_NUMBER",
    "PHONE",
)
"""Which type an equally long stretch has: the more can be checked of it, the earlier. All others follow, by name."""
_RANKS: Final = {type: rank for rank, type in enumerate(STRONGEST_FIRST)}

_NER_LABELS: Final = {
    "PERSON": "PER",
    "GIVEN_NAME": "PER",
    "SURNAME": "PER",
    "ORGANIZATION": "ORG",
    "ORGANISATION": "ORG",
    "COMPANY": "ORG",
    "LOCATION": "LOC",
    "ADDRESS": "LOC",
    "STREET_ADDRESS": "LOC",
    "BUILDING_NUMBER": "LOC",
    "STREET_NAME": "LOC",
    "SECONDARY_ADDRESS": "LOC",
    "CITY": "LOC",
    "STATE": "LOC",
    "ZIP_CODE": "LOC",
}


def is_type(name: str) -> bool:
    """Can a type be called so?"""
    return _TYPE.fullmatch(name) is not None


def rank(type: str) -> tuple[int, str]:
    """Give the order of a type among others; smaller wins."""
    return _RANKS.get(type, len(_RANKS)), type


def ner_label(type: str) -> str:
    """Give what the NER task calls a type: PER, ORG, LOC, else the type itself (EMAIL, IBAN, …)."""
    return _NER_LABELS.get(type, type)
