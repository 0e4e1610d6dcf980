"""Web addresses: with a scheme, with `www.`, or a domain with a path. `Booking.com` alone is rather a company."""

import re
from collections.abc import Iterator
from typing import Final

from sprat_privacy.detectors.validators.prepared_text import Hit, PreparedText

TYPE: Final = "URL"

_BEGIN: Final = re.compile(
    r"(?<![\w@./-])(?:(?:https?|ftps?|sftp|wss?)://(?=[^\s/?#])|www\d?\.(?=[A-Za-z0-9-]{1,63}\.[A-Za-z])"
    r"|(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?::[0-9]{1,5})?(?=[/?][^\s/?]))",
    re.IGNORECASE,
)
_END: Final = re.compile(r"[\s<>\"`{}|\\^\x00-\x1f]")
_CLOSING: Final = {")": "(", "]": "["}
_SENTENCE: Final = ".,;:!?'’*_~…)]»”“"
"""Punctuation of the sentence around it; a bracket belongs to the address if it was opened there."""


def find(source: PreparedText) -> Iterator[Hit]:
    """Give every address; time grows with the length of the text."""
    text, at = source.text, 0
    while (begin := _BEGIN.search(text, at)) is not None:
        stop = _END.search(text, begin.end())
        end = _trimmed(text, begin.end(), stop.start() if stop else len(text))
        if end > begin.end() or not text[begin.start() : end].endswith(("/", ".")):
            yield Hit(begin.start(), end, TYPE)
        at = max(end, begin.end())


def _trimmed(text: str, least: int, end: int) -> int:
    while end > least and text[end - 1] in _SENTENCE:
        opening = _CLOSING.get(text[end - 1])
        if opening is not None and text.count(opening, least, end) >= text.count(text[end - 1], least, end):
            break
        end -= 1
    return end
