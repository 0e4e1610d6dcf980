"""Turn the logits of a `LabelHead` into chances: the best label is right, another label is, or none of them is.

Source of the method: Platt scaling, extended to three outcomes by multinomial logistic regression over two features of
the logits. The card of a model holds the fitted parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration

Doubles = NDArray[np.float64]

OUTCOMES: Final = ("right", "wrong", "outside")
RIGHT, WRONG, OUTSIDE = range(3)
"""The best label is right; another label is right; no label is right."""

BASE_LANGUAGE: Final = "en"
"""The language whose parameters are named after the outcome alone; those of another language carry its tag, such as
`right_de`."""

METHOD: Final = "multinomial logistic regression over the best logit and the log-odds of the best softmax probability"

FEATURES: Final = 2

_EDGE: Final = 1e-6
"""Keeps the log-odds finite."""


def softmax(logits: NDArray[np.floating]) -> Doubles:
    """Return the softmax of each row, float64, in the shape of `logits`, texts × labels."""
    powers: Doubles = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: Doubles = powers / powers.sum(axis=1, keepdims=True)
    return shares


def features(logits: NDArray[np.floating]) -> Doubles:
    """Return what the calibration is fitted on, float64, texts × 2.

    The columns are the best logit and the log-odds of the best softmax probability: how strong the best label is, and
    how far it is ahead of the others.
    """
    best = softmax(logits).max(axis=1)
    rows: Doubles = np.empty((len(logits), FEATURES))
    rows[:, 0], rows[:, 1] = logits.max(axis=1), np.log((best + _EDGE) / (1 - best + _EDGE))
    return rows


@dataclass(frozen=True, slots=True)
class LabelCalibrator:
    """The calibration of one language.

    It holds for traffic with the share of outside texts that it was fitted to; the card states that share.
    """

    weights: Doubles
    """float64, features × outcomes."""
    bias: Doubles
    """float64, outcomes."""

    @classmethod
    def of(cls, parameters: Mapping[str, tuple[float, ...]], language: str = BASE_LANGUAGE) -> Self:
        """Take the parameters of a language from a card.

        Raises:
            KeyError: when some are missing.
            ValueError: when they belong to another kind of calibration.
        """
        rows = np.array([parameters[_parameter_name(outcome, language)] for outcome in OUTCOMES], dtype=np.float64)
        if rows.shape != (len(OUTCOMES), 1 + FEATURES):
            raise ValueError(f"parameters shaped {rows.shape}, not {(len(OUTCOMES), 1 + FEATURES)}")
        return cls(rows[:, 1:].T, rows[:, 0])

    def parameters(self, language: str = BASE_LANGUAGE) -> dict[str, tuple[float, ...]]:
        """Return the parameters for the card: outcome and language → bias, weight of each feature."""
        rows = np.concatenate([self.bias[:, None], self.weights.T], axis=1)
        names = (_parameter_name(outcome, language) for outcome in OUTCOMES)
        return {name: tuple(map(float, row)) for name, row in zip(names, rows, strict=True)}

    def chances(self, raw: Doubles) -> Doubles:
        """Return texts × outcomes, each row summing to 1, from the :func:`features`, texts × 2."""
        return softmax(raw @ self.weights + self.bias)


@dataclass(frozen=True, slots=True)
class CalibratorsByLanguage:
    """The calibrations of a model; :data:`BASE_LANGUAGE` is always among them."""

    by_language: Mapping[str, LabelCalibrator]

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take the parameters from a card.

        Raises:
            BrokenArtefact: when they belong to another kind of calibration.
        """
        prefix = f"{OUTCOMES[RIGHT]}_"
        tags = [name.removeprefix(prefix) for name in calibration.parameters if name.startswith(prefix)]
        try:
            return cls({tag: LabelCalibrator.of(calibration.parameters, tag) for tag in (BASE_LANGUAGE, *tags)})
        except (KeyError, ValueError) as error:
            raise BrokenArtefact(f"card.json: no calibration of this kind ({error}); run the recipe again") from error

    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """Return the parameters for the card: outcome and language → bias, weight of each feature."""
        named: dict[str, tuple[float, ...]] = {}
        for language, calibrator in self.by_language.items():
            named |= calibrator.parameters(language)
        return named

    def chances(self, logits: NDArray[np.floating], languages: Sequence[str]) -> Doubles:
        """Return the chance of each outcome, float64, texts × outcomes; each row sums to 1.

        A text in a language without a calibration gets the lowest chance of "right" that any calibration gives it, and
        likewise the lowest chance of "outside"; "wrong" gets the rest. So it is sure of a label, or of "no label", only
        if it would be in every calibrated language.

        Args:
            logits: texts × labels.
            languages: the BCP 47 tag of each text.
        """
        raw = features(logits)
        by_language = {language: calibrator.chances(raw) for language, calibrator in self.by_language.items()}
        cautious: Doubles = np.minimum.reduce(list(by_language.values()))
        cautious[:, WRONG] = 1.0 - cautious[:, RIGHT] - cautious[:, OUTSIDE]
        chances: Doubles = cautious.copy()
        for row, language in enumerate(languages):
            chances[row] = by_language.get(primary_subtag(language), cautious)[row]
        return chances


def _parameter_name(outcome: str, language: str) -> str:
    return outcome if language == BASE_LANGUAGE else f"{outcome}_{language}"
