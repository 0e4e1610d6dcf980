"""Copies of texts as people send them: with typing errors, in capitals, without punctuation, with courtesy, as a mail.

Texts with labels are mostly tidy, and traffic is not. A head is fitted on the texts and on one copy of each. Copies
that a model is fitted on, that its calibration is fitted on and that it is measured on have different phrases.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from sprat_contracts.languages import primary_subtag

SEED: Final = 7
LEAST_TEXTS: Final = 30
"""Of a label, on average. With fewer, copies cost nearly as many of the tidy texts kept as they gain of others: with 20
1.8 points for 3.9, with 35 0.8 for 5.3 (CLINC150's validation, three draws each)."""
_LONG: Final = 4
"""Letters of a word in which somebody mistypes; in shorter ones, an error often makes another word."""
_KEYS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_PUNCTUATION: Final = '.,;:!?…"“”„«»()'

Use = Literal["to_train", "to_fit", "to_measure"]
"""What copies are for: to fit a head, to fit a calibration and thresholds, to measure a model."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """What people write around a request, which stands for `{}`."""

    courtesy: tuple[str, ...] = ("{}",)
    mails: tuple[str, ...] = ("{}",)


@cache
def phrases_of(use: Use, language: str) -> Phrases:
    """Return the phrases of a language, BCP 47; of one without any, the request alone."""
    texts = json.loads(Path(__file__).with_name("phrases.json").read_text("utf-8")).get(primary_subtag(language))
    return Phrases(**{kind: tuple(each) for kind, each in texts[use].items()}) if texts else Phrases()


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


def with_two_typing_errors(text: str, phrases: Phrases, draw: random.Random) -> str:
    """Return the text with two of them, which may be in one word."""
    return with_typing_error(with_typing_error(text, phrases, draw), phrases, draw)


def in_capitals(text: str, _phrases: Phrases, _draw: random.Random) -> str:
    """Return the text in capitals."""
    return text.upper()


def bare(text: str, _phrases: Phrases, _draw: random.Random) -> str:
    """Return the text in small letters, without punctuation around its words."""
    words = (word.strip(_PUNCTUATION) for word in text.lower().split())
    return " ".join(filter(None, words)) or text


def with_courtesy(text: str, phrases: Phrases, draw: random.Random) -> str:
    """Return the text with a greeting, thanks or a plea."""
    return draw.choice(phrases.courtesy).replace("{}", text)


def as_mail(text: str, phrases: Phrases, draw: random.Random) -> str:
    """Return the text as a mail, with a salutation and a name."""
    return draw.choice(phrases.mails).replace("{}", as_sentence(text))


KINDS: Final[Mapping[str, Callable[[str, Phrases, random.Random], str]]] = {
    "typing_error": with_typing_error,
    "two_typing_errors": with_two_typing_errors,
    "capitals": in_capitals,
    "bare": bare,
    "courtesy": with_courtesy,
    "mail": as_mail,
}


def copies_to_train(texts: Sequence[str], languages: Sequence[str]) -> list[str]:
    """Return one copy of each text, of a kind that changes it, drawn from a seed; each depends on its own text alone.

    Args:
        texts: to copy.
        languages: the BCP 47 tag of each, "" where it is not known.
    """
    return [_copy(text, phrases_of("to_train", language)) for text, language in zip(texts, languages, strict=True)]


def as_sentence(text: str) -> str:
    """Return the text with a capital at its start and an end mark."""
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".?!" else ".")


def _copy(text: str, phrases: Phrases) -> str:
    # Seeded by the text: its copy stays the same whatever other texts there are.
    draw = random.Random(f"{SEED} {text}")  # noqa: S311 - no secret
    changed = (KINDS[kind](text, phrases, draw) for kind in draw.sample(list(KINDS), len(KINDS)))
    return next((each for each in changed if each != text), text)


def _key_beside(letter: str, draw: random.Random) -> str:
    row = next((row for row in _KEYS if letter.lower() in row), None)
    if row is None:
        return letter
    at = row.index(letter.lower())
    return draw.choice([row[beside] for beside in (at - 1, at + 1) if 0 <= beside < len(row)])
