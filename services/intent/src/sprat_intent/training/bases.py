"""The encoder that a head is fitted on: the shared one, or the one in some artefact's folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sprat_encoder
from sprat.errors import UserError
from sprat.models import BrokenArtefact, Card, Part, PartCard, Work, load_artefact, load_part
from sprat.models.encoder import Encoder

FILES: Final = ("model.bin", "config.json", "vocabulary.json", "tokenizer.json")
"""What an encoder is made of, in a folder of its own or among the files of a model."""


@dataclass(frozen=True, slots=True)
class Base:
    """An encoder, and what the card of a model on it says of it."""

    encoder: Encoder
    card: PartCard
    built_on: Part | None
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
    wanted = Part(name=card.name, version=card.version)
    encoder = sprat_encoder.load(wanted, max_tokens=card.max_tokens, threads=threads)
    return Base(encoder, card, wanted, ())


def _of_model(folder: Path, threads: int) -> Base:
    card = load_artefact(folder).card
    if card.built_on is not None:
        encoder = sprat_encoder.load(card.built_on, max_tokens=card.max_tokens, threads=threads)
        return Base(encoder, load_part(sprat_encoder.ARTEFACT, reader=sprat_encoder.READER), card.built_on, ())
    files = tuple(folder / name for name in FILES)
    encoder = Encoder.load(folder, max_tokens=card.max_tokens, threads=threads)
    return Base(encoder, card, None, files)
