"""Batches of texts of similar length, in few shapes: each new shape increases the memory of the process."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recipes.ner.examples import IGNORED, TrainingExample

TOKENS = 1024
"""Tokens of a batch, padding included."""
STEP = 4
"""Lengths are padded to a multiple of it."""
PAD = 1


@dataclass(frozen=True, slots=True)
class LabelledBatch:
    """Tensors of texts × tokens."""

    ids: Tensor
    present: Tensor
    labels: Tensor
    with_misc: Tensor
    places: list[int]
    """Index of each text among the examples."""


def batches(examples: Sequence[TrainingExample], chance: random.Random | None) -> Iterator[LabelledBatch]:
    """Yield every example once, in random order, or the shortest first if `chance` is None."""
    ladder: dict[int, list[int]] = {}
    order = list(range(len(examples)))
    if chance is not None:
        chance.shuffle(order)
    for place in order:
        ladder.setdefault(-(-len(examples[place].ids) // STEP) * STEP, []).append(place)
    groups = [
        (length, places[first : first + TOKENS // length])
        for length, places in sorted(ladder.items())
        for first in range(0, len(places), TOKENS // length)
    ]
    if chance is not None:
        chance.shuffle(groups)
    for length, places in groups:
        yield _batch([examples[place] for place in places], length, places)


def _batch(examples: Sequence[TrainingExample], length: int, places: list[int]) -> LabelledBatch:
    shape = (len(examples), length)
    ids = torch.full(shape, PAD, dtype=torch.int64)
    labels = torch.full(shape, IGNORED, dtype=torch.int64)
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.from_numpy(example.ids)
        labels[row, : len(example.labels)] = torch.from_numpy(example.labels)
    lengths = torch.tensor([len(example.ids) for example in examples])
    present = torch.arange(length) < lengths[:, None]
    return LabelledBatch(ids, present, labels, torch.tensor([example.with_misc for example in examples]), places)
