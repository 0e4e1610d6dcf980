"""Texts to vectors, some at a time, so that a person sees how far it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sprat.models.encoder import Encoder
from sprat_intent.head import Floats
from sprat_intent.training.progress import Progress

_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors of some texts."""

    rows: Floats
    truncated: int
    """So many texts are longer than the encoder reads."""


def vectors_of(encoder: Encoder, texts: Sequence[str], progress: Progress, step: str = "reading texts") -> Vectors:
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
