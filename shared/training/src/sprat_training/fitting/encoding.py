"""The encoder that a head is fitted on, and texts to vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

import sprat_encoder
from sprat.base.errors import UserError
from sprat_encoder.pair import PAIR, describe, load_shared
from sprat_inference.artefact import CARD, BrokenArtefact, load_artefact
from sprat_inference.card import Card, PartCard, PartRef, Work
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.hard_texts import check_hard_texts
from sprat_inference.converters.hub import HOW_TO_INSTALL, find_source
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.converters.sentence_encoder import convert_encoder
from sprat_inference.encoder import POOLING_FILE, SentenceEncoder, SentenceVectors
from sprat_inference.heads import LABEL_READER, POOLED_READER, Floats
from sprat_training.datasets.config import OnTrainingProgress, TrainingConfig

FILES: Final = ("model.bin", "config.json", "vocabulary.json", "tokenizer.json")
"""The files of an encoder, in a folder of its own or among the files of a model."""
BOTH: Final = Path("both")
"""The name of the shared encoders side by side, in the place of a folder."""
_SHARED: Final = {folder.resolve(): folder.name for folder in (sprat_encoder.ARTEFACT, sprat_encoder.MINILM)}
_TEXTS_PER_STEP: Final = 1_000
"""Texts between two reports of progress."""


class TextEncoder(Protocol):
    """Turns texts into vectors."""

    def encode(self, texts: Sequence[str], /) -> SentenceVectors:
        """Return the vectors of texts, in order; each depends on its own text alone."""


@dataclass(frozen=True, slots=True)
class BaseEncoder:
    """An encoder, and what the card of a model on it says of it."""

    encoder: TextEncoder
    card: PartCard
    built_on: PartRef | None
    """The shared encoder; None where its files are copied into the model's own folder."""
    files: tuple[Path, ...]
    """The files to copy."""

    @property
    def reader(self) -> str:
        """Return the reader of a model on this encoder."""
        return POOLED_READER if any(path.name == POOLING_FILE for path in self.files) else LABEL_READER

    @property
    def made_of(self) -> tuple[Work, ...]:
        """Return the works that the encoder is made of; of a whole model, without those that only fitted its head."""
        works = self.card.made_of
        of_encoder = tuple(work for work in works if "encoder" in work.used_for)
        return of_encoder if isinstance(self.card, Card) and of_encoder else works

    @property
    def licences(self) -> tuple[str, ...]:
        """Return the licences of what the encoder contains."""
        if isinstance(self.card, Card):
            return tuple(dict.fromkeys(work.licence for work in self.made_of))
        return (self.card.licence,)  # a shared part states one for the whole


class RememberingEncoder:
    """Reads each text once, for trainings on much the same texts."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, tuple[Floats, bool, bool]] = {}

    def encode(self, texts: Sequence[str]) -> SentenceVectors:
        """Return the vectors of texts, in order: the same as those of the encoder."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            read = self._encoder.encode(new)
            self._known.update(zip(new, zip(read.vectors, read.truncated, read.empty, strict=True), strict=True))
        if not texts:
            return self._encoder.encode(texts)
        vectors, truncated, empty = zip(*(self._known[text] for text in texts), strict=True)
        return SentenceVectors(np.stack(vectors), np.array(truncated, bool), np.array(empty, bool))


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """The vectors of some texts."""

    vectors: Floats
    """Texts × width; of two encoders, texts × 2 × width."""
    truncated: int
    """Number of texts that are longer than the encoder reads."""


def encoder_place(given: str) -> Path:
    """Return the encoder that is named; a folder called as the word `both` is told by its path, as `./both`."""
    place = Path(given)
    return place.absolute() if given != str(BOTH) and place == BOTH else place


