"""The linear head: one weight vector an intent, over the encoder's vectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sprat.models import BrokenArtefact
from sprat.models.encoder import unit
from sprat_intent.calibration import primary

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
        means = np.stack([self.means.get(primary(language), self.mean) for language in languages])
        scores: Floats = self.centred(vectors, means) @ self.weights + self.bias
        return scores

    @staticmethod
    def centred(vectors: Floats, mean: Floats) -> Floats:
        """What the weights were fitted on: the vectors without their common part, each of length 1 again."""
        return unit(vectors - mean)
