"""The words that stood in the training texts: what the model has never read, it can only guess."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sprat.models import BrokenArtefact

WORDS_FILE = "words.npz"
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MOST = 255


def words_of(text: str) -> list[str]:
    """The words of a text, folded to lower case; numbers, symbols and punctuation are none."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


@dataclass(frozen=True, slots=True)
class WordCounts:
    """How often each word stood in the training texts of one language.

    Kept as 32-bit hashes: 4 bytes a word, no text, and one unknown word in about 100,000 is taken for a known one.
    """

    hashes: NDArray[np.uint32]
    """Sorted."""
    counts: NDArray[np.uint8]
    """Of the same word; 255 means that or more."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Count the words of texts."""
        counted = Counter(word for text in texts for word in words_of(text))
        hashed: Counter[int] = Counter()
        for word, count in counted.items():
            hashed[_hash(word)] += count
        hashes = np.array(sorted(hashed), dtype=np.uint32)
        return cls(hashes, np.array([min(hashed[each], _MOST) for each in sorted(hashed)], dtype=np.uint8))

    def look_up(self, words: Sequence[str]) -> NDArray[np.int64]:
        """The count of each word."""
        wanted = np.array([_hash(word) for word in words], dtype=np.uint32)
        if not len(self.hashes):
            return np.zeros(len(wanted), dtype=np.int64)
        places = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        return np.where(self.hashes[places] == wanted, self.counts[places].astype(np.int64), 0)


@dataclass(frozen=True, slots=True)
class KnownWords:
    """The words of both languages."""

    source: WordCounts
    target: WordCounts

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `words.npz` of `folder`.

        Raises:
            BrokenArtefact: when it cannot be read.
        """
        path = folder / WORDS_FILE
        try:
            with np.load(path, allow_pickle=False) as arrays:
                sides = [
                    WordCounts(arrays[f"{side}_hashes"].astype(np.uint32), arrays[f"{side}_counts"].astype(np.uint8))
                    for side in ("source", "target")
                ]
        except (OSError, ValueError, KeyError) as error:
            raise BrokenArtefact(f"{path}: cannot be read ({error}); run the recipe again") from error
        if any(each.hashes.shape != each.counts.shape or each.hashes.ndim != 1 for each in sides):
            raise BrokenArtefact(f"{path}: its arrays do not fit each other; run the recipe again")
        return cls(*sides)

    def save(self, folder: Path) -> None:
        """Write `words.npz` into `folder`."""
        np.savez(
            folder / WORDS_FILE,
            source_hashes=self.source.hashes,
            source_counts=self.source.counts,
            target_hashes=self.target.hashes,
            target_counts=self.target.counts,
        )


def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")
