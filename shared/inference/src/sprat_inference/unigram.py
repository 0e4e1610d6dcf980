"""Token ids of a Unigram vocabulary in a fifth of the memory that the `tokenizers` library takes for it.

The library keeps the pieces in a tree with a hash table at each node: 55 MB for the 70,000 pieces of the shared
encoder, more than the encoder's weights. Here they are the keys of one dictionary. The normaliser and the splitting
into words stay the library's. The best pieces of a word are found as the library finds them, in the same order and with
the same arithmetic, so that all ids are equal.
"""

import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Self

from tokenizers import Tokenizer

_CACHED_WORDS = 10_000
"""As many as the library remembers."""
_UNKNOWN_PENALTY = 10.0
"""An unknown character scores so much less than the lowest piece."""


class UnigramTokenizer:
    """Splits texts into the most probable pieces of a vocabulary. Thread-safe."""

    def __init__(
        self, words: Tokenizer, pieces: Sequence[tuple[str, float]], unknown: int, ends: tuple[int, int]
    ) -> None:
        """Take the parts of a `tokenizer.json`.

        Args:
            words: the normaliser and what splits a text into words; its own vocabulary is not used.
            pieces: each piece with the natural logarithm of its probability; its index is its id.
            unknown: id of what no piece covers.
            ends: the ids before and after every text.
        """
        self.words = words
        self._ids = {piece: number for number, (piece, _) in enumerate(pieces)}
        self._scores = array("d", (score for _, score in pieces))
        self._longest = max(map(len, self._ids))
        self._unknown = unknown
        self._unknown_score = min(self._scores) - _UNKNOWN_PENALTY
        self._ends = ends
        self._of_word = lru_cache(_CACHED_WORDS)(self._best)

    @classmethod
    def read(cls, content: str) -> Self | None:
        """Read the text of a `tokenizer.json`; return None if it holds anything else than this class computes.

        Raises:
            Exception: the library cannot read it. It raises no narrower class.
        """
        whole = json.loads(content)
        model = whole["model"]
        ends = _ends(whole)
        if model["type"] != "Unigram" or model.get("byte_fallback") or model["unk_id"] is None or ends is None:
            return None
        if whole["pre_tokenizer"] is None:
            return None  # a whole text would be one word, and remembered as such
        vocabulary = [["<unk>", 0.0]]
        words = whole | {
            "added_tokens": [],
            "post_processor": None,
            "model": model | {"vocab": vocabulary, "unk_id": 0},
        }
        return cls(Tokenizer.from_str(json.dumps(words)), model["vocab"], model["unk_id"], ends)

    @property
    def highest_id(self) -> int:
        """The highest id that it returns."""
        return len(self._scores) - 1

    def ids(self, text: str) -> list[int]:
        """Return the ids of a text, with the two special ones around them."""
        found = [self._ends[0]]
        normalised = text if self.words.normalizer is None else self.words.normalizer.normalize_str(text)
        for word, _ in self.words.pre_tokenizer.pre_tokenize_str(normalised):
            found += self._of_word(word)
        found.append(self._ends[1])
        return found

    def _best(self, word: str) -> tuple[int, ...]:
        """Return the ids of the pieces with the highest sum of scores; neighbours that are unknown are one."""
        ids, scores = self._ids, self._scores
        best = [0.0] + [-math.inf] * len(word)
        starts = [-1] * len(best)
        chosen = [self._unknown] * len(best)

        def offer(start: int, end: int, number: int, score: float) -> None:
            if starts[end] < 0 or score > best[end]:
                best[end], starts[end], chosen[end] = score, start, number

        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + self._longest) + 1):
                if (number := ids.get(word[start:end])) is not None:
                    offer(start, end, number, best[start] + scores[number])
            if word[start] not in ids:
                offer(start, start + 1, self._unknown, best[start] + self._unknown_score)
        return tuple(reversed(list(self._backwards(starts, chosen))))

    def _backwards(self, starts: Sequence[int], chosen: Sequence[int]) -> Iterator[int]:
        end, after = len(starts) - 1, -1
        while end:
            if not chosen[end] == after == self._unknown:
                yield chosen[end]
            end, after = starts[end], chosen[end]


def _ends(whole: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the ids of the special tokens before and after every text; None where that is not all around it."""
    special = {each["content"]: each["id"] for each in whole["added_tokens"] if each["special"]}
    template = (whole["post_processor"] or {}).get("single", ())
    names = [each["SpecialToken"]["id"] for each in template if "SpecialToken" in each]
    fits = len(template) == 3 and "Sequence" in template[1] and len(names) == 2
    if not fits or len(special) != len(whole["added_tokens"]):
        return None
    return special[names[0]], special[names[1]]
