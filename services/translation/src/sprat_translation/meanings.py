"""What the multilingual encoder makes of a sentence and its translation: how near they are, and of what kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.encoder import SentenceEncoder, unit
from sprat_translation.sentences import Translation

MEANINGS_FILE = "estimate.npz"
KINDS: Final = 16
"""Directions in which sources differ most: questions, orders, small talk. Some kinds have one usual translation, others
many, and a network may be better at some."""

Doubles = NDArray[np.float64]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Meanings:
    """What all vectors of a language share, and the directions in which those of sources differ."""

    source_mean: Vectors
    target_mean: Vectors
    kinds: Vectors
    """Kinds × width, each of length 1, the widest first."""

    @classmethod
    def of(cls, source: Vectors, target: Vectors) -> Self:
        """Take them from the vectors of sentences and of their translations."""
        source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
        centred = (source - source_mean).astype(np.float64)
        _, directions = np.linalg.eigh(centred.T @ centred)
        widest = directions[:, ::-1].T[:KINDS]
        # The sign of a direction is chance: fix it, so that two runs agree.
        signs = np.sign(widest[np.arange(len(widest)), np.abs(widest).argmax(axis=1)])
        return cls(source_mean, target_mean, (widest * signs[:, None]).astype(np.float32))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `estimate.npz` of `folder`.

        Raises:
            BrokenArtefact: when it cannot be read, or holds other arrays.
        """
        path = folder / MEANINGS_FILE
        try:
            with np.load(path, allow_pickle=False) as arrays:
                names = ("source_mean", "target_mean", "kinds")
                source, target, kinds = (arrays[name].astype(np.float32) for name in names)
        except (OSError, ValueError, KeyError) as error:
            raise BrokenArtefact(f"{path}: cannot be read ({error}); run the recipe again") from error
        if source.ndim != 1 or source.shape != target.shape or kinds.shape != (KINDS, len(source)):
            raise BrokenArtefact(f"{path}: its arrays do not fit each other; run the recipe again")
        return cls(source, target, kinds)

    def save(self, folder: Path) -> None:
        """Write `estimate.npz` into `folder`."""
        np.savez(folder / MEANINGS_FILE, source_mean=self.source_mean, target_mean=self.target_mean, kinds=self.kinds)

    def figures(self, source: Vectors, target: Vectors) -> Doubles:
        """One row a sentence: the cosine of source and output, after what each language shares is taken away; kinds."""
        read, written = source - self.source_mean, target - self.target_mean
        cosines = (unit(read) * unit(written)).sum(axis=1, dtype=np.float64)
        return np.column_stack([cosines, (read @ self.kinds.T).astype(np.float64)])


def vectors(translations: Sequence[Translation], encoder: SentenceEncoder) -> tuple[Vectors, Vectors]:
    """The encoder's vectors of sources and outputs.

    Raises:
        ModelError: when the encoder fails.
    """
    both = encoder.encode([*(each.source for each in translations), *(each.text for each in translations)]).vectors
    return both[: len(translations)], both[len(translations) :]
