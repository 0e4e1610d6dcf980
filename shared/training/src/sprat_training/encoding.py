"""The encoder that a head is fitted on: the shared one, or the one in some artefact's folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import sprat_encoder
from sprat.errors import UserError
from sprat_inference.artefact import BrokenArtefact, load_artefact, load_part
from sprat_inference.card import Card, PartCard, PartRef, Work
from sprat_inference.encoder import SentenceEncoder
from sprat_inference.heads import Floats
from sprat_training.config import OnTrainingProgress

FILES: Final = ("model.bin", "config.json", "vocabulary.json", "tokenizer.json")
"""What an encoder is made of, in a folder of its own or among the files of a model."""


@dataclass(frozen=True, slots=True)
class Base:
    """An encoder, and what the card of a model on it says of it."""

    encoder: SentenceEncoder
    card: PartCard
    built_on: PartRef | None
    """The shared encoder; else the files are copied into the model's own folder."""
    files: tuple[Path, ...]
    """To be copied."""

    @property
    def made_of(self) -> tuple[Work, ...]:
        """Give the works that the encoder is made of; of a whole model not those that only its head was fitted on."""
        works = self.card.made_of
        of_encoder = tuple(work for work in works if "encoder" in work.used_for)
        return of_encoder if isinstance(self.card, Card) and of_encoder else works

    @property
    def licences(self) -> tuple[str, ...]:
        """Give those of what the encoder contains; a shared part says it as a whole."""
        if isinstance(self.card, Card):
            return tuple(dict.fromkeys(work.licence for work in self.made_of))
        return (self.card.licence,)


def load_base(folder: Path | None, *, threads: int) -> Base:
    """Load the shared encoder, or the one of the artefact in `folder`.

    Raises:
        UserError: there is none that can be used.
    """
    try:
        if folder is None or folder.resolve() == sprat_encoder.ARTEFACT.resolve():
            return _shared(threads)
        return _of_model(folder, threads)
    except BrokenArtefact as error:
        raise UserError(f"--encoder: {error}") from None


def _shared(threads: int) -> Base:
    card = load_part(sprat_encoder.ARTEFACT, reader=sprat_encoder.READER)
    wanted = PartRef(name=card.name, version=card.version)
    encoder = sprat_encoder.load(wanted, max_tokens=card.max_tokens, threads=threads)
    return Base(encoder, card, wanted, ())


def _of_model(folder: Path, threads: int) -> Base:
    card = load_artefact(folder).card
    if card.built_on is not None:
        encoder = sprat_encoder.load(card.built_on, max_tokens=card.max_tokens, threads=threads)
        return Base(encoder, load_part(sprat_encoder.ARTEFACT, reader=sprat_encoder.READER), card.built_on, ())
    files = tuple(folder / name for name in FILES)
    encoder = SentenceEncoder.load(folder, max_tokens=card.max_tokens, threads=threads)
    return Base(encoder, card, None, files)


# Texts to vectors, some at a time, so that a person sees how far it is.

_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of some texts."""

    rows: Floats
    truncated: int
    """So many texts are longer than the encoder reads."""


def vectors_of(
    encoder: SentenceEncoder, texts: Sequence[str], progress: OnTrainingProgress, step: str = "reading texts"
) -> Vectors:
    """Give the vectors in the order of the texts.

    They are read shortest first: the encoder computes texts of one length together, and so finds more of them at once.
    """
    progress(step, 0, len(texts))
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    parts, truncated = [], 0
    for start in range(0, len(order), _AT_ONCE):
        encoded = encoder.encode([texts[place] for place in order[start : start + _AT_ONCE]])
        parts.append(encoded.vectors)
        truncated += int(encoded.truncated.sum())
        progress(step, start + len(encoded.vectors), len(texts))
    return Vectors(np.concatenate(parts)[np.argsort(order)] if parts else np.zeros((0, 0), np.float32), truncated)
