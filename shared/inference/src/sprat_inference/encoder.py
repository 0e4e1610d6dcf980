"""Encoders on the CPU: one vector per token (`TokenEncoder`), or one vector per text (`SentenceEncoder`).

CTranslate2's encoder lacks guards: an empty batch, an empty sequence or an id far beyond the vocabulary kills the
process, and an id just beyond it gives NaN. Therefore all ids come from :mod:`sprat_inference.tokenizer`, loading a
model compares the sizes of its files, and a probe batch is computed before the first real text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, Literal, Self

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact, ModelError, read_json, reading, write_json
from sprat_inference.tokenizer import SPECIAL_TOKENS, GuardedTokenizer

Vectors = NDArray[np.float32]

Reduce = Callable[[Vectors], Vectors]
"""Turns the states of some texts, float32, texts × tokens × width, into one array per text (first axis: texts).

It runs on the thread that computed the states, so that they are freed before the next micro-batch is computed."""

MICRO_BATCH_TOKENS = 200
"""Tokens computed at once by one thread. On a CPU, larger batches are not faster."""

PADDED_TO: Final = 8
"""Every sequence is padded to a multiple of so many tokens: those of nearly one length are then computed at once.

Always, also where a sequence is computed alone: padding changes the rounding, and int8 quantisation amplifies that to a
difference of up to 0.01 in a vector, so an answer would else depend on the texts that happen to be in the same batch.
"""
_PADDING: Final = 0
"""An id of every vocabulary; which one does not matter, for nothing attends to it."""

SMALLEST_NORM = 1e-12
"""A shorter vector is not scaled to length 1: that would only amplify rounding errors."""


class TokenEncoder:
    """Computes one vector per token. Thread-safe; holds no state between calls."""

    def __init__(self, model: ctranslate2.Encoder, max_tokens: int, threads: int) -> None:
        self._model = model
        self._max_tokens = max_tokens
        self._pool = ThreadPoolExecutor(threads, "encoder") if threads > 1 else None

    @classmethod
    def load(cls, folder: Path, max_tokens: int, threads: int, callers: int = 1) -> Self:
        """Load the CTranslate2 files of `folder`.

        Args:
            folder: the folder of the artefact.
            max_tokens: the most ids of a sequence; none is padded to more, for the model may have no more positions.
            threads: micro-batches of one call computed in parallel, each on one core.
            callers: threads that call it at the same time.

        Raises:
            RuntimeError: when CTranslate2 cannot load the files. Callers turn both into `BrokenArtefact`.
            ValueError: likewise.
        """
        parallel = threads * callers
        model = ctranslate2.Encoder(str(folder), device="cpu", inter_threads=parallel, intra_threads=1)
        return cls(model, max_tokens, threads)

    def encode(self, sequences: Sequence[Sequence[int]], reduce: Reduce) -> list[Vectors]:
        """Compute the states of all sequences of ids, and return the result of `reduce` for each, in order.

        A result depends on its own sequence alone, not on the others of the batch.

        Raises:
            ModelError: when CTranslate2 fails, or a result is not finite.
        """
        return compute_all(sequences, lambda batch: self._compute(batch, reduce), self._pool, multiple=PADDED_TO)

    def _compute(self, batch: list[Sequence[int]], reduce: Reduce) -> list[Vectors]:
        """Return the reduced states of sequences of one padded length, shortest first."""
        states = self._forward(batch)
        return [
            result
            for length, places in groupby(range(len(batch)), key=lambda place: len(batch[place]))
            for result in reduce(states[list(places), :length])
        ]

    def _forward(self, batch: list[Sequence[int]]) -> Vectors:
        """Return the states of sequences of one padded length, float32, texts × padded length × width."""
        if not all(batch) or not batch:
            raise ValueError("an empty sequence would kill the process")  # the last check before native code
        lengths = np.array([len(sequence) for sequence in batch], np.int32)
        longest = max(lengths.max(), min(padded(int(lengths.max()), PADDED_TO), self._max_tokens))
        ids = np.full((len(batch), longest), _PADDING, np.int32)
        for row, sequence in zip(ids, batch, strict=True):
            row[: len(sequence)] = sequence
        try:
            views = [ctranslate2.StorageView.from_array(each) for each in (ids, lengths)]
            return np.asarray(self._model.forward_batch(*views).last_hidden_state)
        except RuntimeError as error:
            raise ModelError(f"CTranslate2 failed on a batch of {len(batch)}: {error}") from error


POOLING_FILE: Final = "pooling.json"


@dataclass(frozen=True, slots=True)
class Pooling:
    """How a text becomes one vector: what is read before it, and which of its tokens' vectors count."""

    kind: Literal["mean", "cls"] = "mean"
    """The mean over all tokens, or the first one, [CLS]."""
    prefix: str = ""
    """Read before every text, such as "query: "."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read :data:`POOLING_FILE` of `folder`; where there is none, it is the mean without a prefix.

        Raises:
            BrokenArtefact: when it cannot be read, or says something else.
        """
        path = folder / POOLING_FILE
        if not path.is_file():
            return cls()
        with reading(path):
            content = read_json(path)
            kind, prefix = content["pooling"], content["prefix"]
        if kind not in {"mean", "cls"} or not isinstance(prefix, str):
            raise BrokenArtefact(f"{path}: says neither mean nor cls, or no prefix; write the artefact again")
        return cls(kind, prefix)

    def save(self, folder: Path) -> None:
        """Write :data:`POOLING_FILE`."""
        write_json(folder / POOLING_FILE, {"pooling": self.kind, "prefix": self.prefix})


