"""Both shared encoders side by side, for English: a text has a vector of each, and a head weighs the two."""

import hashlib
from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from sprat_encoder import ARTEFACT, MINILM, READER, load
from sprat_inference.artefact import BrokenArtefact, load_part
from sprat_inference.card import PartCard, PartRef
from sprat_inference.encoder import SentenceEncoder, SentenceVectors

PAIR: Final = f"{ARTEFACT.name}+{MINILM.name}"
"""The name of the two in the card of a model that was made on them."""


class EncoderPair:
    """Two encoders that read the same texts. Thread-safe; holds no state between calls."""

    def __init__(self, first: SentenceEncoder, second: SentenceEncoder) -> None:
        self.tokenizer = first.tokenizer
        """For the bound of the tokens, which goes by the length of the text alone."""
        self._encoders = (first, second)

    @classmethod
    def load(cls, wanted: PartRef, *, max_tokens: int, threads: int = 1) -> Self:
        """Load the two encoders that a model was made on.

        Args:
            wanted: name and version in the model's card.
            max_tokens: tokens that each of them reads of a text.
            threads: micro-batches computed in parallel, each on one core.

        Raises:
            BrokenArtefact: when other versions are installed, or one that cannot be used.
        """
        parts = _parts()
        if (found := _card(parts)).version != wanted.version:
            there = " and ".join(f"{part.name} {part.version}" for part in parts)
            raise BrokenArtefact(
                f"{ARTEFACT.parent}: holds {there}, together {found.version}, the model was made on {wanted.name} "
                f"{wanted.version}; install the releases that fit, or train the model again"
            )
        refs = [PartRef(name=part.name, version=part.version) for part in parts]
        return cls(*(load(ref, max_tokens=max_tokens, threads=threads) for ref in refs))

    def encode(self, texts: Sequence[str]) -> SentenceVectors:
        """Return the vectors of `texts`, in order: texts × 2 × width, each of length 1.

        A text counts as empty where neither finds anything to read, and as truncated where one does not read its end.

        Raises:
            ModelError: when one of them fails.
        """
        first, second = (encoder.encode(texts) for encoder in self._encoders)
        return SentenceVectors(
            np.stack([first.vectors, second.vectors], axis=1),
            first.truncated | second.truncated,
            first.empty & second.empty,
        )


def load_shared(wanted: PartRef, *, max_tokens: int, threads: int = 1) -> SentenceEncoder | EncoderPair:
    """Load the shared encoder, or both, that a model was made on; see :func:`sprat_encoder.load`.

    Raises:
        BrokenArtefact: when another version is installed, or one that cannot be used.
    """
    load_it = EncoderPair.load if wanted.name == PAIR else load
    return load_it(wanted, max_tokens=max_tokens, threads=threads)


def describe(name: str) -> PartCard:
    """Return the card of the shared part with this name; that of the pair is made of the cards of both.

    Raises:
        BrokenArtefact: when the content of a folder differs from its card.
    """
    if name == PAIR:
        return _card(_parts())
    return load_part(MINILM if name == MINILM.name else ARTEFACT, reader=READER)


def _parts() -> list[PartCard]:
    return [load_part(folder, reader=READER) for folder in (ARTEFACT, MINILM)]


def _card(parts: Sequence[PartCard]) -> PartCard:
    first, second = parts
    versions = "\n".join(part.version for part in parts)
    return PartCard(
        name=PAIR,
        version=hashlib.sha256(versions.encode()).hexdigest()[:16],
        reader=READER,
        languages=tuple(language for language in first.languages if language in second.languages),
        max_tokens=min(part.max_tokens for part in parts),
        licence=" AND ".join(dict.fromkeys(part.licence for part in parts)),
        made_of=(*first.made_of, *second.made_of),
        scores=(),
        files={},
    )
