"""Calibrated chances from the probabilities of the head: is a name right, and are all names of a text?

Source of the method: Platt scaling, here two logistic regressions, fitted on development data, because the head is
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
    "its words; of a text: log of the expected number of wrong words, log-odds of the least certain word and of the "
    "least certain name, log of the words, of the names"
)
NAME, TEXT = "name", "text"
_WIDTH: Final = {NAME: 3, TEXT: 5}


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


def _odds(chance: float) -> float:
    bounded = min(max(chance, SMALLEST_CHANCE), 1 - SMALLEST_CHANCE)
    return log(bounded / (1 - bounded))


@dataclass(frozen=True, slots=True)
class NameCalibrator:
    """The calibration of one model."""

    weights: Mapping[str, Doubles]
    """`name` and `text` → bias, then the weight of each feature; float64."""
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
            weights = {name: np.array(parameters.pop(name), dtype=np.float64) for name in _WIDTH}
        except KeyError as error:
            raise BrokenArtefact(f"card.json: no calibration of {error}; run the recipe again") from None
        if any(len(weights[name]) != width + 1 for name, width in _WIDTH.items()):
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
        chances = np.ones(len(decodings))
        with_words = [index for index, decoding in enumerate(decodings) if len(decoding.labels)]
        if with_words:
            features = np.array([text_features(decodings[index]) for index in with_words])
            shifts = np.array([self._shift(TEXT, languages[index]) for index in with_words])
            chances[with_words] = self._chances(TEXT, features, shifts)
        return chances

    def _shift(self, what: str, language: str) -> float:
        return self.shifts.get(f"{what}_{primary_subtag(language)}", 0.0)

    def _chances(self, what: str, features: Doubles, shifts: Doubles) -> Doubles:
        weights = self.weights[what]
        chances: Doubles = 1 / (1 + np.exp(-(features @ weights[1:] + weights[0] + shifts)))
        return chances
