"""The multilingual encoder that services share: one copy of its weights, and its name and version for their cards."""

from pathlib import Path
from typing import Final

from sprat_inference.artefact import BrokenArtefact, load_part
from sprat_inference.card import Part
from sprat_inference.encoder import Encoder

__all__ = ["ARTEFACT", "READER", "load", "part"]

ARTEFACT: Final = Path(__file__).parent / "artefacts" / "e5-small"
"""Folder of multilingual-e5-small."""

READER: Final = "sprat-encoder-mean/1"
"""Revision of the way from text to vector. Raise it with every change that changes a vector."""


def part(folder: Path = ARTEFACT) -> Part:
    """Compare `folder` with its card and give what a model's card says of it.

    Raises:
        BrokenArtefact: when the folder is not what its card says.
    """
    card = load_part(folder, reader=READER)
    return Part(name=card.name, version=card.version)


def load(wanted: Part, *, max_tokens: int, threads: int = 1, folder: Path = ARTEFACT) -> Encoder:
    """Load the encoder that a model was made on.

    Args:
        wanted: what the model's card says.
        max_tokens: tokens read of a text; see :meth:`sprat.models.encoder.Encoder.load`.
        threads: micro-batches computed side by side, each on one core.
        folder: where the encoder lies.

    Raises:
        BrokenArtefact: when it is another encoder, or cannot be used.
    """
    if (found := part(folder)) != wanted:
        raise BrokenArtefact(
            f"{folder}: holds {found.name} {found.version}, the model was made on {wanted.name} {wanted.version}; "
            "install the releases that fit, or run the model's recipe again"
        )
    return Encoder.load(folder, max_tokens=max_tokens, threads=threads)
