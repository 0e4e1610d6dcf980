"""The vocabularies of a model: the subword pieces of its network, and the words and phrases of its training texts.

The second serves the quality estimate: words that the network never saw in training it can only guess.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact, read_json, reading
from sprat_inference.text_to_text import PairMarks, Pieces, load_processor
from sprat_translation.protected_tokens import SYMBOLS

END = "</s>"

_VOCABULARIES = ("shared_vocabulary.json", "source_vocabulary.json")
_LEAST_KNOWN = 0.5
"""Least share of the SentencePiece model's pieces in the vocabulary of the network: below it, they belong to different
models."""

WORDS_FILE = "words.npz"
PHRASE_SIZES: Final = (2, 3)
"""Words per phrase. Both ends of a sentence count as words, so that its beginning and end are compared, too."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_MOST_COUNTED = 255
_LEAST_PHRASE = 2
"""Two thirds of the phrases occur once; leaving them out hardly changes the estimate."""


class Vocabulary(Protocol):
    """Splits sentences into what the network reads, and joins what it writes to text. Thread-safe."""

    copies_symbols: bool
    """Whether the network has learnt to copy :data:`~sprat_translation.protected_tokens.SYMBOLS`."""
    start: tuple[str, ...]
    """The pieces that every translation is made to begin with."""

    def encode(self, sentences: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each sentence; none for a sentence without readable characters."""

    def decode(self, pieces: Sequence[str]) -> str:
        """Return the text of the network's pieces."""


class MarkedVocabulary:
    """The pieces of a model of others, with the tokens that name one pair of languages."""

    copies_symbols = False

    def __init__(self, pieces: Pieces, marks: PairMarks) -> None:
        self.start = marks.start
        self._pieces = pieces
        self._marks = marks

    def encode(self, sentences: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each sentence; see :class:`Vocabulary`."""
        return [self._marks.around(pieces) if pieces else [] for pieces in self._pieces.encode(sentences)]

    def decode(self, pieces: Sequence[str]) -> str:
        """Return the text of pieces; see :class:`Vocabulary`."""
        return self._pieces.decode(pieces)


class SubwordVocabulary:
    """Splits sentences into pieces and joins pieces to text, by the two SentencePiece models. Thread-safe."""

    start: tuple[str, ...] = ()

    def __init__(
        self,
        source: sentencepiece.SentencePieceProcessor,
        target: sentencepiece.SentencePieceProcessor,
        *,
        copies_symbols: bool,
        adds_end: bool,
    ) -> None:
        self.copies_symbols = copies_symbols
        """Whether the network has learnt to copy :data:`~sprat_translation.protected_tokens.SYMBOLS`."""
        self._source = source
        self._target = target
        self._adds_end = adds_end

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `source.spm` and `target.spm` of `folder` and compare them with the network's vocabulary.

        Raises:
            BrokenArtefact: when a file cannot be read, or belongs to another model.
        """
        source, target = (load_processor(folder / name) for name in ("source.spm", "target.spm"))
        vocabulary, config = _vocabulary(folder), read_json(folder / "config.json")
        size = source.get_piece_size()
        if sum(source.id_to_piece(index) in vocabulary for index in range(size)) < _LEAST_KNOWN * size:
            raise BrokenArtefact(f"{folder}: source.spm belongs to another model; write the artefact again")
        known = {source.id_to_piece(index) for index in range(size)} & vocabulary
        return cls(
            source,
            target,
            copies_symbols=known.issuperset(SYMBOLS),
            adds_end=not config.get("add_source_eos", False),
        )

    def encode(self, sentences: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each sentence; none for a sentence without readable characters."""
        encoded: list[list[str]] = self._source.encode(list(sentences), out_type=str)
        return [[*pieces, END] if self._adds_end and pieces else pieces for pieces in encoded]

    def decode(self, pieces: Sequence[str]) -> str:
        """Return the text of the network's pieces."""
        text: str = self._target.decode_pieces([piece for piece in pieces if piece != END])
        return text


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without numbers, symbols and punctuation."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def phrases_of(words: Sequence[str], size: int) -> list[str]:
    """Return all n-grams of `size` words; each end of the sentence counts as one word."""
    framed = ("<", *words, ">")
    return [" ".join(framed[start : start + size]) for start in range(len(framed) - size + 1)]


@dataclass(frozen=True, slots=True)
class HashedCounts:
    """Counts of the words, or phrases, in the training texts of one language.

    Stored as 32-bit hashes: 5 bytes per entry, no text. By collision, about one unknown word in 100,000 counts as
    known, and one unknown phrase in 15,000.
    """

    hashes: NDArray[np.uint32]
    """uint32, ascending."""
    counts: NDArray[np.uint8]
    """uint8, parallel to `hashes`; 255 means 255 or more."""

    @classmethod
    def of(cls, items: Iterable[str], least: int = 1) -> Self:
        """Count words or phrases, and keep those that occur at least `least` times."""
        counted = Counter(items)
        hashed: Counter[int] = Counter()
        for item, count in counted.items():
            if count >= least:
                hashed[_hash(item)] += count
        hashes = np.array(sorted(hashed), dtype=np.uint32)
        return cls(hashes, np.array([min(hashed[each], _MOST_COUNTED) for each in sorted(hashed)], dtype=np.uint8))

    def look_up(self, items: Sequence[str]) -> NDArray[np.int64]:
        """Return the count of each, int64; 0 for an unknown one."""
        hashes = np.array([_hash(item) for item in items], dtype=np.uint32)
        if not len(self.hashes):
            return np.zeros(len(hashes), dtype=np.int64)
        indices = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[indices] == hashes, self.counts[indices].astype(np.int64), 0)


@dataclass(frozen=True, slots=True)
class KnownWords:
    """The words and phrases in the training texts of both languages."""

    source: HashedCounts
    target: HashedCounts
    source_phrases: HashedCounts
    target_phrases: HashedCounts

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], least_phrase: int = _LEAST_PHRASE) -> Self:
        """Count the words and phrases of pairs of source and target texts."""
        sides = [list(map(words_of, side)) for side in zip(*pairs, strict=True)] or [[], []]
        words = [HashedCounts.of(word for text in side for word in text) for side in sides]
        phrases = [
            HashedCounts.of(
                (each for text in side for size in PHRASE_SIZES for each in phrases_of(text, size)), least_phrase
            )
            for side in sides
        ]
        return cls(*words, *phrases)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `words.npz` of `folder`.

        Raises:
            BrokenArtefact: when the file cannot be read.
        """
        path = folder / WORDS_FILE
        with reading(path, "run the recipe again"), np.load(path, allow_pickle=False) as arrays:
            tables = [
                HashedCounts(arrays[f"{name}_hashes"].astype(np.uint32), arrays[f"{name}_counts"].astype(np.uint8))
                for name in (field.name for field in fields(cls))
            ]
        if any(each.hashes.shape != each.counts.shape or each.hashes.ndim != 1 for each in tables):
            raise BrokenArtefact(f"{path}: its arrays do not fit each other; run the recipe again")
        return cls(*tables)

    def save(self, folder: Path) -> None:
        """Write `words.npz` into `folder`."""
        tables = {field.name: getattr(self, field.name) for field in fields(self)}
        hashes = {f"{name}_hashes": each.hashes for name, each in tables.items()}
        np.savez(folder / WORDS_FILE, **hashes, **{f"{name}_counts": each.counts for name, each in tables.items()})


def _vocabulary(folder: Path) -> set[str]:
    path = next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)
    if path is None:
        raise BrokenArtefact(f"{folder}: has none of {', '.join(_VOCABULARIES)}; write the artefact again")
    return set(read_json(path))


def _hash(item: str) -> int:
    return int.from_bytes(hashlib.blake2b(item.encode(), digest_size=4).digest(), "little")
