"""Token ids to token vectors on the CPU: CTranslate2's encoder, with the guards that it lacks.

The runtime kills the process on an empty batch or sequence and on an id far beyond the vocabulary, and answers NaN on
an id just beyond it. So ids come from one guarded place (`sprat_inference.tokens`), the sizes are compared when the
model is loaded, and a probe batch is looked at before the first real text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact, ModelError
from sprat_inference.tokens import SPECIAL_TOKENS, Tokens

Vectors = NDArray[np.float32]

Reduce = Callable[[Vectors], Vectors]
"""From texts × tokens × width to texts × whatever is wanted of them. It runs on the thread that computed them, so that
the many token vectors of a batch are gone before the next one comes."""

MICRO_BATCH_TOKENS = 200
"""Tokens handed to one thread at once. On a CPU more of them gain nothing."""


class States:
    """Thread-safe; holds no state between calls."""

    def __init__(self, model: ctranslate2.Encoder, threads: int) -> None:
        self._model = model
        self._pool = ThreadPoolExecutor(threads, "encoder") if threads > 1 else None

    @classmethod
    def load(cls, folder: Path, threads: int) -> Self:
        """Load the CTranslate2 files of `folder`; so many `threads` compute micro-batches side by side.

        Raises:
            RuntimeError: when they cannot be read, or ValueError; the caller knows what to say of it.
        """
        return cls(ctranslate2.Encoder(str(folder), device="cpu", inter_threads=threads, intra_threads=1), threads)

    def reduced(self, sequences: Sequence[Sequence[int]], reduce: Reduce) -> list[Vectors]:
        """What `reduce` makes of each sequence, in order. It depends on that sequence alone, not on its neighbours.

        Raises:
            ModelError: when the runtime fails, or the outcome is not finite.
        """
        places = list(micro_batches([len(sequence) for sequence in sequences]))

        def compute(batch: list[int]) -> Vectors:
            return reduce(self._forward([sequences[place] for place in batch]))

        outcomes: Iterable[Vectors] = (
            map(compute, places) if self._pool is None or len(places) == 1 else self._pool.map(compute, places)
        )
        by_place: dict[int, Vectors] = {}
        for batch, outcome in zip(places, outcomes, strict=True):
            if not np.isfinite(outcome).all():
                raise ModelError("the encoder gave a vector that is not finite: its weights are damaged")
            by_place.update(zip(batch, outcome, strict=True))
        return [by_place[place] for place in range(len(sequences))]

    def _forward(self, batch: list[Sequence[int]]) -> Vectors:
        """Texts × tokens × width, of sequences of one length."""
        if not all(batch) or not batch:
            raise ValueError("an empty sequence would kill the process")  # the last guard before native code
        try:
            return np.asarray(self._model.forward_batch(batch).last_hidden_state)
        except RuntimeError as error:
            raise ModelError(f"CTranslate2 failed on a batch of {len(batch)}: {error}") from error


def micro_batches(lengths: Sequence[int], limit: int = MICRO_BATCH_TOKENS) -> Iterator[list[int]]:
    """Places of `lengths` in groups of one length, each at most `limit` tokens, or one text alone; shortest first.

    One length, so that nothing is padded: padding costs time, and changes the rounding of its neighbours. int8 steps
    blow that up to a difference of 0.02 in a vector, and a text would be judged by the company it comes in.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[place]
        if batch and (lengths[batch[0]] != length or (len(batch) + 1) * length > limit):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


# Texts to vectors: the encoder's token vectors, mean-pooled over each text, each vector of length 1.

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
