"""From logits to chances: is the best label right, is another one, or is the text outside all of them?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sprat.models import BrokenArtefact, Calibration

Doubles = NDArray[np.float64]

OUTCOMES = ("right", "wrong", "outside")
RIGHT, WRONG, OUTSIDE = range(3)
"""The best label is right; another label is; none is."""

HOME = "en"
"""The language whose parameters are named by the outcome alone; those of another one carry its tag, `right_de`."""

METHOD = "multinomial logistic regression over the best logit and the log-odds of the best softmax probability"

FEATURES = 2

_EDGE = 1e-6
"""Keeps the log-odds finite."""


def softmax(logits: NDArray[np.floating]) -> Doubles:
    """Row by row, in double precision."""
    powers: Doubles = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: Doubles = powers / powers.sum(axis=1, keepdims=True)
    return shares


def features(logits: NDArray[np.floating]) -> Doubles:
    """Texts × 2: how strongly the best label speaks, and how clearly it is ahead of the others."""
    best = softmax(logits).max(axis=1)
    return np.stack([logits.max(axis=1).astype(np.float64), np.log((best + _EDGE) / (1 - best + _EDGE))], axis=1)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """One language's. Holds for traffic with the share of texts outside that it was fitted to; the card names it."""

    weights: Doubles
    """Features × outcomes."""
    bias: Doubles
    """One an outcome."""

    def chances(self, raw: Doubles) -> Doubles:
        """Texts × outcomes, of texts × features; each row adds up to 1."""
        return softmax(raw @ self.weights + self.bias)


@dataclass(frozen=True, slots=True)
class Calibrators:
    """Language → calibration; English is always there."""

    by_language: Mapping[str, Calibrator]

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take the parameters from a card.

        Raises:
            BrokenArtefact: when they are another calibration's.
        """
        first = OUTCOMES[RIGHT]
        tags = [name.removeprefix(f"{first}_") for name in calibration.parameters if name.startswith(f"{first}_")]
        try:
            return cls({tag: _calibrator(calibration, tag) for tag in (HOME, *tags)})
        except (KeyError, ValueError) as error:
            raise BrokenArtefact(f"card.json: no calibration of this kind ({error}); run the recipe again") from error

    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """For the card: outcome and language → bias, weight of the best logit, weight of the log-odds."""
        named: dict[str, tuple[float, ...]] = {}
        for language, each in self.by_language.items():
            rows = np.concatenate([each.bias[:, None], each.weights.T], axis=1)
            named |= {
                _name(outcome, language): tuple(map(float, row)) for outcome, row in zip(OUTCOMES, rows, strict=True)
            }
        return named

    def chances(self, logits: NDArray[np.floating], languages: Sequence[str]) -> Doubles:
        """Texts × outcomes; each row adds up to 1.

        A language that was not calibrated gets, of all languages' chances that the best label is right, the least,
        and likewise that the text is outside; what is left is doubt. So neither a label nor "no label" is sure unless
        it would be in each of the calibrated languages.
        """
        raw = features(logits)
        each = {language: calibrator.chances(raw) for language, calibrator in self.by_language.items()}
        cautious: Doubles = np.minimum.reduce(list(each.values()))
        cautious[:, WRONG] = 1.0 - cautious[:, RIGHT] - cautious[:, OUTSIDE]
        chosen: Doubles = cautious.copy()
        for row, language in enumerate(languages):
            chosen[row] = each.get(primary(language), cautious)[row]
        return chosen


def _calibrator(calibration: Calibration, language: str) -> Calibrator:
    rows = np.array([calibration.parameters[_name(outcome, language)] for outcome in OUTCOMES], dtype=np.float64)
    if rows.shape != (len(OUTCOMES), 1 + FEATURES):
        raise ValueError(f"parameters shaped {rows.shape}, not {(len(OUTCOMES), 1 + FEATURES)}")
    return Calibrator(rows[:, 1:].T, rows[:, 0])


def _name(outcome: str, language: str) -> str:
    return outcome if language == HOME else f"{outcome}_{language}"


def primary(language: str) -> str:
    """The language of a tag without region and script: "de" of "de-AT"."""
    return language.partition("-")[0].lower()
