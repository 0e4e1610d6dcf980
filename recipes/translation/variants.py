"""Variants of a training pair: forms that users type and that translations of books lack.

Missing final punctuation, lower-case writing, unknown names, numbers, placeholders, addresses, emoji, two sentences in
one line. The replaced word is equal in both languages, so the network learns to copy it.
"""

import random
import re
import string
from collections.abc import Callable

Pair = tuple[str, str]
MARKS = tuple(f"⟦{n}⟧" for n in range(10))
"""Pieces of the vocabulary that replace protected tokens in serving."""
_NAME = re.compile(r"\b[A-ZÄÖÜ][a-zäöüß]{2,}\b")
_NUMBER = re.compile(r"(?<![\w.,:-])\d+(?:[.,:]\d+)*(?![\w-])")
_PATTERNS = {"name": _NAME, "number": _NUMBER, "verbatim": re.compile(f"{_NAME.pattern}|{_NUMBER.pattern}")}
_SHARES = {
    "as it is": 75,
    "name": 6,
    "number": 4,
    "verbatim": 4,
    "unended": 3,
    "lower": 3,
    "joined": 4,
    "emoji": 1,
}
_JOINED = 200  # characters of two sources together
_ENDS = (".", "?", "!")
_STARTS = (*"bcdfghjklmnprstvwyz", "br", "fr", "kr", "qu", "sch", "st", "th", "tr")
_MIDDLES = (*"aeiou", "ai", "au", "ee", "ei", "ia", "ie", "oe", "ou")
_STOPS = (*"bdlmnrstx", "ck", "ff", "ll", "nd", "ng", "rt", "ss", "tz")
_EMOJI = "😀😂😊👍🙏🎉❤🔥😉🤔😢🚀✅"


def vary(pair: Pair, other: Pair, dice: random.Random) -> Pair:
    """Return `pair` itself (three times in four), or one of its variants; `other` is another pair to join it with."""
    (kind,) = dice.choices(list(_SHARES), list(_SHARES.values()))
    if kind in _PATTERNS:
        return _exchange(pair, kind, dice)
    if kind == "unended":
        return _without_end(pair)
    source, target = pair
    if kind == "lower":
        source = source.lower()
    elif kind == "joined" and len(source) + len(other[0]) < _JOINED:
        source, target = f"{source} {other[0]}", f"{target} {other[1]}"
    elif kind == "emoji":
        emoji = dice.choice(_EMOJI)
        source, target = f"{source} {emoji}", f"{target} {emoji}"
    return source, target


def _exchange(pair: Pair, kind: str, dice: random.Random) -> Pair:
    """Replace a word that both sides have exactly once; return the pair itself if there is none."""
    source, target = pair
    pattern = _PATTERNS[kind]
    shared = [
        word
        for word in dict.fromkeys(pattern.findall(source))
        if source.count(word) == 1 and target.count(word) == 1 and word in pattern.findall(target)
    ]
    if not shared:
        return pair
    old, new = dice.choice(shared), _MAKERS[kind](dice)
    return source.replace(old, new), target.replace(old, new)


def _without_end(pair: Pair) -> Pair:
    source, target = pair
    if len(source) > 1 and len(target) > 1 and source[-1] == target[-1] and source.endswith(_ENDS):
        return source[:-1], target[:-1]
    return pair


def _invented(dice: random.Random) -> str:
    parts = [dice.choice(_STARTS) + dice.choice(_MIDDLES) for _ in range(dice.randint(1, 2))]
    return ("".join(parts) + dice.choice(_STOPS)).capitalize()


def _number(dice: random.Random) -> str:
    form = dice.random()
    if form < 0.4:
        return str(dice.randint(2, 99))
    if form < 0.7:
        return str(dice.randint(100, 99999))
    if form < 0.85:
        return f"{dice.randint(0, 23)}:{dice.randint(0, 59):02d}"
    return "".join(dice.choices(string.digits, k=dice.randint(5, 10)))


def _verbatim(dice: random.Random) -> str:
    """Return a mark, a placeholder, an address or an order number."""
    form, word = dice.random(), _invented(dice).lower()
    if form < 0.5:
        return dice.choice(MARKS)
    if form < 0.6:
        return dice.choice((f"{{{dice.randint(0, 9)}}}", f"{{{word}}}", "%s", "%d"))
    if form < 0.7:
        return f"[{dice.choice(('PERSON', 'ORG', 'EMAIL', 'PHONE', 'DATE'))}_{dice.randint(1, 9)}]"
    if form < 0.8:
        return f"{word}@{_invented(dice).lower()}.{dice.choice(('com', 'de', 'org', 'eu'))}"
    if form < 0.9:
        return f"https://{dice.choice(('www.', ''))}{word}.{dice.choice(('com', 'de', 'org'))}/{_number(dice)}"
    return f"{word[:2].upper()}-{dice.randint(100, 99999)}"


_MAKERS: dict[str, Callable[[random.Random], str]] = {"name": _invented, "number": _number, "verbatim": _verbatim}
