"""Split texts into overlapping windows of token ids, for models that label every token of a text of any length."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from sprat_inference.artefact import BrokenArtefact
from sprat_inference.tokenizer import SPECIAL_TOKENS, load_tokenizer, replace_surrogates

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

ROUND_CODE_POINTS: Final = 100_000
"""Texts are computed in rounds of about this many code points, so that many texts need no more memory than a few."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """The tokens of one text. The arrays are parallel: one entry per token, special tokens left out."""

    ids: list[int]
    starts: Integers
    """int64. First code point of each token. Several tokens may share one (the letters of a Hangul syllable); one that
    the tokenizer drops (control characters, accents in NFD) may belong to no token."""
    ends: Integers
    """int64. One past the last code point of each token."""
    words: Integers
    """int64. Number of the word that the token is part of; it increases by one from word to word."""


@dataclass(frozen=True, slots=True)
class Window:
    """A section of one text, at most as long as the model reads at once."""

    text: int
    """Index of the text."""
    first: int
    """Index of the window's first token in the :class:`TokenizedText`."""
    ids: list[int]
    """What the encoder gets: the opening token, the section, the closing token."""


class Windows:
    """Splits texts into windows: none empty, none longer than the model reads, no id beyond the vocabulary.

    Thread-safe.
    """

    def __init__(
        self, tokenizer: Tokenizer, edges: tuple[int, int], highest_id: int, *, max_tokens: int, overlap: int
    ) -> None:
        self.highest_id = highest_id
        self.max_tokens = max_tokens
        self._tokenizer = tokenizer
        self._capacity = max_tokens - SPECIAL_TOKENS
        self._overlap = overlap
        self._opening, self._closing = edges

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int, overlap: int) -> Self:
        """Read `tokenizer.json` of `folder` and compare it with the model's `vocabulary.json`.

        Args:
            folder: the folder of the artefact.
            max_tokens: length of a window, the two special tokens included.
            overlap: tokens that a window shares with the next one, at least; less than half of a window.

        Raises:
            BrokenArtefact: when either file cannot be read, or they do not fit together.
            ValueError: when `overlap` is too large for `max_tokens`.
        """
        if not 0 <= 2 * overlap < max_tokens - SPECIAL_TOKENS:
            raise ValueError(f"windows of {max_tokens} tokens cannot overlap by {overlap}")
        tokenizer, highest = load_tokenizer(folder)
        edges = tokenizer.encode("").ids
        if len(edges) != SPECIAL_TOKENS:
            raise BrokenArtefact(
                f"{folder / 'tokenizer.json'}: puts {len(edges)} tokens around a text, not one on each side; write the "
                "artefact again"
            )
        return cls(tokenizer, (edges[0], edges[1]), highest, max_tokens=max_tokens, overlap=overlap)

    def upper_bound(self, text: str, most: int) -> int:
        """Return an upper bound of the tokens of a text, including those that windows share.

        Args:
            text: the text.
            most: code points that are read of it, counted in its compatibility form (NFKC).
        """
        # No tokenizer returns more tokens than the decomposed text (NFKD) has characters, and one before them.
        tokens = 1 + min(len(text if text.isascii() else unicodedata.normalize("NFKD", text)), most)
        shared = SPECIAL_TOKENS + 2 * self._overlap
        return tokens + (tokens // (self.max_tokens - shared) + 1) * shared

    def cut(self, texts: Sequence[str]) -> tuple[list[TokenizedText], list[Window]]:
        """Return the tokens of each text, and the windows of all texts in order; a text without tokens has none."""
        readable = [replace_surrogates(text) for text in texts]
        tokenized = [_tokenized(each) for each in self._tokenizer.encode_batch(readable, add_special_tokens=False)]
        windows = [
            Window(index, start, [self._opening, *text.ids[start:end], self._closing])
            for index, text in enumerate(tokenized)
            for start, end in self._bounds(text.words)
        ]
        return tokenized, windows

    def _bounds(self, words: Integers) -> Iterator[tuple[int, int]]:
        """Yield start and end of each window. A window begins with a word, unless that word exceeds the overlap."""
        start, count = 0, len(words)
        while start < count:
            end = min(start + self._capacity, count)
            yield start, end
            if end == count:
                return
            latest = end - self._overlap
            first_of_word = int(np.searchsorted(words, words[latest]))
            start = first_of_word if first_of_word >= latest - self._overlap else latest


def average_windows(
    texts: Sequence[TokenizedText], windows: Sequence[Window], outputs: Sequence[Floats], labels: int
) -> list[Floats]:
    """Merge the outputs of overlapping windows into one array per text, float32, tokens × labels.

    Where windows overlap, the result is their weighted mean. The weight falls towards the edges of a window, because
    the model sees little context there.

    Args:
        texts: the tokens of each text.
        windows: of all texts.
        outputs: for each window float32, tokens × labels, without the special tokens.
        labels: the number of labels.
    """
    sums = [np.zeros((len(text.ids), labels), np.float32) for text in texts]
    weights = [np.zeros((len(text.ids), 1), np.float32) for text in texts]
    for window, output in zip(windows, outputs, strict=True):
        count = len(output)
        rising = np.arange(1, count + 1, dtype=np.float32)
        weight = np.minimum(rising, rising[::-1])[:, None]
        section = slice(window.first, window.first + count)
        sums[window.text][section] += output * weight
        weights[window.text][section] += weight
    return [total / weight for total, weight in zip(sums, weights, strict=True)]


def split_into_rounds(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in order, in groups of at most :data:`ROUND_CODE_POINTS` code points or one text."""
    group: list[str] = []
    length = 0
    for text in texts:
        if group and length + len(text) > ROUND_CODE_POINTS:
            yield group
            group, length = [], 0
        group.append(text)
        length += len(text)
    if group:
        yield group


def _tokenized(encoding: Encoding) -> TokenizedText:
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    return TokenizedText(encoding.ids, offsets[:, 0], offsets[:, 1], np.array(encoding.word_ids, dtype=np.int64))
