"""What a translation must hold exactly as it stands in the source: numbers, addresses, placeholders, markup.

It is found in the source, and what comes out is compared with it, whatever way it came.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_DIGITS = re.compile(r"\d+")

# No pattern can take more than linear time: repetitions are bounded, or end at a character that they do not match.
# Nothing here is validated: a number of 16 digits is copied, whether or not it is that of a card.
_PATTERNS = {
    "symbol": r"⟦\d{1,9}⟧",
    "tag": r"</?[A-Za-z][^<>\n]{0,300}>|&(?:[A-Za-z]{2,10}|\#\d{1,7});",
    "address": r"(?:https?|ftp)://[^\s<>\"“”]+|www\.[^\s<>\"“”]+|(?<![\w.+-])[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+",
    "placeholder": (
        r"\{\{[^{}\n]{0,60}\}\}|\$?\{[^{}\s]{0,60}\}|\[\[?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\]?\]"
        r"|%\(\w{1,40}\)[sdif]|(?<![\d%])%(?:\d\$)?[-+0]?\d{0,3}(?:\.\d{1,2})?[sdifuxXc@](?![A-Za-z])"
        r"|(?<!\w)__\w{1,40}__(?!\w)|\#[A-Z][A-Z_]{1,40}\#|<<\w{1,40}>>"
    ),
    "handle": r"(?<![\w&])(?:@\w{2,40}|\#\w{1,40})",
    "ordinal": r"(?<![\w.])(?P<count>\d{1,9})(?:st|nd|rd|th|s)(?!\w)",
    "clock": r"(?<![\w.,:])\d{1,2}(?:[:.]\d{2})?\s?(?:[ap]m(?!\w)|[AP]M(?!\w)|[ap]\.m\.)",
    "phone": r"(?<![\w.,])\+\d[\d ()/.-]{5,24}\d|(?<![\w.,])\(?0\d{1,5}\)?[ /-]\d[\d /-]{3,20}\d",
    "number": r"(?<![^\W_])\d+(?:[.,:/'’-]\d+)*(?![^\W_])",
    "code": r"(?<!\w)(?:[A-Z][A-Za-z]{0,5}-)?(?=[^\W_]*\d)[^\W_]+(?:[-._/][^\W_]*\d[^\W_]*)*",
    "sign": r"[\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff\ufe0f\u200d\u20e3]+",
}
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
_END_OF_SENTENCE = ".,;:!?…)]}'’"


@dataclass(frozen=True, slots=True)
class Protected:
    """A stretch of a sentence that must stay."""

    start: int
    end: int
    text: str
    """What the translation must hold: of "3rd" the number alone."""
    can_be_replaced: bool
    """False where grammar needs to see it: of an ordinal the digits must stay, the letters must not."""


def find(text: str) -> Iterator[Protected]:
    """Everything in `text` that must stay, from left to right."""
    for match in _ANY.finditer(text):
        kind = match.lastgroup if match.lastgroup != "count" else "ordinal"
        start, end = match.span()
        if kind == "address":
            end = _without_punctuation(text, start, end)
        if match["ordinal"]:
            yield Protected(start, end, match["count"], can_be_replaced=False)
        else:
            yield Protected(start, end, text[start:end], can_be_replaced=True)


def is_kept(source: str, translation: str) -> bool:
    """Does the translation hold what must stay, as often as the source does, and nothing of the kind besides?

    "Typ-1" and "2013er" hold 1 and 2013; "1.000" does not hold 1,000.
    """
    wanted = _inventory(source)
    if Counter(_DIGITS.findall(source)) != Counter(_DIGITS.findall(translation)):
        return False
    if any(translation.count(text) < count for text, count in wanted.items()):
        return False
    return all(wanted[text] >= count for text, count in _inventory(translation).items() if not _DIGITS.search(text))


def _inventory(text: str) -> Counter[str]:
    return Counter(each.text for each in find(text))


def _without_punctuation(text: str, start: int, end: int) -> int:
    """Where an address ends: a full stop or bracket behind it is the sentence's, unless it was opened inside."""
    while end > start and text[end - 1] in _END_OF_SENTENCE:
        if text[end - 1] == ")" and text.count("(", start, end) >= text.count(")", start, end):
            break
        end -= 1
    return end
