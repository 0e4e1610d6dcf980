"""Copies of English texts as people send them: with a typing error, in capitals, with courtesy, as a mail, in a letter.

The texts of CLINC150 are tidy, and traffic is not. On copies of the validation texts `keep_at_outside` is found; on
copies of the test texts, with other phrases, the card is measured.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recipes.intent.clinc150 import Split

SEED: Final = 7
_LONG: Final = 4
"""Letters of a word in which somebody mistypes; in shorter ones, an error often makes another word."""
_SENTENCES_AROUND: Final = 5
_KEYS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, slots=True)
class Phrases:
    """What people write around a request, which stands for `{}`."""

    courtesy: tuple[str, ...]
    mails: tuple[str, ...]
    sentences: tuple[str, ...]
    """Of a letter: they say nothing about what is asked for."""


def _phrases(use: str) -> Phrases:
    texts = json.loads(Path(__file__).with_name("phrases.json").read_text("utf-8"))[use]
    return Phrases(**{kind: tuple(each) for kind, each in texts.items()})


TO_FIT: Final = _phrases("to_fit")
TO_MEASURE: Final = _phrases("to_measure")


def with_typing_error(text: str, _phrases: Phrases, draw: random.Random) -> str:
    """Return the text with one letter swapped with the next, missing, doubled or another, in one of its long words."""
    words = text.split(" ")
    places = [place for place, word in enumerate(words) if len(word) >= _LONG and word.isalpha()]
    if not places:
        return text
    place = draw.choice(places)
    word = words[place]
    at = draw.randrange(len(word) - 1)
    wrong = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at + 1 :],
        word[: at + 1] + word[at:],
        word[:at] + _key_beside(word[at], draw) + word[at + 1 :],
    )
    words[place] = draw.choice(wrong)
    return " ".join(words)


def in_capitals(text: str, _phrases: Phrases, _draw: random.Random) -> str:
    """Return the text in capitals."""
    return text.upper()


def with_courtesy(text: str, phrases: Phrases, draw: random.Random) -> str:
    """Return the text with a greeting, thanks or a plea."""
    return draw.choice(phrases.courtesy).format(text)


def as_mail(text: str, phrases: Phrases, draw: random.Random) -> str:
    """Return the text as a mail of four lines."""
    return draw.choice(phrases.mails).format(_sentence(text))


def in_letter(text: str, phrases: Phrases, draw: random.Random) -> str:
    """Return a letter of six sentences, of which the text is one, but not the first."""
    sentences = draw.sample(phrases.sentences, _SENTENCES_AROUND)
    sentences.insert(draw.randrange(1, len(sentences) + 1), _sentence(text))
    return " ".join(sentences)


KINDS: Final[Mapping[str, Callable[[str, Phrases, random.Random], str]]] = {
    "typing_error": with_typing_error,
    "capitals": in_capitals,
    "courtesy": with_courtesy,
    "mail": as_mail,
    "letter": in_letter,
}


def copies(split: Split, phrases: Phrases) -> dict[str, Split]:
    """Return one copy of each text with its label, of the kinds in turn: the texts of each kind, by its name.

    The same texts always give the same copies.
    """
    draw = random.Random(SEED)  # noqa: S311 - no secret
    made = {}
    for first, (name, change) in enumerate(KINDS.items()):
        texts = tuple(change(text, phrases, draw) for text in split.texts[first :: len(KINDS)])
        made[name] = Split(texts, split.labels[first :: len(KINDS)], split.language)
    return made


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".?!" else ".")


def _key_beside(letter: str, draw: random.Random) -> str:
    row = next((row for row in _KEYS if letter.lower() in row), None)
    if row is None:
        return letter
    at = row.index(letter.lower())
    return draw.choice([row[beside] for beside in (at - 1, at + 1) if 0 <= beside < len(row)])
