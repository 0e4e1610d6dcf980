"""Calibrated chances from the probabilities of the head: is a name right, are all names of a text, is none missed?

Source of the method: Platt scaling, here four logistic regressions, fitted on development data, because the head is
overconfident. They are fitted in English. Another language may have its own shift, fitted on few texts, that is added
to its log-odds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log, log1p
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration
from sprat_ner.decoding import SMALLEST_CHANCE, DecodedName, Decoding

Doubles = NDArray[np.float64]

METHOD: Final = (
    "logistic regression; of a name: log-odds of the product of its words' chances and of the least of them, log of "
    "its words; of a text with names: log of the expected number of wrong words, log-odds of the least certain word "
    "and of the least certain name, log of the words, of the names; of a text without a name, that it has none: "
    "log-odds of the largest chance of a name at any word; of a text with names, that no further one is missed: the "
    "same of the words outside its names, log of the expected number of these that are of a name, log of these words, "
    "log of the names"
)
NAME, TEXT, NONE, MISSED = "name", "text", "none", "missed"
_WIDTH: Final = {NAME: 3, TEXT: 5}
_WIDTH_OF_MISSED: Final = {NONE: 1, MISSED: 4}
"""Both tell whether a name is missed. A card of an earlier release has neither: then :data:`TEXT` judges the texts
without a name, too."""
WIDTHS: Final[Mapping[str, int]] = _WIDTH | _WIDTH_OF_MISSED
"""Chance → the number of its features."""


def name_features(names: Sequence[DecodedName]) -> Doubles:
    """Return the features of each name, float64, names × 3, in the order of :data:`METHOD`."""
    rows = [(_odds(exp(name.log_chance)), _odds(exp(name.least_log_chance)), log(name.words)) for name in names]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def text_features(decoding: Decoding) -> tuple[float, ...]:
    """Return the five features of a text with at least one word, in the order of :data:`METHOD`."""
    chosen = decoding.logs[np.arange(len(decoding.labels)), decoding.labels]
    least_certain_word = _odds(exp(float(chosen.min())))
    least_certain_name = min((_odds(exp(name.log_chance)) for name in decoding.names), default=_odds(1.0))
    return (
        log(SMALLEST_CHANCE - float(chosen.sum())),
        least_certain_word,
        least_certain_name,
        log(len(chosen)),
        log1p(len(decoding.names)),
    )


def missed_features(decoding: Decoding) -> tuple[float, ...]:
    """Return the features of whether a name is missed in a text with at least one word, in the order of `METHOD`."""
    outside = decoding.labels == 0
    chances = -np.expm1(decoding.logs[outside, 0])
    largest = _odds(float(chances.max(initial=0.0)))
    if not decoding.names:
        return (largest,)
    return largest, log(SMALLEST_CHANCE + float(chances.sum())), log1p(len(chances)), log1p(len(decoding.names))


def _odds(chance: float) -> float:
    bounded = min(max(chance, SMALLEST_CHANCE), 1 - SMALLEST_CHANCE)
    return log(bounded / (1 - bounded))


@dataclass(frozen=True, slots=True)
class NameCalibrator:
    """The calibration of one model."""

    weights: Mapping[str, Doubles]
    """`name`, `text`, and `none` and `missed` or neither → bias, then the weight of each feature; float64."""
    shifts: Mapping[str, float] = field(default_factory=dict)
    """`name_de`, `text_de`, … → the shift added to the log-odds in that language."""

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take the parameters from a card.

        Raises:
            BrokenArtefact: when they belong to another kind of calibration.
        """
        parameters = dict(calibration.parameters)
        try:
            is_of_missed = not parameters.keys().isdisjoint(_WIDTH_OF_MISSED)
            widths = _WIDTH | (_WIDTH_OF_MISSED if is_of_missed else {})
            weights = {name: np.array(parameters.pop(name), dtype=np.float64) for name in widths}
        except KeyError as error:
            raise BrokenArtefact(f"card.json: no calibration of {error}; run the recipe again") from None
        if any(len(weights[name]) != width + 1 for name, width in widths.items()):
            raise BrokenArtefact("card.json: a calibration of another kind; run the recipe again")
        return cls(weights, {name: values[0] for name, values in parameters.items()})

    def parameters(self) -> dict[str, tuple[float, ...]]:
        """Return the parameters for the card."""
        fitted = {name: tuple(map(float, weights)) for name, weights in self.weights.items()}
        return fitted | {name: (shift,) for name, shift in self.shifts.items()}

    def names(self, decodings: Sequence[Decoding], languages: Sequence[str]) -> Doubles:
        """Return the chance, for each name of each text in order, that its span and type are right; float64, names.

        Args:
            decodings: the decoded texts.
            languages: the BCP 47 tag of each text.
        """
        names = [name for decoding in decodings for name in decoding.names]
        shifts = [
            self._shift(NAME, each) for decoding, each in zip(decodings, languages, strict=True) for _ in decoding.names
        ]
        return self._chances(NAME, name_features(names), np.array(shifts))

    def texts(self, decodings: Sequence[Decoding], languages: Sequence[str]) -> Doubles:
        """Return the chance, for each text, that all names are right and none is missed; 1 for a text without words."""
        of_empty = NONE if NONE in self.weights else TEXT
        return self._of_texts([TEXT if each.names else of_empty for each in decodings], decodings, languages)

    def nothing_missed(self, decodings: Sequence[Decoding], languages: Sequence[str]) -> Doubles | None:
        """Return the chance, for each text, that no name, or no further one, is missed; None where it is not fitted."""
        if MISSED not in self.weights:
            return None
        return self._of_texts([MISSED if each.names else NONE for each in decodings], decodings, languages)

    def _of_texts(self, judged_by: Sequence[str], decodings: Sequence[Decoding], languages: Sequence[str]) -> Doubles:
        """Return a chance for each text, each by its own regression; 1 for a text without words."""
        chances = np.ones(len(decodings))
        for what in set(judged_by):
            chosen = [place for place, each in enumerate(decodings) if judged_by[place] == what and len(each.labels)]
            if chosen:
                features_of = text_features if what == TEXT else missed_features
                features = np.array([features_of(decodings[place]) for place in chosen])
                shifts = np.array([self._shift(what, languages[place]) for place in chosen])
                chances[chosen] = self._chances(what, features, shifts)
        return chances

    def _shift(self, what: str, language: str) -> float:
        return self.shifts.get(f"{what}_{primary_subtag(language)}", 0.0)

    def _chances(self, what: str, features: Doubles, shifts: Doubles) -> Doubles:
        weights = self.weights[what]
        chances: Doubles = 1 / (1 + np.exp(-(features @ weights[1:] + weights[0] + shifts)))
        return chances
