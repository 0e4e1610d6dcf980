"""Texts to vectors: the encoder's token vectors, mean-pooled over each text, each vector of length 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sprat.models.errors import BrokenArtefact, ModelError
from sprat.models.states import States, Vectors
from sprat.models.tokens import SPECIAL_TOKENS, Tokens

SMALLEST_NORM = 1e-12
"""Below it a vector is left as it is: scaling it to length 1 would only blow up rounding errors."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Row i belongs to text i."""

    vectors: Vectors
    """Texts × width, float32, each row of length 1."""
    truncated: NDArray[np.bool_]
    """True where the text was longer than the model reads: its vector then stands for the beginning only."""
    empty: NDArray[np.bool_]
    """True where the tokenizer found nothing to read (control characters, say): the vector is then about no text."""


class Encoder:
    """Thread-safe; holds no state between calls. One instance is enough for a process."""

    def __init__(self, states: States, tokens: Tokens) -> None:
        self.tokens = tokens
        self._states = states

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int, threads: int = 1) -> Self:
        """Load the CTranslate2 files and `tokenizer.json` of `folder` and try them on a probe batch.

        Args:
            folder: where they lie.
            max_tokens: tokens read of a text, the two special ones included; what follows is not read.
            threads: micro-batches computed side by side, each on one core.

        Raises:
            BrokenArtefact: when files are missing or do not fit together, or the answers are not finite.
        """
        tokens = Tokens.load(folder, max_tokens=max_tokens)
        try:
            encoder = cls(States.load(folder, threads), tokens)
            encoder.probe()
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the encoder cannot be used ({error}); write the artefact again") from error
        return encoder

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Vectors in the order of `texts`; an empty sequence gives no rows.

        A vector depends on its own text alone, never on the neighbours in the batch.

        Raises:
            ModelError: when the runtime fails or a vector is not finite.
        """
        ids, truncated = self.tokens.ids(texts)
        empty = np.array([len(sequence) <= SPECIAL_TOKENS for sequence in ids], dtype=bool)
        return Encoded(self._pooled(ids), np.array(truncated, dtype=bool), empty)

    def probe(self) -> None:
        """Encode the shortest, the longest and the highest-numbered input there can be.

        Raises:
            ModelError: when the model cannot take them.
        """
        longest = [self.tokens.highest_id] * self.tokens.max_tokens
        self._pooled([longest[:1], longest, longest[:3], longest[:3]])

    def _pooled(self, sequences: Sequence[Sequence[int]]) -> Vectors:
        if not sequences:
            return np.zeros((0, 0), dtype=np.float32)
        return np.stack(self._states.reduced(sequences, _mean))


def _mean(states: Vectors) -> Vectors:
    """Mean over the tokens of each text, scaled to length 1."""
    means: Vectors = states.mean(axis=1)
    return unit(means)


def unit(vectors: Vectors) -> Vectors:
    """Each row scaled to length 1; a row of zeros stays as it is."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(norms, SMALLEST_NORM)).astype(np.float32, copy=False)
    return scaled
