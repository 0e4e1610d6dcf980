"""A transformer that was trained together with its head to label a whole text, such as a `…ForSequenceClassification`.

It reads the state of the first token, as transformers does. A confidence is the chance that the best class is right:
Platt scaling of its softmax probability, by the parameters of the text's language.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact, ModelError
from sprat_inference.card import Calibration, Card
from sprat_inference.encoder import TokenEncoder, Vectors
from sprat_inference.heads import ONNX_CLASSIFIER_READER, ClassifierHead, Floats
from sprat_inference.label_calibration import OUTCOMES, OUTSIDE, RIGHT, WRONG, softmax
from sprat_inference.onnx_network import OnnxNetwork
from sprat_inference.platt import UNFITTED, Platt
from sprat_inference.tokenizer import SPECIAL_TOKENS, GuardedTokenizer

RIGHT_PARAMETER: Final = "right"
"""The parameter of the calibration, bias and slope, for every language without one of its own (`right_de`)."""

NOT_CALIBRATED: Final = "none: the softmax probability of the best class, fitted to nothing"
CALIBRATED: Final = "Platt scaling of the softmax probability of the best class"
AS_IT_IS: Final = "the softmax probability of the best class: no row was wrong, so nothing could be fitted"

_TEMPERATURE: Final = "temperature"
"""What cards of earlier versions state, of every language or of one (`temperature_de`): logits are divided by it before
the softmax. Texts outside every label did not count in its fit."""

_LEAST_SHARE: Final = 1e-12
"""Of the classes beside the best one, to divide by."""

Doubles = NDArray[np.float64]

Network = Callable[[Sequence[Sequence[int]]], Floats]
"""Computes the logits of sequences of ids, float32, texts × classes. Thread-safe."""


class LogitsReading(NamedTuple):
    """What a network says of some texts; row i belongs to text i."""

    logits: Floats
    """float32, texts × classes: the labels of the card in their order, then the class for texts outside, if any."""
    empty: NDArray[np.bool_]
    """True where the tokenizer found nothing to read."""


@dataclass(frozen=True, slots=True)
class ClassCalibration:
    """Turns logits into the chances of the classes."""

    default: Platt
    by_language: Mapping[str, Platt]
    """Primary language tag → its own."""
    temperatures: Mapping[str, float] = field(default_factory=dict)
    """Of a card of an earlier version: primary language tag, empty for every other → temperature. Else empty."""

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take it from a card.

        Raises:
            BrokenArtefact: when it has none of this kind, or one that calls the surer answer the worse one.
        """
        if _TEMPERATURE in calibration.parameters:
            return cls(UNFITTED, {}, _temperatures(calibration))
        named = {name: Platt(*values) for name, values in calibration.parameters.items() if len(values) == 2}
        if RIGHT_PARAMETER not in named or min(each.slope for each in named.values()) < 0.0:
            raise BrokenArtefact(
                f"card.json: the calibration states no {RIGHT_PARAMETER} with a slope of 0 or above; write the "
                "artefact again"
            )
        prefix = f"{RIGHT_PARAMETER}_"
        own = {name.removeprefix(prefix): each for name, each in named.items() if name.startswith(prefix)}
        return cls(named[RIGHT_PARAMETER], own)

    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """Return it as a card states it."""
        own = {f"{RIGHT_PARAMETER}_{language}": each for language, each in self.by_language.items()}
        return {name: (each.bias, each.slope) for name, each in {RIGHT_PARAMETER: self.default, **own}.items()}

    def chances(self, logits: Floats, languages: Sequence[str]) -> Doubles:
        """Return the chance of each class, float64, in the shape of `logits`, texts × classes.

        The best class of a text has its calibrated chance. The others share what is left in proportion to their
        softmax, but none gets more than the best. Where the text may be outside every class, a row adds up to less than
        1.
        """
        if self.temperatures:
            usual = self.temperatures[""]
            divisors = [self.temperatures.get(primary_subtag(language), usual) for language in languages]
            logits = logits / np.array(divisors, dtype=np.float32)[:, None]
        shares = softmax(logits)
        best = shares.max(axis=1)
        each = [self.by_language.get(primary_subtag(language), self.default) for language in languages]
        right = np.array([platt.chance(share) for platt, share in zip(each, best.tolist(), strict=True)])
        of_others = np.minimum((1.0 - right) / np.maximum(1.0 - best, _LEAST_SHARE), right / best)
        chances: Doubles = shares * of_others[:, None]
        chances[np.arange(len(shares)), shares.argmax(axis=1)] = right
        return chances


