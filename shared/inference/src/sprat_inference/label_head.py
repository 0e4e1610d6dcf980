"""The intent model: texts in; label or none, the likeliest labels, and a calibrated confidence out. No Kafka in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration
from sprat_inference.encoder import unit

READER = "sprat-intent-linear/1"
"""Revision of the way from text to answer. Raise it with every change that changes an answer: it is part of the
model's version, and the version is part of every cache key."""


# From logits to chances: is the best label right, is another one, or is the text outside all of them?

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
            chosen[row] = each.get(primary_subtag(language), cautious)[row]
        return chosen


def _calibrator(calibration: Calibration, language: str) -> Calibrator:
    rows = np.array([calibration.parameters[_name(outcome, language)] for outcome in OUTCOMES], dtype=np.float64)
    if rows.shape != (len(OUTCOMES), 1 + FEATURES):
        raise ValueError(f"parameters shaped {rows.shape}, not {(len(OUTCOMES), 1 + FEATURES)}")
    return Calibrator(rows[:, 1:].T, rows[:, 0])


def _name(outcome: str, language: str) -> str:
    return outcome if language == HOME else f"{outcome}_{language}"


# The linear head: one weight vector an intent, over the encoder's vectors.

Floats = NDArray[np.float32]

HEAD_FILE = "head.npz"

_MEAN = "mean_"
"""Begins the name of a language's own mean."""


@dataclass(frozen=True, slots=True)
class Head:
    """Logits of the labels, in the order of the card."""

    mean: Floats
    """Mean of the training vectors. It is taken away first: all texts share it, so it tells none apart."""
    weights: Floats
    """Width × labels."""
    bias: Floats
    """One a label."""
    means: Mapping[str, Floats] = field(default_factory=dict)
    """Language → the mean to take away instead: texts of one language share more than what all texts share."""

    @classmethod
    def load(cls, folder: Path, labels: int) -> Self:
        """Read `head.npz` of `folder`, which must have so many `labels`.

        Raises:
            BrokenArtefact: when the arrays do not fit each other or the labels.
        """
        path = folder / HEAD_FILE
        try:
            with np.load(path, allow_pickle=False) as arrays:
                read = {name: np.ascontiguousarray(arrays[name], np.float32) for name in arrays.files}
            means = {name.removeprefix(_MEAN): each for name, each in read.items() if name.startswith(_MEAN)}
            head = cls(read["mean"], read["weights"], read["bias"], means)
        except (OSError, ValueError, KeyError) as error:
            raise BrokenArtefact(f"{path}: cannot be read ({error}); run the recipe again") from error
        shapes = {each.shape for each in (head.mean, *means.values())}
        if shapes != {(head.weights.shape[0],)} or head.weights.shape[1:] != (labels,) or head.bias.shape != (labels,):
            raise BrokenArtefact(
                f"{path}: shaped {head.weights.shape}, the card has {labels} labels; run the recipe again"
            )
        return head

    def save(self, folder: Path) -> None:
        """Write `head.npz` into `folder`, byte for byte the same for the same arrays."""
        means = {_MEAN + language: mean for language, mean in sorted(self.means.items())}
        arrays: dict[str, Any] = {"mean": self.mean, "weights": self.weights, "bias": self.bias, **means}
        np.savez(folder / HEAD_FILE, **arrays)

    def logits(self, vectors: Floats, languages: Sequence[str]) -> Floats:
        """Texts × labels, from the encoder's vectors and the language of each text."""
        means = np.stack([self.means.get(primary_subtag(language), self.mean) for language in languages])
        scores: Floats = self.centred(vectors, means) @ self.weights + self.bias
        return scores

    @staticmethod
    def centred(vectors: Floats, mean: Floats) -> Floats:
        """What the weights were fitted on: the vectors without their common part, each of length 1 again."""
        return unit(vectors - mean)
