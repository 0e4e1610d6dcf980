"""The joint SentencePiece vocabulary of source and target, and batches of its ids with few different shapes."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sentencepiece

from recipes.translation.network import END, PAD, START, UNKNOWN
from recipes.translation.variants import MARKS, Pair

_LADDER = (256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
_STEP = 2  # target lengths are padded to multiples of it
Ids = tuple[list[int], list[int]]


@dataclass(frozen=True)
class PairBatch:
    """Source ids of equal length, and padded target ids: the input of the decoder, and its expected output."""

    source: np.ndarray
    read: np.ndarray
    say: np.ndarray

    @property
    def words(self) -> int:
        """Return the number of target pieces, end marks included."""
        return int((self.say != PAD).sum())


def train_vocabulary(texts: Iterable[str], size: int, path: Path, *, marks: bool) -> None:
    """Train a unigram model and write it to `path`; numbers are split into digits, unknown characters into bytes."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_prefix=str(path.with_suffix("")),
        vocab_size=size,
        model_type="unigram",
        character_coverage=0.9995,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="nmt_nfkc",
        pad_id=PAD,
        unk_id=UNKNOWN,
        bos_id=START,
        eos_id=END,
        user_defined_symbols=list(MARKS) if marks else [],
        num_threads=1,
        minloglevel=2,
    )


def encode(
    model: sentencepiece.SentencePieceProcessor, pairs: Sequence[Pair], sampled: float, dice: random.Random
) -> list[Ids]:
    """Return the ids of every pair; a share `sampled` of the texts is split at random (subword regularisation)."""

    def cut(text: str) -> list[int]:
        if dice.random() < sampled:
            return model.encode(text, enable_sampling=True, alpha=0.2, nbest_size=-1)  # type: ignore[no-any-return]  # untyped library
        return model.encode(text)  # type: ignore[no-any-return]  # untyped library

    return [(cut(source), cut(target)) for source, target in pairs]


def batches(ids: Sequence[Ids], words: int, longest: int, dice: random.Random) -> list[PairBatch]:
    """Return all pairs up to the length `longest` in batches of about `words` target pieces, in random order."""
    rows = [(s, t) for s, t in ids if 0 < len(s) < longest and 0 < len(t) < longest]
    dice.shuffle(rows)
    rows.sort(key=lambda row: (len(row[0]), _padded(row[1])))
    made: list[PairBatch] = []
    start = 0
    while start < len(rows):
        source, target = rows[start]
        length, wide = len(source), _padded(target)
        alike = start
        while alike < len(rows) and len(rows[alike][0]) == length and _padded(rows[alike][1]) <= wide:
            alike += 1
        # A batch may reach into longer targets of the same source length where its own are too few.
        while alike < len(rows) and len(rows[alike][0]) == length and (alike - start) < words // (2 * wide):
            wide = _padded(rows[alike][1])
            alike += 1
        most = max(1, min(alike - start, words // wide))
        count = next(step for step in _LADDER if step <= most)
        made.append(_batch(rows[start : start + count], wide))
        start += count
    dice.shuffle(made)
    return made


def steps(made: Sequence[PairBatch], words: int) -> Iterator[list[PairBatch]]:
    """Yield groups of consecutive batches with about `words` target pieces: one optimiser step each."""
    group: list[PairBatch] = []
    for batch in made:
        group.append(batch)
        if sum(b.words for b in group) >= words:
            yield group
            group = []


def _padded(target: list[int]) -> int:
    return -(-(len(target) + 1) // _STEP) * _STEP


def _batch(rows: Sequence[Ids], wide: int) -> PairBatch:
    source = np.array([[*s, END] for s, _ in rows], np.int64)
    read, say = np.full((len(rows), wide), PAD, np.int64), np.full((len(rows), wide), PAD, np.int64)
    for n, (_, target) in enumerate(rows):
        read[n, : len(target) + 1] = [START, *target]
        say[n, : len(target) + 1] = [*target, END]
    return PairBatch(source, read, say)