@dataclass(frozen=True, slots=True)
class SentenceVectors:
    """The vectors of some texts; row i of each array belongs to text i."""

    vectors: Vectors
    """float32, texts × width, each row of length 1; of two encoders, texts × 2 × width."""
    truncated: NDArray[np.bool_]
    """True where the text is longer than the model reads: its vector then represents the beginning only."""
    empty: NDArray[np.bool_]
    """True where the tokenizer found nothing to read, such as control characters only: the vector has no meaning."""


MEAN: Final = Pooling()


class SentenceEncoder:
    """Computes one vector per text: the mean over its tokens, or the first of them, scaled to length 1.

    Thread-safe; holds no state between calls. One instance is enough for a process.
    """

    def __init__(self, states: TokenEncoder, tokenizer: GuardedTokenizer, pooling: Pooling = MEAN) -> None:
        self.tokenizer = tokenizer.with_prefix(len(pooling.prefix))
        self._states = states
        self._prefix = pooling.prefix
        self._reduce = _unit_first if pooling.kind == "cls" else _unit_mean
        self._shortest = max(SPECIAL_TOKENS, len(tokenizer.ids([pooling.prefix])[0][0]))
        """Length of the ids of a text in which there is nothing to read."""

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int, threads: int = 1) -> Self:
        """Load the CTranslate2 files and `tokenizer.json` of `folder`, and compute a probe batch.

        Args:
            folder: the folder of the artefact.
            max_tokens: tokens read of a text, the two special ones included; the rest of a longer text is not read.
            threads: micro-batches computed in parallel, each on one core.

        Raises:
            BrokenArtefact: when files are missing or do not fit together, or the vectors are not finite.
        """
        tokenizer = GuardedTokenizer.load(folder, max_tokens=max_tokens)
        try:
            encoder = cls(TokenEncoder.load(folder, max_tokens, threads), tokenizer, Pooling.load(folder))
            encoder.probe()
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the encoder cannot be used ({error}); write the artefact again") from error
        return encoder

    def encode(self, texts: Sequence[str]) -> SentenceVectors:
        """Return the vectors of `texts`, in order. A vector depends on its own text alone, not on the batch.

        Raises:
            ModelError: when CTranslate2 fails or a vector is not finite.
        """
        ids, truncated = self.tokenizer.ids([self._prefix + text for text in texts] if self._prefix else texts)
        empty = np.array([len(sequence) <= self._shortest for sequence in ids], dtype=bool)
        return SentenceVectors(self._unit_vectors(ids), np.array(truncated, dtype=bool), empty)

    def probe(self) -> None:
        """Encode the shortest and the longest possible input, and the highest id.

        Raises:
            ModelError: when the model fails on them.
        """
        longest = [self.tokenizer.highest_id] * self.tokenizer.max_tokens
        self._unit_vectors([longest[:1], longest, longest[:3], longest[:3]])

    def _unit_vectors(self, sequences: Sequence[Sequence[int]]) -> Vectors:
        if not sequences:
            return np.zeros((0, 0), dtype=np.float32)
        return np.stack(self._states.encode(sequences, self._reduce))


def compute_all(
    sequences: Sequence[Sequence[int]],
    compute: Callable[[list[Sequence[int]]], Sequence[Vectors]],
    pool: Executor | None,
    limit: int = MICRO_BATCH_TOKENS,
    multiple: int = 1,
) -> list[Vectors]:
    """Compute sequences of ids in micro-batches, and return the result of each, in order.

    Args:
        sequences: the ids.
        compute: from sequences that are padded to one length, shortest first, to one array for each of them.
        pool: computes micro-batches in parallel; None computes them one after the other.
        limit: tokens of a micro-batch; see :func:`micro_batches`.
        multiple: to which lengths are padded.

    Raises:
        ModelError: `compute` raises it, or a result is not finite.
    """
    batches = list(micro_batches([len(sequence) for sequence in sequences], limit, multiple))

    def compute_batch(batch: list[int]) -> Sequence[Vectors]:
        return compute([sequences[index] for index in batch])

    results: Iterable[Sequence[Vectors]] = (
        map(compute_batch, batches) if pool is None or len(batches) == 1 else pool.map(compute_batch, batches)
    )
    by_index: dict[int, Vectors] = {}
    for batch, result in zip(batches, results, strict=True):
        if not all(np.isfinite(each).all() for each in result):
            raise ModelError("the network computed a number that is not finite: its weights are damaged")
        by_index.update(zip(batch, result, strict=True))
    return [by_index[index] for index in range(len(sequences))]


def micro_batches(lengths: Sequence[int], limit: int = MICRO_BATCH_TOKENS, multiple: int = 1) -> Iterator[list[int]]:
    """Group the indices of `lengths`, shortest first; a group has at most `limit` tokens or one text.

    Lengths are equal within a group once they are padded to the next multiple. To pad to the longest of a batch instead
    would cost time, and an answer would depend on the texts that happen to be in the same batch.
    """
    batch: list[int] = []
    of_batch = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = padded(lengths[index], multiple)
        if batch and (of_batch != length or (len(batch) + 1) * length > limit):
            yield batch
            batch = []
        of_batch = length
        batch.append(index)
    if batch:
        yield batch


def padded(length: int, multiple: int) -> int:
    """Return the next multiple."""
    return -(-length // multiple) * multiple


def unit(vectors: Vectors) -> Vectors:
    """Scale each row, along the last axis, to length 1; a row of zeros stays as it is."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Vectors = (vectors / np.maximum(norms, SMALLEST_NORM)).astype(np.float32, copy=False)
    return scaled


def _unit_mean(states: Vectors) -> Vectors:
    """Return texts × width from texts × tokens × width."""
    means: Vectors = states.mean(axis=1)
    return unit(means)


def _unit_first(states: Vectors) -> Vectors:
    """Return texts × width from texts × tokens × width; a copy, so that the other states are freed."""
    return unit(states[:, 0].copy())
