"""Which language a text is in: the one place that detects it, for every service that needs to know.

The classifier is that of py3langid, limited to `LANGUAGES`. The same text always gets the same answer. It loads, for
about a CPU second, with the first call of `classifier`, which services make at their start.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Final
from zlib import crc32

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from sprat_contracts import LanguageDetected, TextSubmitted
from sprat_contracts.languages import FALLBACK_LANGUAGE, is_auto, primary_subtag

_TAGS = "ar bg cs da de el en es et fi fr ga hi hr hu is it ja ko lt lv mt nl no pl pt ro ru sk sl sv tr uk zh"
LANGUAGES: Final = tuple(_TAGS.split())
"""The official languages of the EU, Norwegian, Icelandic, Ukrainian, Russian, Turkish, Arabic, Hindi, Chinese, Japanese
and Korean. A text in another language gets the nearest of these."""

LEAST_CONFIDENCE: Final = 0.5
"""Below it, the detected language is likelier wrong than right: the text counts as one in the default language."""

FEW_WORDS: Final = 3
"""So many words look like many languages."""

SURE_OF_FEW_WORDS: Final = 0.8
"""Below it, a text of few words counts as one in the default language, and one that names none as one in the language
of a model that has one alone."""

READ_CODE_POINTS: Final = 2000
"""Only the beginning of a text is read: more changes no answer and costs time."""

SLOPE: Final = 1.5547
INTERCEPT: Final = 2.7337
"""confidence = sigmoid(SLOPE · logit(share) + INTERCEPT), where share is what py3langid gives the language: it is too
low for short texts. Fitted by `python -m tests.bench.language_quality --fit`."""

_PARAMETERS = f"{_TAGS} {READ_CODE_POINTS} {SLOPE} {INTERCEPT}"
VERSION: Final = f"py3langid-{version('py3langid')}-{crc32(_PARAMETERS.encode()):08x}"
"""It changes whenever the same text could get another answer."""

_REMEMBERED: Final = 256
"""Texts: a service asks when it decides on a text and again when it answers, and a batch holds up to 64."""

_HIGHEST: Final = 0.9999
"""More was not measured."""

_NO_LANGUAGE: Final = "zxx"
"""The class of numbers, code and markup, as in BCP 47."""


@dataclass(frozen=True, slots=True)
class LanguageChance:
    """A language that a text may be in."""

    language: str
    probability: float
    """Calibrated chance, 0–1, that it is the text's language."""


@dataclass(frozen=True, slots=True)
class LanguageGuess:
    """What was found out about the language of a text."""

    language: str | None
    """The likeliest of `LANGUAGES`; None: there is no word to judge by."""
    confidence: float
    """Calibrated chance, 0–1, that `language` is right."""
    chances: tuple[LanguageChance, ...]
    """All `LANGUAGES` with their chances, the likeliest first; empty where there is no word to judge by."""


NOTHING: Final = LanguageGuess(None, 1.0, ())
"""What is found in a text without a letter."""


def detect(text: str) -> LanguageGuess:
    """Return the language of a text, with its chance. Pure; safe to call from several threads."""
    return _detect(text[:READ_CODE_POINTS])


@lru_cache(maxsize=_REMEMBERED)
def _detect(beginning: str) -> LanguageGuess:
    if not any(map(str.isalpha, beginning)):
        return NOTHING
    ranked = classifier().rank(beginning)
    (first, share), (_, last) = ranked[0], ranked[-1]
    if first == _NO_LANGUAGE or share == last:  # all shares are equal where no part of the text is known
        return LanguageGuess(None, round(_calibrated(share), 4), ())
    confidence = _calibrated(share)
    rest = (1 - confidence) / max(1 - share, 1e-9)
    all_chances = [(first, confidence), *((tag, each * rest) for tag, each in ranked[1:] if tag != _NO_LANGUAGE)]
    chances = tuple(LanguageChance(tag, round(chance, 4)) for tag, chance in all_chances)
    return LanguageGuess(first, chances[0].probability, chances)


def language_detected(text: TextSubmitted, default: str, served: Sequence[str] = ()) -> LanguageDetected | None:
    """Return the language that a text with the language `auto` is read in, and its chance; None for every other text.

    Where none is sure enough, that is `default`, the installation's; where that is `auto`, too, it is `en`. A model of
    one language reads a text that names none, nor `auto`, in its own, unless it is surely in another.

    Args:
        text: the text, in the installation's default language where it names none.
        default: the installation's default language.
        served: the languages of the model that reads it; none: any, or no model does.
    """
    if not is_auto(text.language):
        return None
    own = served[0] if len(served) == 1 and not text.names_language else None
    return _language_read(text.text, default, own)


def resolved(language: str, text: str, default: str) -> str:
    """Return the language to read a text in: `language`, or the one of `language_detected` where that is `auto`."""
    return _language_read(text, default).language if is_auto(language) else language


def _language_read(text: str, default: str, own: str | None = None) -> LanguageDetected:
    found = detect(text)
    few = len(text.split(None, FEW_WORDS)) <= FEW_WORDS
    is_sure = found.confidence >= (SURE_OF_FEW_WORDS if few or own else LEAST_CONFIDENCE)
    if found.language is not None and is_sure and (own is None or found.language != primary_subtag(own)):
        return LanguageDetected(language=found.language, confidence=found.confidence)
    return _read_in(own or (FALLBACK_LANGUAGE if is_auto(default) else default), found)


def _read_in(language: str, found: LanguageGuess) -> LanguageDetected:
    own = primary_subtag(language)
    chance = next((each.probability for each in found.chances if each.language == own), 0.0)
    return LanguageDetected(language=language, confidence=chance)


def _calibrated(share: float) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    return min(1 / (1 + math.exp(-(SLOPE * math.log(share / (1 - share)) + INTERCEPT))), _HIGHEST)


@cache
def classifier() -> LanguageIdentifier:
    """Return py3langid's classifier for `LANGUAGES` and for what is in none; its shares are not calibrated."""
    full = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    full.set_languages([*LANGUAGES, _NO_LANGUAGE])
    # Without the columns of the other languages.
    return LanguageIdentifier(
        full.nb_ptc, full.nb_pc, full.nb_classes, full.tk_nextmove, full.tk_output, norm_probs=True, tk_row=full.tk_row
    )
