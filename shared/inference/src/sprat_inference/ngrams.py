"""The n-grams of texts: words, pairs of words, and parts of words, each as a hash.

Of many texts all are computed at once; of a few, word by word, as numpy takes longer to begin than they take. Both give
the same.
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

PART_SIZES: Final = (3, 4)
"""Characters of the parts of a word, the space before and behind it included. With 2 to 5 it is no better: 91.7 % of
CLINC150's validation instead of 92.5 %, for 1.7 times the cost."""
FEW_TEXTS: Final = 16
FEW_CHARACTERS: Final = 2_000
"""So many are read word by word: 5 µs a character of words that are not remembered, 20 times what numpy takes."""

_WORDS: Final = re.compile(r"\w+")
_SPACE, _LINE = np.uint32(ord(" ")), np.uint32(ord("\n"))
_BASE: Final = 0x9E3779B97F4A7C15
_INVERSE: Final = pow(_BASE, -1, 1 << 64)
_HALF: Final = 32
_SHIFT: Final = 33
_MIX: Final = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)
_PAIR: Final = 3
_64_BITS: Final = (1 << 64) - 1
_REMEMBERED: Final = 10_000
_LONGEST_REMEMBERED: Final = 32
"""So many words of at most so many characters: longer ones fill the memory, and seldom come again."""

Hashes = NDArray[np.uint32]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class NGrams:
    """The n-grams of some texts, each occurrence by itself, sorted by text.

    Those of one text: its words, their pairs, then the parts of all words, the shorter ones first.
    """

    hashes: Hashes
    """uint32, one per n-gram."""
    texts: Integers
    """int64. The number of the text that the n-gram is in."""
    is_part: Flags
    """True for a part of a word, False for a word or a pair of words."""


def read_ngrams(texts: Sequence[str]) -> NGrams:
    """Return the n-grams of all texts; case and all but letters, digits and underscores are ignored."""
    lines = " \n ".join(" ".join(_WORDS.findall(text.lower())) for text in texts)
    codes = np.frombuffer(f" {lines} ".encode("utf-32-le", "surrogatepass"), np.uint32)
    is_letter = (codes != _SPACE) & (codes != _LINE)
    text_of = np.cumsum(codes == _LINE)
    # A hash of codes a to b is a polynomial in _BASE, modulo 2 ** 64, without the factor of its place: two steps for
    # any length, out of the sums up to each place.
    powers, inverses = _powers(len(codes), _BASE), _powers(len(codes), _INVERSE)
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(_mixed(codes.astype(np.uint64) + np.uint64(1)) * powers, out=sums[1:])

    def hashed(start: Integers, end: Integers) -> NDArray[np.uint64]:
        return _mixed((sums[end] - sums[start]) * inverses[start])

    starts = np.flatnonzero(is_letter[1:] & ~is_letter[:-1]) + 1
    ends = np.flatnonzero(is_letter[:-1] & ~is_letter[1:]) + 1
    words, text_of_word = hashed(starts, ends), text_of[starts]
    paired = text_of_word[1:] == text_of_word[:-1]
    hashes = [_mixed(words + np.uint64(_PAIR)), _mixed(words[:-1] * np.uint64(_PAIR) + words[1:])[paired]]
    owners = [text_of_word, text_of_word[1:][paired]]
    lengths = ends - starts + 2  # with the spaces around it
    places = np.repeat(starts - 1 - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
    limits, of_place = np.repeat(ends + 1, lengths), np.repeat(text_of_word, lengths)
    for size in PART_SIZES:
        fits = places + size <= limits
        begin = places[fits]
        hashes.append(_mixed(hashed(begin, begin + size) + np.uint64(size)))
        owners.append(of_place[fits])
    is_part = np.repeat([False, True], [len(owners[0]) + len(owners[1]), sum(map(len, owners[2:]))])
    all_owners = np.concatenate(owners)
    order = np.argsort(all_owners, kind="stable")
    return NGrams(
        (np.concatenate(hashes) >> np.uint64(_HALF)).astype(np.uint32)[order], all_owners[order], is_part[order]
    )


def ngrams_of(texts: Sequence[str]) -> NGrams:
    """Return the n-grams of all texts; case and all but letters, digits and underscores are ignored."""
    are_few = len(texts) <= FEW_TEXTS and sum(map(len, texts)) <= FEW_CHARACTERS
    return read_few_ngrams(texts) if are_few else read_ngrams(texts)


def read_few_ngrams(texts: Sequence[str]) -> NGrams:
    """Return what :func:`read_ngrams` returns, word by word."""
    hashes: list[bytes] = []
    counts: list[int] = []
    for text in texts:
        words = [
            _remembered(word) if len(word) <= _LONGEST_REMEMBERED else _of_word(word)
            for word in _WORDS.findall(text.lower())
        ]
        pairs = array("I", [_hash(one.value * _PAIR + next.value) >> _HALF for one, next in pairwise(words)])
        whole = [*(word.itself for word in words), pairs.tobytes()]
        parts = [word.parts[size] for size in range(len(PART_SIZES)) for word in words]
        counts += (sum(map(len, whole)) // 4, sum(map(len, parts)) // 4)
        hashes += (*whole, *parts)
    kinds = np.repeat(np.arange(len(counts)), counts)
    return NGrams(np.frombuffer(b"".join(hashes), np.uint32), kinds >> 1, (kinds & 1).astype(bool))


class _Word(NamedTuple):
    """The hashes of a word."""

    value: int
    """Of 64 bits, for those of pairs."""
    itself: bytes
    """uint32."""
    parts: tuple[bytes, ...]
    """uint32, of each size."""


def _of_word(word: str) -> _Word:
    codes = [_hash(ord(letter) + 1) for letter in f" {word} "]

    def hashed(start: int, end: int) -> int:
        total = 0
        for code in reversed(codes[start:end]):
            total = total * _BASE + code & _64_BITS
        return _hash(total)

    def packed(values: Iterable[int]) -> bytes:
        return array("I", [_hash(value) >> _HALF for value in values]).tobytes()

    value = hashed(1, len(codes) - 1)
    parts = (
        packed(hashed(start, start + size) + size for start in range(len(codes) - size + 1)) for size in PART_SIZES
    )
    return _Word(value, packed([value + _PAIR]), tuple(parts))


_remembered = lru_cache(_REMEMBERED)(_of_word)


def _hash(value: int) -> int:
    """Return what :func:`_mixed` does, of one value."""
    value &= _64_BITS
    for factor in _MIX:
        value = (value ^ value >> _SHIFT) * factor & _64_BITS
    return value ^ value >> _SHIFT


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return well-spread hashes of 64-bit values (the finaliser of MurmurHash3, by Austin Appleby)."""
    for factor in _MIX:
        values = (values ^ (values >> np.uint64(_SHIFT))) * np.uint64(factor)
    return values ^ (values >> np.uint64(_SHIFT))


def _powers(count: int, base: int) -> NDArray[np.uint64]:
    powers = np.full(count, base & 0xFFFFFFFFFFFFFFFF, np.uint64)
    powers[:1] = 1
    result: NDArray[np.uint64] = np.multiply.accumulate(powers)
    return result
