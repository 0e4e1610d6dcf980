"""Made-up vectors and labelled texts, for the parts of a training: no encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sprat_training.datasets.distinct import MIN_TEXTS
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.fitting.heads import Floats, Integers

NO_VECTORS = np.zeros((0, 16), np.float32)


def clusters(
    labels: int = 6, each: int = 30, *, spread: float = 0.35, seed: int = 0, centres: int = 0
) -> tuple[Floats, Integers]:
    """Return vectors of length 1 around one centre per label, and the labels; `seed` and `centres` seed the draws."""
    middle = np.random.default_rng(centres).normal(size=(labels, 16))
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    gold = np.repeat(np.arange(labels), each)
    vectors = middle[gold] + np.random.default_rng(seed).normal(scale=spread / 4, size=(len(gold), 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), gold.astype(np.int64)


def labelled(rows: Sequence[tuple[str, str]], name: str = "hr.csv", first_row: int = 2) -> LabelledTexts:
    """Return rows of text and label as if read from a file."""
    texts, labels = zip(*rows, strict=True)
    numbers = tuple(range(first_row, len(rows) + first_row))
    return LabelledTexts(Path(name), texts, labels, numbers, ("text", "label"), (Path(name),) * len(rows))


def enough(label: str, count: int = MIN_TEXTS) -> list[tuple[str, str]]:
    """Return rows with one label, by default as many as it needs."""
    return [(f"{label} text {number}", label) for number in range(count)]
