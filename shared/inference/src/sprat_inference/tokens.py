"""Texts to token ids, with the guards that the runtime lacks."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

from sprat_inference.artefact import BrokenArtefact

CODE_POINTS_PER_TOKEN = 16
"""A text is cut after this many code points per token that the model reads, so that 20,000 of them cost no more time
than the model's own window. English has about 4.5."""

MOST_TOKENS_PER_CODE_POINT = 3
"""A Hangul syllable falls into up to three letters, each a token of its own; nothing else takes more than one."""

SPECIAL_TOKENS = 2
"""One before and one after every text: [CLS] and [SEP], or <s> and </s>."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenizer that never gives an empty sequence, an id beyond the vocabulary, or more ids than the model takes."""

    tokenizer: Tokenizer
    max_tokens: int
    highest_id: int
    put_before: int = 0
    """Characters that the tokenizer puts before every text: none, or one that stands for a space."""

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int) -> Self:
        """Read `tokenizer.json` of `folder` and compare it with the model's `vocabulary.json`.

        Raises:
            BrokenArtefact: when either cannot be read, or the tokenizer has ids that the model lacks.
        """
        tokenizer, highest = guarded_tokenizer(folder)
        tokenizer.enable_truncation(max_tokens)
        cut = tokenizer.pre_tokenizer.pre_tokenize_str("x") if tokenizer.pre_tokenizer else [("x", (0, 1))]
        return cls(tokenizer, max_tokens, highest, sum(len(piece) for piece, _ in cut) - 1)

    def upper_bound(self, text: str) -> int:
        """At most so many tokens has `text`, found without tokenising. English text has about a quarter of it.

        No tokenizer makes more of a text than it has characters when all are decomposed: a Hangul syllable falls into
        three letters, an Arabic ligature into eighteen.
        """
        most = SPECIAL_TOKENS + self.put_before + len(text)
        if most < self.max_tokens and not text.isascii():
            most += len(unicodedata.normalize("NFKD", text)) - len(text)
        return min(most, self.max_tokens)

    def ids(self, texts: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
        """The ids of each text, and whether its end was cut off."""
        limit = self.max_tokens * CODE_POINTS_PER_TOKEN
        cut = [without_surrogates(text[:limit]) for text in texts]
        encodings = self.tokenizer.encode_batch_fast(cut)
        ids = [encoding.ids for encoding in encodings]
        truncated = [
            len(text) > limit or bool(encoding.overflowing) for text, encoding in zip(texts, encodings, strict=True)
        ]
        return ids, truncated


def guarded_tokenizer(folder: Path) -> tuple[Tokenizer, int]:
    """Read `tokenizer.json` of `folder`, neither padding nor truncating, and give it with its highest id.

    Raises:
        BrokenArtefact: when it cannot be read, or has ids that the model's `vocabulary.json` lacks.
    """
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        raise BrokenArtefact(
            f"{folder / 'tokenizer.json'}: cannot be read ({error}); write the artefact again"
        ) from error
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    rows = _vocabulary_size(folder / "vocabulary.json")
    if not 0 <= highest < rows:
        raise BrokenArtefact(
            f"{folder}: tokenizer.json has ids up to {highest}, the model has {rows} entries; they belong to "
            "different models: write the artefact again"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # Text such as "[SEP]" in a message is text: without this it would become the special token itself.
    tokenizer.encode_special_tokens = True
    return tokenizer, highest


def without_surrogates(text: str) -> str:
    """Give `text` with "?" for each lone surrogate, so that it is as long and can cross into the tokenizer.

    The contract rejects them; a caller without it may not.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _vocabulary_size(path: Path) -> int:
    try:
        return len(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BrokenArtefact(f"{path}: cannot be read ({error}); write the artefact again") from error
