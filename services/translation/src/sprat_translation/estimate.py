"""How good is a translation? The chance that it is close to what a person would write: chrF of 60 or more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Calibration
from sprat_inference.encoder import SentenceEncoder
from sprat_translation.meanings import Doubles, Meanings, vectors
from sprat_translation.sentences import Translation
from sprat_translation.signals import SIGNALS, measured
from sprat_translation.words import KnownWords

GOOD_CHRF: Final = 60.0
METHOD = (
    "logistic regression over signals of each sentence to the event that its chrF is 60 or more; the least of its "
    "sentences for a text; 0 where a number, an address or a placeholder is not kept, or a sentence is too long"
)
UNCALIBRATED = (
    "none: the square of the geometric mean of the pieces' probabilities, of the least sure sentence; below every "
    "figure of the network's own, but fitted to nothing"
)
_FURTHEST = 4.0
"""Standard deviations from the middle beyond which a signal says no more: nothing beyond it was seen while fitting."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """The weights of the signals."""

    weights: Doubles
    middle: Doubles
    spread: Doubles
    bias: float

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take the weights from a card.

        Raises:
            BrokenArtefact: when they are of other signals.
        """
        try:
            rows = np.array([calibration.parameters[name] for name in SIGNALS], dtype=np.float64)
            (bias,) = calibration.parameters["bias"]
        except (KeyError, ValueError) as error:
            raise BrokenArtefact(f"card.json: no estimate of this kind ({error}); run the recipe again") from error
        if rows.shape != (len(SIGNALS), 3) or not (rows[:, 2] > 0).all():
            raise BrokenArtefact("card.json: the estimate's weights are not three a signal; run the recipe again")
        return cls(rows[:, 0], rows[:, 1], rows[:, 2], bias)

    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """For the card: signal → weight, middle, spread; and the bias."""
        rows = zip(self.weights, self.middle, self.spread, strict=True)
        return {
            **{name: tuple(map(float, row)) for name, row in zip(SIGNALS, rows, strict=True)},
            "bias": (float(self.bias),),
        }

    def scaled(self, signals: Doubles) -> Doubles:
        """What the weights are multiplied with."""
        return np.clip((signals - self.middle) / self.spread, -_FURTHEST, _FURTHEST)

    def chances(self, signals: Doubles) -> Doubles:
        """The chance of each row that the translation is good."""
        chances: Doubles = 1.0 / (1.0 + np.exp(-(self.scaled(signals) @ self.weights + self.bias)))
        return chances


@dataclass(frozen=True, slots=True)
class Estimate:
    """Judges translations by all signals. Thread-safe."""

    weighing: Weighing
    words: KnownWords
    meanings: Meanings
    encoder: SentenceEncoder

    @classmethod
    def load(cls, folder: Path, calibration: Calibration, encoder: SentenceEncoder) -> Self:
        """Read `estimate.npz` and `words.npz` of `folder`.

        Raises:
            BrokenArtefact: when they cannot be read, or are of another kind.
        """
        return cls(Weighing.of(calibration), KnownWords.load(folder), Meanings.load(folder), encoder)

    def save(self, folder: Path) -> None:
        """Write `estimate.npz` and `words.npz` into `folder`."""
        self.meanings.save(folder)
        self.words.save(folder)

    def signals(self, translations: Sequence[Translation]) -> Doubles:
        """Sentences × signals.

        Raises:
            ModelError: when the encoder fails.
        """
        if not translations:
            return np.zeros((0, len(SIGNALS)))
        return measured(translations, self.words, self.meanings.figures(*vectors(translations, self.encoder)))

    def chances(self, translations: Sequence[Translation]) -> Doubles:
        """The chance of each that it is good."""
        return self.weighing.chances(self.signals(translations))


class Uncalibrated:
    """For a network that came without an estimate: sure only where the network is, and then half-heartedly."""

    def chances(self, translations: Sequence[Translation]) -> Doubles:
        """A number from 0 to 1 for each, which is no calibrated chance."""
        chances = [each.hypothesis.chances if each.hypothesis else (-np.inf,) for each in translations]
        return np.array([np.exp(2 * sum(each) / len(each)) for each in chances], dtype=np.float64)
