"""The entity types: their names, their precedence, how their values are compared, and their NER labels."""

import re
from typing import Final

TYPE_PATTERN: Final = r"^[A-Z][A-Z0-9_]{0,31}$"
"""Form of the name of a type, company-specific ones included."""
_TYPE = re.compile(TYPE_PATTERN)

SECRETS: Final = frozenset({"PRIVATE_KEY", "API_KEY", "TOKEN", "SECRET", "URL"})
"""Two values are equal if every character is: case and separators carry meaning."""

ADDRESSES: Final = frozenset({"EMAIL", "IP"})
"""Two values are equal if they differ in case alone; dots and hyphens carry meaning."""

NUMBERS: Final = frozenset(
    {
        "BANK_ACCOUNT",
        "CARD",
        "DRIVERS_LICENSE",
        "GOVERNMENT_ID",
        "IBAN",
        "MAC",
        "PASSPORT",
        "PHONE",
        "ROUTING_NUMBER",
        "SOCIAL_SECURITY",
        "TAX_ID",
    }
)
"""Two values are equal if their letters and digits are, whatever the separators."""

STRONGEST_FIRST: Final = (
    "PRIVATE_KEY",
    "API_KEY",
    "TOKEN",
    "SECRET",
    "URL",
    "EMAIL",
    "IBAN",
    "IP",
    "MAC",
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
"""Precedence among equally long detections: the better a type can be checked, the earlier. Others follow, by name."""
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
    """Return whether this can be the name of a type."""
    return _TYPE.fullmatch(name) is not None


def rank(type: str) -> tuple[int, str]:
    """Return the sort key of a type's precedence; the smallest wins."""
    return _RANKS.get(type, len(_RANKS)), type


def ner_label(type: str) -> str:
    """Return the label of a type in the NER task: PER, ORG, LOC, else the type itself (EMAIL, IBAN, …)."""
    return _NER_LABELS.get(type, type)
