"""The linear head: one weight vector an intent, over the encoder's vectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sprat.models import BrokenArtefact
from sprat.models.encoder import unit

Floats = NDArray[np.float32]

HEAD_FILE = "head.npz"


@dataclass(frozen=True, slots=True)
class Head:
    """Logits of the labels, in the order of the card."""

    mean: Floats
    """Mean of the training vectors. It is taken away first: all texts share it, so it tells none apart."""
    weights: Floats
    """Width × labels."""
    bias: Floats
    """One a label."""

    @classmethod
    def load(cls, folder: Path, labels: int) -> Self:
        """Read `head.npz` of `folder`, which must have so many `labels`.

        Raises:
            BrokenArtefact: when the arrays do not fit each other or the labels.
        """
        path = folder / HEAD_FILE
        try:
            with np.load(path, allow_pickle=False) as arrays:
                head = cls(*(np.ascontiguousarray(arrays[name], np.float32) for name in ("mean", "weights", "bias")))
        except (OSError, ValueError, KeyError) as error:
            raise BrokenArtefact(f"{path}: cannot be read ({error}); run the recipe again") from error
        if head.mean.ndim != 1 or head.weights.shape != (head.mean.size, labels) or head.bias.shape != (labels,):
            raise BrokenArtefact(
                f"{path}: shaped {head.weights.shape}, the card has {labels} labels; run the recipe again"
            )
        return head

    def save(self, folder: Path) -> None:
        """Write `head.npz` into `folder`, byte for byte the same for the same arrays."""
        np.savez(folder / HEAD_FILE, mean=self.mean, weights=self.weights, bias=self.bias)

    def logits(self, vectors: Floats) -> Floats:
        """Texts × labels, from the encoder's vectors."""
        scores: Floats = self.centred(vectors, self.mean) @ self.weights + self.bias
        return scores

    @staticmethod
    def centred(vectors: Floats, mean: Floats) -> Floats:
        """What the weights were fitted on: the vectors without their common part, each of length 1 again."""
        return unit(vectors - mean)
