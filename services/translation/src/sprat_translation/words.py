"""What stood in the training texts, words and phrases: what the model has never read, it can only guess."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact

WORDS_FILE = "words.npz"
PHRASE_SIZES: Final = (2, 3)
"""Words in a phrase. Both ends of a sentence count as words: how it begins and ends is usual or odd like the rest."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MOST = 255
_LEAST_PHRASE = 2
"""Phrases that stood but once are two in three, and to leave them out costs the estimate next to nothing."""


def words_of(text: str) -> list[str]:
    """The words of a text, folded to lower case; numbers, symbols and punctuation are none."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def phrases_of(words: Sequence[str], size: int) -> list[str]:
    """All stretches of so many words, each end of the sentence being a word of its own."""
    framed = ("<", *words, ">")
    return [" ".join(framed[place : place + size]) for place in range(len(framed) - size + 1)]


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each word, or phrase, stood in the training texts of one language.

    Kept as 32-bit hashes: 5 bytes each, no text. One unknown word in about 100,000 is taken for a known one, and one
    unknown phrase in about 15,000.
    """

    hashes: NDArray[np.uint32]
    """Sorted."""
    counts: NDArray[np.uint8]
    """Of the same word; 255 means that or more."""

    @classmethod
    def of(cls, items: Iterable[str], least: int = 1) -> Self:
        """Count words or phrases, and keep those that stand there at `least` so often."""
        counted = Counter(items)
        hashed: Counter[int] = Counter()
        for item, count in counted.items():
            if count >= least:
                hashed[_hash(item)] += count
        hashes = np.array(sorted(hashed), dtype=np.uint32)
        return cls(hashes, np.array([min(hashed[each], _MOST) for each in sorted(hashed)], dtype=np.uint8))

    def look_up(self, items: Sequence[str]) -> NDArray[np.int64]:
        """The count of each."""
        wanted = np.array([_hash(item) for item in items], dtype=np.uint32)
        if not len(self.hashes):
            return np.zeros(len(wanted), dtype=np.int64)
        places = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        return np.where(self.hashes[places] == wanted, self.counts[places].astype(np.int64), 0)


@dataclass(frozen=True, slots=True)
class KnownWords:
    """The words and phrases of both languages."""

    source: Counts
    target: Counts
    source_phrases: Counts
    target_phrases: Counts

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], least_phrase: int = _LEAST_PHRASE) -> Self:
        """Count those of source and target texts."""
        sides = [list(map(words_of, side)) for side in zip(*pairs, strict=True)] or [[], []]
        words = [Counts.of(word for text in side for word in text) for side in sides]
        phrases = [
            Counts.of((each for text in side for size in PHRASE_SIZES for each in phrases_of(text, size)), least_phrase)
            for side in sides
        ]
        return cls(*words, *phrases)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `words.npz` of `folder`.

        Raises:
            BrokenArtefact: when it cannot be read.
        """
        path = folder / WORDS_FILE
        try:
            with np.load(path, allow_pickle=False) as arrays:
                tables = [
                    Counts(arrays[f"{name}_hashes"].astype(np.uint32), arrays[f"{name}_counts"].astype(np.uint8))
                    for name in (field.name for field in fields(cls))
                ]
        except (OSError, ValueError, KeyError) as error:
            raise BrokenArtefact(f"{path}: cannot be read ({error}); run the recipe again") from error
        if any(each.hashes.shape != each.counts.shape or each.hashes.ndim != 1 for each in tables):
            raise BrokenArtefact(f"{path}: its arrays do not fit each other; run the recipe again")
        return cls(*tables)

    def save(self, folder: Path) -> None:
        """Write `words.npz` into `folder`."""
        tables = {field.name: getattr(self, field.name) for field in fields(self)}
        hashes = {f"{name}_hashes": each.hashes for name, each in tables.items()}
        np.savez(folder / WORDS_FILE, **hashes, **{f"{name}_counts": each.counts for name, each in tables.items()})


def _hash(item: str) -> int:
    return int.from_bytes(hashlib.blake2b(item.encode(), digest_size=4).digest(), "little")
