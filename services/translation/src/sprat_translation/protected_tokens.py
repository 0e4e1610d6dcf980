"""Protected tokens: what a translation must keep as it is in the source, such as numbers, amounts and addresses.

Before a sentence is translated, substitutes that the network copies replace its protected tokens; afterwards the tokens
are put back. Then the translation is compared with the source, whether or not substitutes were used.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SYMBOLS = tuple(f"⟦{number}⟧" for number in range(10))
"""Substitutes that are pieces of the vocabulary. If a sentence has more tokens, the network must copy the rest."""

_NUMBERS = ("37", "58", "64", "29", "46", "83", "72", "95", "31", "67")
_NAMES = ("Tom", "Anna", "Peter", "Maria", "Thomas", "Julia", "Robert", "Sarah", "Martin", "Laura")
_FEW_TOKENS = 3
"""With more tokens, one is usually lost in every variant, and each variant costs a translation."""

_SYMBOL = re.compile(r"⟦\d+⟧")
_SUBSTITUTE = re.compile(r"⟦\d+⟧|\d+|[^\W\d_]+")

_DIGITS = re.compile(r"\d+")
_UNREADABLE = "\ufffd"
"""The character that decoding writes for invalid bytes."""

_AMOUNT = r"\d{1,15}(?:[.,]\d{1,15}){0,6}"
_UNITS = {"euro": "Euro", "dollar": "Dollar", "pound": "Pfund", "cent": "Cent"}
_CURRENCIES = {
    "euro": re.compile(r"€|\b(?:euros?|eur)\b", re.IGNORECASE),
    "dollar": re.compile(r"\$|\b(?:dollar\w*|usd)\b", re.IGNORECASE),
    "pound": re.compile(r"£|\b(?:pounds?|pfund\w*|gbp)\b", re.IGNORECASE),
}

# Every pattern takes linear time: repetitions are bounded, or end at a character that they do not match.
# Nothing is validated: a number of 16 digits is copied whether or not it is a card number.
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

# English notations that a German reader misunderstands: 1,000 as one, 1.000 as a thousand; 9 pm is no German time.
_MISREAD = re.compile(
    rf"(?<![\w.,])[1-9]\d{{0,2}}(?:,\d{{3}})+(?![\d,])|(?<![\w.,])[1-9]\d{{0,2}}\.\d{{3}}(?![\w.,]*\d)|{_PATTERNS['clock']}"
)


@dataclass(frozen=True, slots=True)
class ProtectedToken:
    """A section of a sentence that the translation must keep. `start` and `end` are code points."""

    start: int
    end: int
    text: str
    """What the translation must contain: "3" for "3rd", "20 Euro" for "20 euros"."""
    can_be_replaced: bool
    """False if the grammar depends on it: an ordinal must keep its digits, but not its letters."""


def find_protected(text: str, *, to_german: bool = True) -> Iterator[ProtectedToken]:
    """Yield the protected tokens of `text`, from left to right.

    Args:
        text: a sentence.
        to_german: whether it is English to be translated into German: then the unit of an amount is known, too.
    """
    for match in _ANY.finditer(text):
        start, end = match.span()
        if match["address"]:
            end = _without_punctuation(text, start, end)
        if match["ordinal"]:
            yield ProtectedToken(start, end, match["count"], can_be_replaced=False)
        elif match["unit"] and not to_german:
            yield ProtectedToken(*match.span("amount"), match["amount"], can_be_replaced=True)
        elif match["unit"]:
            yield ProtectedToken(start, end, f"{match['amount']} {_UNITS[match['unit'].lower()]}", can_be_replaced=True)
        else:
            yield ProtectedToken(start, end, text[start:end], can_be_replaced=True)


def is_kept(source: str, translation: str, *, to_german: bool = True) -> bool:
    """Return whether the translation has the protected tokens of the source, each as often, and no others.

    "Typ-1" and "2013er" contain 1 and 2013; "1.000" does not contain 1,000. From English to German, a currency must be
    on both sides or none; in other languages its words are not known.
    """
    expected = _count_tokens(source, to_german=to_german)
    if _UNREADABLE in translation and _UNREADABLE not in source:
        return False
    if to_german and any(bool(each.search(source)) != bool(each.search(translation)) for each in _CURRENCIES.values()):
        return False
    if Counter(_DIGITS.findall(source)) != Counter(_DIGITS.findall(translation)):
        return False
    if any(translation.count(text) < count for text, count in expected.items()):
        return False
    return all(
        expected[text] >= count
        for text, count in _count_tokens(translation, to_german=to_german).items()
        if not _DIGITS.search(text)
    )


def is_misread(source: str) -> bool:
    """Return whether the sentence has a number or time that a German reader would misunderstand if it is copied."""
    return bool(_MISREAD.search(source))


@dataclass(frozen=True, slots=True)
class SubstitutedSentence:
    """A sentence with substitutes for protected tokens."""

    text: str
    values: tuple[str, ...] = ()
    """The tokens that were replaced, in their order."""
    substitutes: tuple[str, ...] = ()
    """The substitute of the first, second, … value."""


def substitution_variants(sentence: str) -> Iterator[SubstitutedSentence]:
    """Yield variants of a sentence to translate, the likeliest to keep all tokens first, the unchanged sentence last.

    The first variant has a symbol for each token. A network may have seen few symbols in training, and rarely several
    in one sentence. So the second has one symbol, and numbers of two digits for the other tokens. The third has first
    names, which fit where a number does not.
    """
    values = [each for each in find_protected(sentence) if each.can_be_replaced]
    if values:
        yield _substitute(sentence, values, SYMBOLS)
    if 1 < len(values) <= _FEW_TOKENS:
        yield _substitute(sentence, values, (SYMBOLS[0], *(each for each in _NUMBERS if each not in sentence)))
    if 1 <= len(values) <= _FEW_TOKENS:
        yield _substitute(sentence, values, [each for each in _NAMES if each not in sentence])
    yield SubstitutedSentence(sentence)


def restore(translation: str, sentence: SubstitutedSentence) -> str | None:
    """Replace the substitutes by their values; return None if one is missing, repeated, or was never there."""
    found = _SUBSTITUTE.findall(translation)
    if sorted(each for each in found if each in sentence.substitutes) != sorted(sentence.substitutes):
        return None
    if any(_SYMBOL.fullmatch(each) and each not in sentence.substitutes for each in found):
        return None
    values = dict(zip(sentence.substitutes, sentence.values, strict=True))
    return _SUBSTITUTE.sub(lambda match: values.get(match.group(), match.group()), translation)


def _count_tokens(text: str, *, to_german: bool) -> Counter[str]:
    return Counter(each.text for each in find_protected(text, to_german=to_german))


def _without_punctuation(text: str, start: int, end: int) -> int:
    """Return the end of an address without the punctuation of its sentence; a bracket opened in it belongs to it."""
    while end > start and text[end - 1] in _END_OF_SENTENCE:
        if text[end - 1] == ")" and text.count("(", start, end) >= text.count(")", start, end):
            break
        end -= 1
    return end


def _substitute(sentence: str, tokens: Sequence[ProtectedToken], substitutes: Sequence[str]) -> SubstitutedSentence:
    """Replace tokens until the substitutes are used up; the network must copy the rest."""
    parts: list[str] = []
    last = 0
    used = list(zip(tokens, substitutes, strict=False))
    for token, substitute in used:
        parts += (sentence[last : token.start], substitute)
        last = token.end
    text = "".join((*parts, sentence[last:]))
    return SubstitutedSentence(
        text, tuple(token.text for token, _ in used), tuple(substitute for _, substitute in used)
    )
