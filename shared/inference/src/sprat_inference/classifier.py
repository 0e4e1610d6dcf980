"""A transformer that was trained together with its head to label a whole text, such as a `…ForSequenceClassification`.

It reads the state of the first token, as transformers does. A confidence is the softmax probability of the best class
at the temperature of the text's language: Guo et al. 2017, On Calibration of Modern Neural Networks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact, ModelError
from sprat_inference.card import Calibration, Card
from sprat_inference.encoder import TokenEncoder, Vectors
from sprat_inference.heads import ONNX_CLASSIFIER_READER, ClassifierHead, Floats
from sprat_inference.onnx_network import OnnxNetwork
from sprat_inference.tokenizer import SPECIAL_TOKENS, GuardedTokenizer

TEMPERATURE: Final = "temperature"
"""The parameter of the calibration that holds for every language without one of its own (`temperature_de`)."""

NOT_CALIBRATED: Final = "none: the softmax probability of the best class, fitted to nothing"
CALIBRATED: Final = "temperature scaling of the softmax probability of the best class"


Network = Callable[[Sequence[Sequence[int]]], Floats]
"""Computes the logits of sequences of ids, float32, texts × classes. Thread-safe."""


@dataclass(frozen=True, slots=True)
class ClassifierReading:
    """What the network says of some texts; row i belongs to text i."""

    logits: Floats
    """float32, texts × classes: the labels of the card in their order, then the class for texts outside, if any."""
    empty: NDArray[np.bool_]
    """True where the tokenizer found nothing to read."""


@dataclass(frozen=True, slots=True)
class Temperatures:
    """What logits are divided by, before the softmax."""

    default: float
    by_language: Mapping[str, float]
    """Primary language tag → temperature."""

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take them from a card.

        Raises:
            BrokenArtefact: when it has none, or one that is not positive.
        """
        prefix = f"{TEMPERATURE}_"
        found = {name: values[0] for name, values in calibration.parameters.items() if len(values) == 1}
        if not found.get(TEMPERATURE, 0.0) > 0.0 or min(found.values()) <= 0.0:
            raise BrokenArtefact("card.json: the calibration states no temperature above 0; write the artefact again")
        languages = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
        return cls(found[TEMPERATURE], languages)

    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """Return them as a card states them."""
        languages = {f"{TEMPERATURE}_{language}": (value,) for language, value in self.by_language.items()}
        return {TEMPERATURE: (self.default,), **languages}

    def scale(self, logits: Floats, languages: Sequence[str]) -> NDArray[np.float64]:
        """Return the logits, each row divided by the temperature of its language; float64, in the same shape."""
        each = [self.by_language.get(primary_subtag(language), self.default) for language in languages]
        scaled: NDArray[np.float64] = logits.astype(np.float64) / np.array(each)[:, None]
        return scaled


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

    def read(self, texts: Sequence[str]) -> ClassifierReading:
        """Return the logits of `texts`, at least one. They depend on the text alone, not on the others of the batch.

        Raises:
            ModelError: when the network fails or a value is not finite.
        """
        ids, _ = self.tokenizer.ids(texts)
        empty = np.array([len(sequence) <= SPECIAL_TOKENS for sequence in ids], dtype=bool)
        return ClassifierReading(self._network(ids), empty)

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
