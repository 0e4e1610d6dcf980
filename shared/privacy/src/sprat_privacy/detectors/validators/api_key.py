"""API keys and tokens, by their known forms."""

import re
from collections.abc import Iterator

from sprat_privacy.detectors.validators.key_formats import KEY_FORMATS
from sprat_privacy.detectors.validators.reading import Hit, Reading

TYPE = "API_KEY"

_LONG = re.compile(r"[A-Za-z0-9_+/=.:$~-]{16,}+")
"""No key is shorter; so ordinary words cost one look."""
_KEY = re.compile(r"(?<![A-Za-z0-9])(?:" + "|".join(KEY_FORMATS.values()) + r")(?![A-Za-z0-9])")


def find(reading: Reading) -> Iterator[Hit]:
    """Give every key that stands between separators."""
    for long in _LONG.finditer(reading.text):
        for key in _KEY.finditer(reading.text, long.start(), long.end()):
            yield Hit(key.start(), key.end(), TYPE)
