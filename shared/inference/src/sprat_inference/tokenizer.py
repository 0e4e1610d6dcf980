"""Texts to token ids, with the guards that CTranslate2 lacks."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from tokenizers import Tokenizer

from sprat_inference.artefact import BrokenArtefact, read_json
from sprat_inference.unigram import UnigramTokenizer

Read = TypeVar("Read")
Encode = Callable[[list[str]], list[list[int]]]
"""Texts to their ids, special tokens included and nothing cut off."""

CODE_POINTS_PER_TOKEN = 16
"""A text is cut after this many code points per token that the model reads, so that tokenising a text of 20,000 takes
no longer than one of the model's own length. English has about 4.5 code points per token."""

SPECIAL_TOKENS = 2
"""One before and one after every text: [CLS] and [SEP], or <s> and </s>."""


@dataclass(frozen=True, slots=True)
class GuardedTokenizer:
    """A tokenizer that returns no empty sequence, no id beyond the vocabulary, and no more ids than the model reads."""

    encode: Encode
    max_tokens: int
    """The longest sequence of ids, the special tokens included."""
    highest_id: int
    """The highest id that it returns."""
    prefix_length: int = 0
    """Characters that the tokenizer adds before every text: 0, or 1 that represents a space."""

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int) -> Self:
        """Read `tokenizer.json` of `folder` and compare it with the model's `vocabulary.json`.

        Raises:
            BrokenArtefact: when either file cannot be read, or the tokenizer has ids that the model lacks.
        """
        encode, words, highest = _load(folder)
        pieces = words.pre_tokenizer.pre_tokenize_str("x") if words.pre_tokenizer else [("x", (0, 1))]
        return cls(encode, max_tokens, highest, sum(len(piece) for piece, _ in pieces) - 1)

    def with_prefix(self, length: int) -> Self:
        """Return this tokenizer for texts before which a caller puts so many characters."""
        return replace(self, prefix_length=self.prefix_length + length) if length else self

    def upper_bound(self, text: str) -> int:
        """Return an upper bound of the number of tokens of `text`, without tokenising it.

        English text has about a quarter of it. The bound holds because no tokenizer returns more tokens than the text
        has characters in its decomposed form (NFKD): three for a Hangul syllable, eighteen for one Arabic ligature.
        """
        most = SPECIAL_TOKENS + self.prefix_length + len(text)
        if most < self.max_tokens and not text.isascii():
            most += len(unicodedata.normalize("NFKD", text)) - len(text)
        return min(most, self.max_tokens)

    def ids(self, texts: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """Return the ids of each text, special tokens included, and for each text whether its end was cut off."""
        limit = self.max_tokens * CODE_POINTS_PER_TOKEN
        cut = [replace_surrogates(text[:limit]) for text in texts]
        whole = self.encode(cut)
        truncated = [len(text) > limit or len(ids) > self.max_tokens for text, ids in zip(texts, whole, strict=True)]
        return [self._shortened(ids) for ids in whole], truncated

    def _shortened(self, ids: list[int]) -> list[int]:
        """Return no more than the model reads; the last special token stays the last."""
        return ids if len(ids) <= self.max_tokens else [*ids[: self.max_tokens - 1], ids[-1]]


def _load(folder: Path) -> tuple[Encode, Tokenizer, int]:
    """Return what computes ids, what splits a text into words, and the highest id."""
    small = _read(folder, UnigramTokenizer.read)
    if small is not None:
        _check_ids(folder, small.highest_id)
        return lambda texts: list(map(small.ids, texts)), small.words, small.highest_id
    tokenizer, highest = load_tokenizer(folder)
    return lambda texts: [each.ids for each in tokenizer.encode_batch_fast(texts)], tokenizer, highest


def load_tokenizer(folder: Path) -> tuple[Tokenizer, int]:
    """Read `tokenizer.json` of `folder`; return the tokenizer, without padding and truncation, and its highest id.

    Raises:
        BrokenArtefact: when it cannot be read, or has ids that the model's `vocabulary.json` lacks.
    """
    tokenizer = load_tokenizer_file(folder)
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    _check_ids(folder, highest)
    return tokenizer, highest


def load_tokenizer_file(folder: Path) -> Tokenizer:
    """Read `tokenizer.json` of `folder`; return the tokenizer, without padding and truncation.

    Raises:
        BrokenArtefact: when it cannot be read.
    """
    tokenizer = _read(folder, Tokenizer.from_str)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # Without this, the characters "[SEP]" in a user's text would become the special token.
    tokenizer.encode_special_tokens = True
    return tokenizer


def replace_surrogates(text: str) -> str:
    """Return `text` with "?" in place of each lone surrogate, which the tokenizer could not take; the length is kept.

    The contract rejects such texts; callers that do not use the contract may pass them.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _read(folder: Path, reader: Callable[[str], Read]) -> Read:
    path = folder / "tokenizer.json"
    try:
        return reader(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing more special
        raise BrokenArtefact(f"{path}: cannot be read ({error}); write the artefact again") from error


def _check_ids(folder: Path, highest: int) -> None:
    rows = len(read_json(folder / "vocabulary.json"))
    if not 0 <= highest < rows:
        raise BrokenArtefact(
            f"{folder}: tokenizer.json has ids up to {highest}, the model has {rows} entries; they belong to "
            "different models: write the artefact again"
        )
