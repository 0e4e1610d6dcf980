"""Find which answers of a model are not to be doubted: its own training texts are worded as a doubted text is."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat_inference.card import DoubtsCard
from sprat_inference.doubts import DOUBTS_READER, Doubts
from sprat_inference.wording import denies, forbids, says_little

OWN_SHARE: Final = 0.05
"""A label is itself worded so where this share of its texts are."""
OWN_ORDERS: Final = 0.1
"""Of orders it is more. With 0.05, "please don't cancel it" is kept as `cancel` of CLINC150 ("never mind"): 8 of the
100 own texts of that are as "don't continue"."""
OWN_TEXTS: Final = 2
"""And at least so many: one may be an accident."""
MOST_SEVERAL: Final = 0.02
"""Share of the training texts that may have parts with different labels; in more, several sentences are one wish."""
AS_SURE: Final = 0.95
"""Taken for the confidence of each training text: the model's own is too high, since it has learned from them."""
MOST_READ: Final = 500
"""So many texts with parts are read to measure that."""

ReadParts = Callable[[Sequence[str]], Sequence[tuple[str | None, float]]]
"""Returns label and confidence of each part; None: it is outside every label."""


def fit_doubts(texts: Sequence[str], gold: NDArray[np.int64], labels: Sequence[str], read: ReadParts) -> DoubtsCard:
    """Return what the card says of doubts.

    Args:
        texts: of the training, each with one label.
        gold: index of each one's label.
        labels: in the order of the logits.
        read: reads parts by the model that is trained.
    """
    ordering = _own(gold, labels, map(forbids, texts), OWN_ORDERS)
    denying, short = (_own(gold, labels, map(worded, texts)) for worded in (denies, says_little))
    doubts = Doubts(frozenset(ordering), frozenset(denying), frozenset(short), several=True)
    several = _several_share(texts, doubts, read) <= MOST_SEVERAL
    return DoubtsCard(reader=DOUBTS_READER, ordering=ordering, denying=denying, short=short, several=several)


def _own(
    gold: NDArray[np.int64], labels: Sequence[str], worded: Iterable[bool], share: float = OWN_SHARE
) -> tuple[str, ...]:
    """Return the labels of whose texts enough are worded so."""
    counts = np.bincount(gold, minlength=len(labels))
    found = np.bincount(gold, weights=np.fromiter(worded, np.float64, len(gold)), minlength=len(labels))
    own = (found >= OWN_TEXTS) & (found >= share * counts)
    return tuple(labels[place] for place in np.flatnonzero(own).tolist())


def _several_share(texts: Sequence[str], doubts: Doubts, read: ReadParts) -> float:
    """Return of how many texts, as a share, the parts have different labels; estimated from :data:`MOST_READ`."""
    cut = [parts for parts in map(doubts.parts, texts) if parts]
    if not cut:
        return 0.0
    taken = [cut[place] for place in np.unique(np.linspace(0, len(cut) - 1, MOST_READ).astype(int)).tolist()]
    said = iter(read([part for parts in taken for part in parts]))
    doubted = sum(doubts.of_parts([next(said) for _ in parts], AS_SURE) is not None for parts in taken)
    return doubted / len(taken) * len(cut) / len(texts)
