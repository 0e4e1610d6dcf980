"""What a translation must hold as it stands in the source: numbers, amounts, addresses, placeholders, markup.

It is found in the source, and what comes out is compared with it, whatever way it came.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_DIGITS = re.compile(r"\d+")
_UNREADABLE = "\ufffd"
"""What decoding makes of bytes that are no character."""

_AMOUNT = r"\d{1,15}(?:[.,]\d{1,15}){0,6}"
_UNITS = {"euro": "Euro", "dollar": "Dollar", "pound": "Pfund", "cent": "Cent"}
_CURRENCIES = {
    "euro": re.compile(r"€|\b(?:euros?|eur)\b", re.IGNORECASE),
    "dollar": re.compile(r"\$|\b(?:dollar\w*|usd)\b", re.IGNORECASE),
    "pound": re.compile(r"£|\b(?:pounds?|pfund\w*|gbp)\b", re.IGNORECASE),
}

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
    "money": (
        rf"[€$£¥]\s?{_AMOUNT}|(?<![^\W_]){_AMOUNT}\s?[€$£¥]"
        rf"|(?<![^\W_])(?P<amount>{_AMOUNT}) (?P<unit>[Ee]uro|[Dd]ollar|[Pp]ound|[Cc]ent)s?(?!\w)"
    ),
    "phone": r"(?<![\w.,])\+\d[\d ()/.-]{5,24}\d|(?<![\w.,])\(?0\d{1,5}\)?[ /-]\d[\d /-]{3,20}\d",
    "number": r"(?<![^\W_])\d+(?:[.,:/'’-]\d+)*(?![^\W_])",
    "code": r"(?<!\w)(?:[A-Z][A-Za-z]{0,5}-)?(?=[^\W_]*\d)[^\W_]+(?:[-._/][^\W_]*\d[^\W_]*)*",
    "sign": r"[\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff\ufe0f\u200d\u20e3]+",
}
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
_END_OF_SENTENCE = ".,;:!?…)]}'’"

# English ways to write what a German reads otherwise: 1,000 as one, 1.000 as a thousand, 9 pm as no time.
_MISREAD = re.compile(
    rf"(?<![\w.,])[1-9]\d{{0,2}}(?:,\d{{3}})+(?![\d,])|(?<![\w.,])[1-9]\d{{0,2}}\.\d{{3}}(?![\w.,]*\d)|{_PATTERNS['clock']}"
)


@dataclass(frozen=True, slots=True)
class Protected:
    """A stretch of a sentence that must stay."""

    start: int
    end: int
    text: str
    """What the translation must hold: of "3rd" the number alone, for "20 euros" "20 Euro"."""
    can_be_replaced: bool
    """False where grammar needs to see it: of an ordinal the digits must stay, the letters must not."""


def find(text: str) -> Iterator[Protected]:
    """Everything in `text` that must stay, from left to right."""
    for match in _ANY.finditer(text):
        start, end = match.span()
        if match["address"]:
            end = _without_punctuation(text, start, end)
        if match["ordinal"]:
            yield Protected(start, end, match["count"], can_be_replaced=False)
        elif match["unit"]:
            yield Protected(start, end, f"{match['amount']} {_UNITS[match['unit'].lower()]}", can_be_replaced=True)
        else:
            yield Protected(start, end, text[start:end], can_be_replaced=True)


def is_kept(source: str, translation: str) -> bool:
    """Does the translation hold what must stay, as often as the source does, and nothing of the kind besides?

    "Typ-1" and "2013er" hold 1 and 2013; "1.000" does not hold 1,000. A currency is named on both sides or on none.
    """
    wanted = _inventory(source)
    if _UNREADABLE in translation and _UNREADABLE not in source:
        return False
    if any(bool(each.search(source)) != bool(each.search(translation)) for each in _CURRENCIES.values()):
        return False
    if Counter(_DIGITS.findall(source)) != Counter(_DIGITS.findall(translation)):
        return False
    if any(translation.count(text) < count for text, count in wanted.items()):
        return False
    return all(wanted[text] >= count for text, count in _inventory(translation).items() if not _DIGITS.search(text))


def is_misread(source: str) -> bool:
    """Does it hold a number or time that says something else, or nothing, to a German when it is copied?"""
    return bool(_MISREAD.search(source))


def _inventory(text: str) -> Counter[str]:
    return Counter(each.text for each in find(text))


def _without_punctuation(text: str, start: int, end: int) -> int:
    """Where an address ends: a full stop or bracket behind it is the sentence's, unless it was opened inside."""
    while end > start and text[end - 1] in _END_OF_SENTENCE:
        if text[end - 1] == ")" and text.count("(", start, end) >= text.count(")", start, end):
            break
        end -= 1
    return end
