"""The tagger's linear head: what the encoder says of a token → the probability of each label."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact

Floats = NDArray[np.float32]

HEAD_FILE = "head.npz"


@dataclass(frozen=True, slots=True)
class Head:
    """Labels in the order of the card."""

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
                head = cls(*(np.ascontiguousarray(arrays[name], np.float32) for name in ("weights", "bias")))
        except (OSError, ValueError, KeyError) as error:
            raise BrokenArtefact(f"{path}: cannot be read ({error}); run the recipe again") from error
        if head.weights.ndim != 2 or head.weights.shape[1] != labels or head.bias.shape != (labels,):
            raise BrokenArtefact(
                f"{path}: shaped {head.weights.shape}, the card has {labels} labels; run the recipe again"
            )
        return head

    def save(self, folder: Path) -> None:
        """Write `head.npz` into `folder`, byte for byte the same for the same arrays."""
        np.savez(folder / HEAD_FILE, weights=self.weights, bias=self.bias)

    def probabilities(self, states: Floats) -> Floats:
        """… × labels, each row adding up to 1, from … × width."""
        logits = states @ self.weights + self.bias
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        rows: Floats = shares / shares.sum(axis=-1, keepdims=True)
        return rows
