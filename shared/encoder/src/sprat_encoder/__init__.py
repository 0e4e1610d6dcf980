"""The sentence encoders that several models share: one copy of the weights of each, with its card."""

from pathlib import Path
from typing import Final

from sprat_inference.artefact import BrokenArtefact, load_part
from sprat_inference.card import PartRef
from sprat_inference.encoder import SentenceEncoder

__all__ = ["ARTEFACT", "MINILM", "READER", "identify", "load"]

ARTEFACT: Final = Path(__file__).parent / "artefacts" / "e5-small"
"""The folder of multilingual-e5-small, the one that is meant where none is named."""
MINILM: Final = ARTEFACT.with_name("minilm-l6")
"""The folder of all-MiniLM-L6-v2, for English alone."""

READER: Final = "sprat-encoder-mean/1"
"""Revision of the way from text to vector. Raise it with every change that changes a vector."""


def identify(folder: Path = ARTEFACT) -> PartRef:
    """Compare `folder` with its card, and return its name and version for the card of a model.

    Raises:
        BrokenArtefact: when the content of the folder differs from its card.
    """
    card = load_part(folder, reader=READER)
    return PartRef(name=card.name, version=card.version)


def load(wanted: PartRef, *, max_tokens: int, threads: int = 1, folder: Path | None = None) -> SentenceEncoder:
    """Load the encoder that a model was made on.

    Args:
        wanted: name and version in the model's card.
        max_tokens: tokens read of a text; see :meth:`sprat_inference.encoder.SentenceEncoder.load`.
        threads: micro-batches computed in parallel, each on one core.
        folder: the folder of the encoder; None for that of the shipped one with this name.

    Raises:
        BrokenArtefact: when `folder` holds another encoder, or one that cannot be used.
    """
    if folder is None:
        folder = MINILM if wanted.name == MINILM.name else ARTEFACT
    if (found := identify(folder)) != wanted:
        raise BrokenArtefact(
            f"{folder}: holds {found.name} {found.version}, the model was made on {wanted.name} {wanted.version}; "
            "install the releases that fit, or run the model's recipe again"
        )
    return SentenceEncoder.load(folder, max_tokens=max_tokens, threads=threads)
