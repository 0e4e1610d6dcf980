"""Loss on development pairs, from a checkpoint's weights."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from services.translation.recipe.network import PAD, Shape, Translator
from services.translation.recipe.pieces import Batch


def dev_loss(weights: dict[str, torch.Tensor], shape: Shape, made: Sequence[Batch]) -> float:
    """Nats per target piece, without smoothing or dropout."""
    network = Translator(shape, dropout=0.0)
    network.load_state_dict(weights)
    network.eval()
    total, words = 0.0, 0
    with torch.no_grad():
        for batch in made:
            states = network(torch.from_numpy(batch.source), torch.from_numpy(batch.read))
            logits = states.reshape(-1, shape.width) @ network.table.T
            says = torch.from_numpy(batch.say).reshape(-1)
            total += float(functional.cross_entropy(logits, says, ignore_index=PAD, reduction="sum"))
            words += batch.words
    return total / words
