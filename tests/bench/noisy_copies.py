"""Noisy copies of English texts, made by code: as the same wish is typed in haste, or stands in a mail.

The phrases are of this module alone and parted: those of `dev` never stand in the copies of `test`.
"""

import random
import string
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

NEIGHBOURS: Final = {
    **{key: near for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for key, near in pairwise(row)},
    "p": "o",
    "l": "k",
    "m": "n",
}
"""A key, and one beside it."""
LEAST_LETTERS: Final = 4
"""Errors are made in words of so many letters: in shorter ones they often make another word."""

BEFORE: Final = {
    "dev": ("Hello there, ", "Sorry to bother you, ", "Would you be so kind: "),
    "test": (
        "Good afternoon! ",
        "Hope you're having a nice day. ",
        "Excuse me, quick question: ",
        "Hi, I was wondering if somebody could help me with this. ",
    ),
}
AFTER: Final = {
    "dev": (" Thank you very much!", ", if you don't mind.", " I'd be glad of any help."),
    "test": (
        " Thanks a lot for your time.",
        " Many thanks in advance!",
        ", that would be really great.",
        " Looking forward to your answer.",
    ),
}
MAILS: Final = {
    "dev": (
        "Dear all,\n\n{text}\n\nRegards\nSam",
        "Subject: request\n\nHello,\n{text}\n\nYours sincerely,\nJ. Doe",
    ),
    "test": (
        "Dear Sir or Madam,\n\n{text}\n\nBest wishes,\nChris",
        "Subject: my request from this morning\n\nHi team,\n\n{text}\n\nCheers,\nRobin\n\nSent from my tablet",
        "Good morning,\n\nI have been a customer for many years.\n\n{text}\n\nThank you.\n\nWith kind regards\nT.",
    ),
}

Phrases = Sequence[str]
"""Of which one is drawn."""


def typing_errors(text: str, count: int, draw: random.Random) -> str:
    """Return the text with up to `count` typing errors, in words of their own; one where no word is long enough."""
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if sum(map(str.isalpha, word)) >= LEAST_LETTERS]
    places = draw.sample(long, min(count, len(long))) or [max(range(len(words)), key=lambda place: len(words[place]))]
    for place in places:
        words[place] = _mistyped(words[place], draw)
    return " ".join(words)


def _mistyped(word: str, draw: random.Random) -> str:
    """Return the word with a letter left out, doubled, swapped with the next, or replaced by the key beside it."""
    ways: list[Callable[[int], str]] = [
        lambda at: word[:at] + word[at + 1 :],
        lambda at: word[: at + 1] + word[at:],
        lambda at: word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :],
        lambda at: word[:at] + NEIGHBOURS.get(word[at].lower(), "e") + word[at + 1 :],
    ]
    made = sorted({way(at) for way in ways for at in range(len(word)) if word[at].isalpha()} - {word, ""})
    return draw.choice(made) if made else word


def without_punctuation(text: str) -> str:
    """Return the text in small letters without any ASCII punctuation."""
    return " ".join(text.translate(str.maketrans("", "", string.punctuation)).lower().split()) or text


KINDS: Final[Mapping[str, Callable[[str, str, random.Random], str]]] = {
    "one typing error": lambda text, _, draw: typing_errors(text, 1, draw),
    "two typing errors": lambda text, _, draw: typing_errors(text, 2, draw),
    "capitals": lambda text, _, __: text.upper(),
    "no punctuation": lambda text, _, __: without_punctuation(text),
    "courtesy before": lambda text, part, draw: draw.choice(BEFORE[part]) + text,
    "courtesy after": lambda text, part, draw: text + draw.choice(AFTER[part]),
    "mail": lambda text, part, draw: draw.choice(MAILS[part]).format(text=text),
}
"""Kind → what makes a copy of a text, for `dev` or `test`."""


def noisy(texts: Sequence[str], kind: str, part: str, seed: int = 0) -> list[str]:
    """Return a copy of each text; the same for the same seed."""
    draw = random.Random(f"{kind} {part} {seed}")
    return [KINDS[kind](text, part, draw) for text in texts]
