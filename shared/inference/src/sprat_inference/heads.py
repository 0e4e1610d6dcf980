"""Heads on an encoder: one label for a whole text (`LabelHead`, `ClassifierHead`), or for each token (`TokenHead`).

All are stored as `head.npz` in the folder of the artefact.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact, reading
from sprat_inference.encoder import unit

Floats = NDArray[np.float32]

LABEL_READER: Final = "sprat-intent-linear/1"
"""Revision of the way from text to label. Raise it with every change that changes an answer: it is part of the model's
version, and the version is part of every cache key."""

POOLED_READER: Final = "sprat-intent-pooled/1"
"""The same for a head on an encoder of others, whose `pooling.json` a release before this reader would not read."""

CLASSIFIER_READER: Final = "sprat-classifier/1"
"""The same for an encoder that was trained together with its head, such as a `…ForSequenceClassification`."""

ONNX_CLASSIFIER_READER: Final = "sprat-classifier-onnx/1"
"""The same for such a network as ONNX, which holds its head."""

HEAD_FILE: Final = "head.npz"

_ONE_ENCODER: Final = 2
"""Dimensions of vectors of one encoder: texts × width."""
_MEAN: Final = "mean_"
"""Prefix of the array that holds the mean of one language."""


@dataclass(frozen=True, slots=True)
class LabelHead:
    """Computes the logits of the labels of a text, in the order of the card."""

    mean: Floats
    """float32, width; encoders × width where each text has the vectors of several. Mean of the training vectors; it is
    subtracted first, because what all texts share does not distinguish them."""
    weights: Floats
    """float32, width × labels; where there are several encoders, the rows of the first come first."""
    bias: Floats
    """float32, labels."""
    means: Mapping[str, Floats] = field(default_factory=dict)
    """Primary language tag → the mean to subtract instead: texts of one language share more than all texts do."""

    @classmethod
    def load(cls, folder: Path, labels: int) -> Self:
        """Read `head.npz` of `folder`, which must be made for `labels` labels.

        Raises:
            BrokenArtefact: when the file cannot be read, or the arrays do not fit each other or the labels.
        """
        path = folder / HEAD_FILE
        arrays = _load_arrays(path, ("mean", "weights", "bias"))
        means = {name.removeprefix(_MEAN): mean for name, mean in arrays.items() if name.startswith(_MEAN)}
        head = cls(arrays["mean"], arrays["weights"], arrays["bias"], means)
        fit = all(mean.shape == head.mean.shape for mean in means.values()) and head.mean.size == len(head.weights)
        if not fit or head.weights.shape[1:] != (labels,) or head.bias.shape != (labels,):
            raise _wrong_shape(path, head.weights, labels)
        return head

    def save(self, folder: Path) -> None:
        """Write `head.npz` into `folder`; equal arrays give equal bytes."""
        means = {_MEAN + language: mean for language, mean in sorted(self.means.items())}
        arrays: dict[str, Any] = {"mean": self.mean, "weights": self.weights, "bias": self.bias, **means}
        np.savez(folder / HEAD_FILE, **arrays)

    def logits(self, vectors: Floats, languages: Sequence[str]) -> Floats:
        """Return the logits, float32, texts × labels.

        Args:
            vectors: of the encoder, float32, texts × width; of several, texts × encoders × width.
            languages: the BCP 47 tag of each text.
        """
        means = np.stack([self.means.get(primary_subtag(language), self.mean) for language in languages])
        scores: Floats = self.centred(vectors, means) @ self.weights + self.bias
        return scores

    @staticmethod
    def centred(vectors: Floats, mean: Floats) -> Floats:
        """Return the vectors without their common part, each of length 1 again: the input that the weights expect.

        The vectors of several encoders count the same, and are put side by side: texts × (encoders · width).
        """
        moved = unit(vectors - mean)
        if moved.ndim == _ONE_ENCODER:
            return moved
        texts, encoders, width = moved.shape
        side_by_side: Floats = (moved / np.float32(math.sqrt(encoders))).reshape(texts, encoders * width)
        return side_by_side


ACTIVATIONS: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    "tanh": np.tanh,
    "relu": lambda values: np.maximum(values, np.float32(0)),
}
"""Name → function, applied to each number."""


@dataclass(frozen=True, slots=True)
class ClassifierHead:
    """Computes the logits of the classes from the state of the first token: no layer or one between, then the last.

    The classes are the labels in the order of the card, then one for texts outside every label, if the model has it.
    """

    weights: Floats
    """float32, width × classes."""
    bias: Floats
    """float32, classes."""
    activation: str = "tanh"
    """Of the layer between; one of :data:`ACTIVATIONS`."""
    between: tuple[Floats, Floats] | None = None
    """Weights, float32, width × width, and bias, width, of the layer between."""

    @classmethod
    def load(cls, folder: Path, labels: int) -> Self:
        """Read `head.npz` of `folder`, which must be made for `labels` labels.

        Raises:
            BrokenArtefact: when the file cannot be read, or the arrays do not fit each other or the labels.
        """
        path = folder / HEAD_FILE
        arrays = _load_arrays(path, ("weights", "bias"))
        width, classes = arrays["weights"].shape if arrays["weights"].ndim == 2 else (-1, -1)
        if classes not in {labels, labels + 1} or arrays["bias"].shape != (classes,):
            raise _wrong_shape(path, arrays["weights"], labels)
        between = [name for name in ACTIVATIONS if f"{name}_weights" in arrays]
        if not between:
            return cls(arrays["weights"], arrays["bias"])
        name = between[0]
        layer = (arrays[f"{name}_weights"], arrays.get(f"{name}_bias", np.zeros(0, np.float32)))
        if layer[0].shape != (width, width) or layer[1].shape != (width,):
            raise _wrong_shape(path, layer[0], labels)
        return cls(arrays["weights"], arrays["bias"], name, layer)

    def save(self, folder: Path) -> None:
        """Write `head.npz` into `folder`; equal arrays give equal bytes."""
        arrays: dict[str, Any] = {"weights": self.weights, "bias": self.bias}
        if self.between is not None:
            arrays |= {f"{self.activation}_weights": self.between[0], f"{self.activation}_bias": self.between[1]}
        np.savez(folder / HEAD_FILE, **arrays)

    def logits(self, states: Floats) -> Floats:
        """Return the logits, float32, texts × classes, of the states of the first tokens, float32, texts × width."""
        if self.between is not None:
            weights, bias = self.between
            states = ACTIVATIONS[self.activation](states @ weights + bias)
        scores: Floats = states @ self.weights + self.bias
        return scores


@dataclass(frozen=True, slots=True)
class TokenHead:
    """Computes the probability of each label for each token, in the order of the card."""

    weights: Floats
    """float32, width × labels."""
    bias: Floats
    """float32, labels."""

    @classmethod
    def load(cls, folder: Path, labels: int) -> Self:
        """Read `head.npz` of `folder`, which must be made for `labels` labels.

        Raises:
            BrokenArtefact: when the file cannot be read, or the arrays do not fit each other or the labels.
        """
        path = folder / HEAD_FILE
        arrays = _load_arrays(path, ("weights", "bias"))
        head = cls(arrays["weights"], arrays["bias"])
        if head.weights.ndim != 2 or head.weights.shape[1] != labels or head.bias.shape != (labels,):
            raise _wrong_shape(path, head.weights, labels)
        return head

    def save(self, folder: Path) -> None:
        """Write `head.npz` into `folder`; equal arrays give equal bytes."""
        np.savez(folder / HEAD_FILE, weights=self.weights, bias=self.bias)

    def logits(self, states: Floats) -> Floats:
        """Return the logits, float32, … × labels, of the encoder's states, … × width."""
        scores: Floats = states @ self.weights + self.bias
        return scores

    def probabilities(self, states: Floats) -> Floats:
        """Return the softmax over the labels, float32, … × labels, of the encoder's states, … × width."""
        return token_chances(self.logits(states))


def token_chances(logits: Floats) -> Floats:
    """Return the softmax over the labels, float32, … × labels."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    rows: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return rows


def _load_arrays(path: Path, required: Sequence[str]) -> dict[str, Floats]:
    with reading(path, "run the recipe again"), np.load(path, allow_pickle=False) as file:
        arrays = {name: np.ascontiguousarray(file[name], np.float32) for name in file.files}
    if missing := [name for name in required if name not in arrays]:
        raise BrokenArtefact(f"{path}: cannot be read (it lacks {', '.join(missing)}); run the recipe again")
    return arrays


def _wrong_shape(path: Path, weights: Floats, labels: int) -> BrokenArtefact:
    return BrokenArtefact(f"{path}: shaped {weights.shape}, the card has {labels} labels; run the recipe again")
