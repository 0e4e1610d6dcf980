"""Sentences to the pieces that a Marian model reads and writes, by its two SentencePiece models."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import sentencepiece

from sprat_inference.artefact import BrokenArtefact
from sprat_translation.stand_ins import SYMBOLS

END = "</s>"

_VOCABULARIES = ("shared_vocabulary.json", "source_vocabulary.json")
_LEAST_KNOWN = 0.5
"""Share of the SentencePiece model's pieces that the network must know: below it they belong to different models."""


class Pieces:
    """Thread-safe."""

    def __init__(
        self,
        source: sentencepiece.SentencePieceProcessor,
        target: sentencepiece.SentencePieceProcessor,
        *,
        copies_symbols: bool,
        adds_end: bool,
    ) -> None:
        self.copies_symbols = copies_symbols
        """Has the model learnt to copy :data:`~sprat_translation.stand_ins.SYMBOLS`?"""
        self._source = source
        self._target = target
        self._adds_end = adds_end

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `source.spm` and `target.spm` of `folder` and compare them with the network's vocabulary.

        Raises:
            BrokenArtefact: when they cannot be read, or belong to another model.
        """
        source, target = (_processor(folder / name) for name in ("source.spm", "target.spm"))
        vocabulary, config = _vocabulary(folder), _json(folder / "config.json")
        size = source.get_piece_size()
        if sum(source.id_to_piece(place) in vocabulary for place in range(size)) < _LEAST_KNOWN * size:
            raise BrokenArtefact(f"{folder}: source.spm belongs to another model; write the artefact again")
        known = {source.id_to_piece(place) for place in range(size)} & vocabulary
        return cls(
            source,
            target,
            copies_symbols=known.issuperset(SYMBOLS),
            adds_end=not config.get("add_source_eos", False),
        )

    def encode(self, sentences: Sequence[str]) -> list[list[str]]:
        """What the network is to read of each sentence; nothing of one in which there is nothing to read."""
        encoded: list[list[str]] = self._source.encode(list(sentences), out_type=str)
        return [[*pieces, END] if self._adds_end and pieces else pieces for pieces in encoded]

    def decode(self, pieces: Sequence[str]) -> str:
        """The text that the network wrote."""
        text: str = self._target.decode_pieces([piece for piece in pieces if piece != END])
        return text


def _processor(path: Path) -> sentencepiece.SentencePieceProcessor:
    try:
        processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise BrokenArtefact(f"{path}: cannot be read ({error}); write the artefact again") from error
    return processor


def _vocabulary(folder: Path) -> set[str]:
    path = next((folder / name for name in _VOCABULARIES if (folder / name).is_file()), None)
    if path is None:
        raise BrokenArtefact(f"{folder}: has none of {', '.join(_VOCABULARIES)}; write the artefact again")
    return set(_json(path))


def _json(path: Path) -> Any:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BrokenArtefact(f"{path}: cannot be read ({error}); write the artefact again") from error
    return read
