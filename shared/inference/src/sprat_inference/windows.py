"""Texts to overlapping windows of token ids, for models that say something of every token of a text of any length."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.tokens import SPECIAL_TOKENS, guarded_tokenizer, without_surrogates

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """One text as the model reads it. The arrays are parallel: one entry a token, special tokens left out."""

    ids: list[int]
    starts: Integers
    """First code point of the text that belongs to the token. Several tokens may share one (the letters of a Hangul
    syllable); one that the tokenizer drops (control characters, accents in NFD) may belong to none."""
    ends: Integers
    """Behind the last one."""
    words: Integers
    """Number of the word that the token is part of: rises by one from word to word."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one text, as long as the model reads at once, or shorter."""

    text: int
    """Which text, by its place among those given."""
    first: int
    """Place of its first token among the text's :class:`Pieces`."""
    ids: list[int]
    """The opening token, the stretch, the closing token: what the encoder gets."""


class Windows:
    """Gives no empty window, none longer than the model reads, and no id beyond the vocabulary. Thread-safe."""

    def __init__(
        self, tokenizer: Tokenizer, edges: tuple[int, int], highest_id: int, *, max_tokens: int, overlap: int
    ) -> None:
        self.highest_id = highest_id
        self.max_tokens = max_tokens
        self._tokenizer = tokenizer
        self._room = max_tokens - SPECIAL_TOKENS
        self._overlap = overlap
        self._opening, self._closing = edges

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int, overlap: int) -> Self:
        """Read `tokenizer.json` of `folder` and compare it with the model's `vocabulary.json`.

        Args:
            folder: where they lie.
            max_tokens: length of a window, the two special tokens included.
            overlap: tokens that a window shares with the next one, at least; less than half of it.

        Raises:
            BrokenArtefact: when either cannot be read, or they do not fit together.
            ValueError: when `overlap` is too large for `max_tokens`.
        """
        if not 0 <= 2 * overlap < max_tokens - SPECIAL_TOKENS:
            raise ValueError(f"windows of {max_tokens} tokens cannot overlap by {overlap}")
        tokenizer, highest = guarded_tokenizer(folder)
        edges = tokenizer.encode("").ids
        if len(edges) != SPECIAL_TOKENS:
            raise BrokenArtefact(
                f"{folder / 'tokenizer.json'}: puts {len(edges)} tokens around a text, not one on each side; write the "
                "artefact again"
            )
        return cls(tokenizer, (edges[0], edges[1]), highest, max_tokens=max_tokens, overlap=overlap)

    def cut(self, texts: Sequence[str]) -> tuple[list[Pieces], list[Window]]:
        """The pieces of each text, and all windows, text by text. A text without any token has no window."""
        readable = [without_surrogates(text) for text in texts]
        pieces = [_pieces(each) for each in self._tokenizer.encode_batch(readable, add_special_tokens=False)]
        windows = [
            Window(place, start, [self._opening, *each.ids[start:end], self._closing])
            for place, each in enumerate(pieces)
            for start, end in self._stretches(each.words)
        ]
        return pieces, windows

    def _stretches(self, words: Integers) -> Iterator[tuple[int, int]]:
        """Bounds of the windows. One begins with a word, unless that word is longer than the overlap."""
        start, count = 0, len(words)
        while start < count:
            end = min(start + self._room, count)
            yield start, end
            if end == count:
                return
            at_least = end - self._overlap
            first_of_word = int(np.searchsorted(words, words[at_least]))
            start = first_of_word if first_of_word >= at_least - self._overlap else at_least


def _pieces(encoding: Encoding) -> Pieces:
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    return Pieces(encoding.ids, offsets[:, 0], offsets[:, 1], np.array(encoding.word_ids, dtype=np.int64))


# From what a model says of overlapping windows to what it says of each token of a text; and texts in rounds.


Floats = NDArray[np.float32]

ROUND_CODE_POINTS: Final = 100_000
"""Texts are computed in rounds of about so many code points, so that many texts need no more memory than a few."""


def averaged(
    pieces: Sequence[Pieces], windows: Sequence[Window], outcomes: Sequence[Floats], labels: int
) -> list[Floats]:
    """For each text tokens × labels. Near its edge a window has seen little, and counts little.

    Args:
        pieces: of each text.
        windows: of all texts.
        outcomes: for each window tokens × labels, the special tokens left out.
        labels: how many there are.
    """
    sums = [np.zeros((len(each.ids), labels), np.float32) for each in pieces]
    weights = [np.zeros((len(each.ids), 1), np.float32) for each in pieces]
    for window, outcome in zip(windows, outcomes, strict=True):
        count = len(outcome)
        rising = np.arange(1, count + 1, dtype=np.float32)
        weight = np.minimum(rising, rising[::-1])[:, None]
        here = slice(window.first, window.first + count)
        sums[window.text][here] += outcome * weight
        weights[window.text][here] += weight
    return [total / weight for total, weight in zip(sums, weights, strict=True)]


def rounds(texts: Sequence[str]) -> Iterator[list[str]]:
    """Give the texts in order, some at a time."""
    some: list[str] = []
    length = 0
    for text in texts:
        if some and length + len(text) > ROUND_CODE_POINTS:
            yield some
            some, length = [], 0
        some.append(text)
        length += len(text)
    if some:
        yield some