@dataclass(frozen=True, slots=True)
class OutcomesOfClasses:
    """The same as the chances of the outcomes: the best label is right, another one is, or the text is outside all."""

    classes: ClassCalibration
    labels: int
    """The class beyond them, where there is one, is that of texts outside."""

    @property
    def by_language(self) -> Mapping[str, Platt]:
        """The languages with a calibration of their own."""
        return self.classes.by_language

    def chances(self, logits: Floats, languages: Sequence[str]) -> Doubles:
        """Return the chance of each outcome, float64, texts × outcomes; each row sums to 1.

        Args:
            logits: texts × classes.
            languages: the BCP 47 tag of each text.
        """
        classes = self.classes.chances(logits, languages)
        best = logits[:, : self.labels].argmax(axis=1)[:, None]
        chances = np.zeros((len(logits), len(OUTCOMES)))
        chances[:, RIGHT] = np.take_along_axis(classes, best, axis=1)[:, 0]
        chances[:, OUTSIDE] = classes[:, self.labels :].sum(axis=1)
        chances[:, WRONG] = np.maximum(1.0 - chances[:, RIGHT] - chances[:, OUTSIDE], 0.0)
        return chances


def _temperatures(calibration: Calibration) -> Mapping[str, float]:
    """Return the temperatures of a card of an earlier version; see `ClassCalibration.temperatures`.

    Raises:
        BrokenArtefact: one of them is not a positive number.
    """
    prefix, found = f"{_TEMPERATURE}_", {}
    for name, values in calibration.parameters.items():
        if name == _TEMPERATURE or name.startswith(prefix):
            if len(values) != 1 or not values[0] > 0.0:
                raise BrokenArtefact(f"card.json: the calibration states no {name} above 0; write the artefact again")
            found[name.removeprefix(prefix) if name != _TEMPERATURE else ""] = values[0]
    return found


class Classifier:
    """Computes the logits of texts. Thread-safe; holds no state between calls."""

    def __init__(self, network: Network, tokenizer: GuardedTokenizer) -> None:
        self.tokenizer = tokenizer
        self._network = network

    @classmethod
    def load(cls, folder: Path, card: Card, threads: int = 1) -> Self:
        """Load the files of `folder`, whose card is `card`, and compute a probe batch.

        Raises:
            BrokenArtefact: when files are missing or do not fit together, or the logits are not finite.
        """
        tokenizer = GuardedTokenizer.load(folder, max_tokens=card.max_tokens)
        try:
            classifier = cls(_load_network(folder, card, threads), tokenizer)
            classifier.probe()
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the network cannot be used ({error}); write the artefact again") from error
        return classifier

    def read(self, texts: Sequence[str], languages: Sequence[str] = ()) -> LogitsReading:
        """Return the logits of `texts`, at least one; of one text they are the same whatever the batch and language.

        Raises:
            ModelError: when the network fails or a value is not finite.
        """
        ids, _ = self.tokenizer.ids(texts)
        empty = np.array([len(sequence) <= SPECIAL_TOKENS for sequence in ids], dtype=bool)
        return LogitsReading(self._network(ids), empty)

    def probe(self) -> None:
        """Read the shortest and the longest possible input, and the highest id.

        Raises:
            ModelError: when the model fails on them.
        """
        longest = [self.tokenizer.highest_id] * self.tokenizer.max_tokens
        self._network([longest[:1], longest, longest[:3]])


def _load_network(folder: Path, card: Card, threads: int) -> Network:
    labels = len(card.labels or ())
    if card.reader == ONNX_CLASSIFIER_READER:
        network = OnnxNetwork.load(folder, threads)
        network.check_outputs((labels, labels + 1), dimensions=1)
        return lambda sequences: np.stack(network.logits(sequences))
    states, head = TokenEncoder.load(folder, card.max_tokens, threads), ClassifierHead.load(folder, labels)
    return lambda sequences: head.logits(np.stack(states.encode(sequences, _first)))


def _first(states: Vectors) -> Vectors:
    """Return texts × width from texts × tokens × width; a copy, so that the other states are freed."""
    return states[:, 0].copy()