def load_base(
    folder: Path | None,
    *,
    threads: int,
    prefix: str | None = None,
    licence: str | None = None,
    scratch: Path | None = None,
) -> BaseEncoder:
    """Load the encoder of the artefact in `folder`; the multilingual one that is shared where that is None.

    Args:
        folder: an artefact, or a sentence encoder of others: a folder, or an id of a hub. :data:`BOTH` for the shared
            ones side by side.
        threads: that read texts.
        prefix: what an encoder of others reads before every text; None for what it states.
        licence: of an encoder of others; None for what its README states.
        scratch: an empty folder, into which an encoder of others is converted; it must outlive the result.

    Raises:
        UserError: there is no encoder that can be used.
    """
    try:
        place = folder or sprat_encoder.ARTEFACT
        shared = PAIR if place == BOTH else _SHARED.get(place.resolve())
        if shared is None and scratch is not None and not (place / CARD).is_file():
            return _encoder_of_others(str(place), threads, prefix, licence, scratch)
        for option, given in (("--encoder-prefix", prefix), ("--encoder-licence", licence)):
            if given is not None:
                raise UserError(f"{option}: is for an encoder of others; an artefact has its own")
        return _encoder_of_model(place, threads) if shared is None else _shared_encoder(shared, threads)
    except BrokenArtefact as error:
        raise UserError(f"--encoder: {error}") from None


def encoder_of(folder: Path, card: Card) -> Path | None:
    """Return what a training on the encoder of the artefact in `folder` names as its encoder; see :func:`load_base`.

    The multilingual one and the pair are taken as the installed release has them.
    """
    if card.built_on is None:
        return folder
    return {sprat_encoder.ARTEFACT.name: None, PAIR: BOTH}.get(card.built_on.name, folder)


def load_base_of(config: TrainingConfig, scratch: Path) -> BaseEncoder:
    """Load the encoder of a training; see :func:`load_base`."""
    return load_base(
        config.encoder,
        threads=config.threads,
        prefix=config.encoder_prefix,
        licence=config.encoder_licence,
        scratch=scratch,
    )


def encode_texts(
    encoder: TextEncoder, texts: Sequence[str], progress: OnTrainingProgress, step: str = "reading texts"
) -> EncodedTexts:
    """Return the vectors in the order of the texts.

    Texts are encoded shortest first: the encoder batches texts of one length, and so gets larger batches.
    """
    progress(step, 0, len(texts))
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    parts, truncated = [], 0
    for start in range(0, len(order), _TEXTS_PER_STEP):
        encoded = encoder.encode([texts[index] for index in order[start : start + _TEXTS_PER_STEP]])
        parts.append(encoded.vectors)
        truncated += int(encoded.truncated.sum())
        progress(step, start + len(encoded.vectors), len(texts))
    return EncodedTexts(np.concatenate(parts)[np.argsort(order)] if parts else np.zeros((0, 0), np.float32), truncated)


def _shared_encoder(name: str, threads: int) -> BaseEncoder:
    card = describe(name)
    part = PartRef(name=card.name, version=card.version)
    return BaseEncoder(load_shared(part, max_tokens=card.max_tokens, threads=threads), card, part, ())


def _encoder_of_model(folder: Path, threads: int) -> BaseEncoder:
    card = load_artefact(folder).card
    if card.built_on is not None:
        encoder = load_shared(card.built_on, max_tokens=card.max_tokens, threads=threads)
        part = describe(card.built_on.name).model_copy(update={"max_tokens": card.max_tokens})
        return BaseEncoder(encoder, part, card.built_on, ())
    files = tuple(folder / name for name in (*FILES, POOLING_FILE) if (folder / name).is_file())
    return BaseEncoder(SentenceEncoder.load(folder, max_tokens=card.max_tokens, threads=threads), card, None, files)


def _encoder_of_others(model: str, threads: int, prefix: str | None, licence: str | None, folder: Path) -> BaseEncoder:
    """Convert a sentence encoder of a hub, or of a folder, into `folder`."""
    try:
        source = find_source(model)
        saved = SavedModel.open(source.folder)
        weights = saved.weights()
    except ModuleNotFoundError as error:
        raise UserError(f"--encoder {model}: needs the Python package {error.name}: {HOW_TO_INSTALL}") from None
    if (stated := licence or source.licence) is None:
        raise UserError(
            f"--encoder {model}: its README states no licence; find it out, and name it with --encoder-licence"
        )
    provenance = Provenance(
        name=source.name,
        source=source.where,
        authors=f"the authors of {source.where}; see its README",
        licence=stated,
        languages=source.languages,
    )
    card = convert_encoder(saved, weights, provenance, folder, prefix=prefix)
    encoder = SentenceEncoder.load(folder, max_tokens=card.max_tokens, threads=threads)
    check_hard_texts(saved.folder, encoder.tokenizer.ids)
    files = tuple(folder / name for name in (*FILES, POOLING_FILE))
    return BaseEncoder(encoder, card, None, files)
