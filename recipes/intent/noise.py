"""Copies of English texts as people send them: see :mod:`sprat_training.fitting.noise`; and in a letter.

The texts of CLINC150 are tidy, and traffic is not. Heads are fitted on copies of the training texts; on copies of
the validation texts the thresholds are found; on copies of the test texts the card is measured. Each of the three uses
has phrases of its own.
"""

import json
import random
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, Literal

from recipes.intent.clinc150 import Split
from sprat_training.fitting.noise import KINDS as COMMON
from sprat_training.fitting.noise import SEED, as_sentence, phrases_of

_SENTENCES_AROUND: Final = 5
_EACH: Final = 10
_SENTENCES: Final[Mapping[str, list[str]]] = json.loads(Path(__file__).with_name("letters.json").read_text("utf-8"))
"""Of letters: they say nothing about what is asked for."""

KINDS: Final = ("typing_error", "capitals", "courtesy", "mail", "letter", "two_typing_errors")
IN_TURN: Final = 5
"""So many kinds share the texts; the last one has those of the first again. `bare` is left out: the texts of CLINC150
are in small letters and without punctuation already."""


def copies(split: Split, use: Literal["to_fit", "to_measure"]) -> dict[str, Split]:
    """Return copies of the texts with their labels, of the kinds in turn: the texts of each kind, by its name.

    The same texts always give the same copies.
    """
    draw = random.Random(SEED)  # noqa: S311 - no secret
    made = {}
    for first, kind in enumerate(KINDS):
        change = _changing(kind, use)
        own = slice(first % IN_TURN, None, IN_TURN)
        made[kind] = Split(tuple(change(text, draw) for text in split.texts[own]), split.labels[own], split.language)
    return made


def with_few_copies(split: Split) -> Split:
    """Return the texts, and copies of every tenth: with more, the error of the confidence of tidy texts grows."""
    chosen = Split(split.texts[::_EACH], split.labels[::_EACH], split.language)
    parts = (split, *copies(chosen, "to_fit").values())
    texts = tuple(text for part in parts for text in part.texts)
    return Split(texts, tuple(label for part in parts for label in part.labels), split.language)


def _changing(kind: str, use: Literal["to_fit", "to_measure"]) -> Callable[[str, random.Random], str]:
    if kind in COMMON:
        return lambda text, draw: COMMON[kind](text, phrases_of(use, "en"), draw)
    return partial(_in_letter, _SENTENCES[use])


def _in_letter(sentences: list[str], text: str, draw: random.Random) -> str:
    """Return a letter of six sentences, of which the text is one, but not the first."""
    letter = draw.sample(sentences, _SENTENCES_AROUND)
    letter.insert(draw.randrange(1, len(letter) + 1), as_sentence(text))
    return " ".join(letter)
