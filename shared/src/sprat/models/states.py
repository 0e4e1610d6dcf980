"""Token ids to token vectors on the CPU: CTranslate2's encoder, with the guards that it lacks.

The runtime kills the process on an empty batch or sequence and on an id far beyond the vocabulary, and answers NaN on
an id just beyond it. So ids come from one guarded place (:mod:`sprat.models.tokens`), the sizes are compared when the
model is loaded, and a probe batch is looked at before the first real text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from sprat.models.errors import ModelError

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
