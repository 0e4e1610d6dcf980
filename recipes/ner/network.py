"""The encoder with its head in torch, under the names of `BertModel`, so that the weights convert without renaming."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sprat_ner.decoding import HEAD_LABELS

HEADS = 12
EPSILON = 1e-12
DROPOUT = 0.1
_BANK = 1 << 24
MISC = [HEAD_LABELS.index("O"), HEAD_LABELS.index("B-MISC"), HEAD_LABELS.index("I-MISC")]


class Dropout:
    """Dropout from a prepared set of masks: drawing new ones would take a tenth of a step."""

    def __init__(self, seed: int) -> None:
        self._chance = torch.Generator().manual_seed(seed)
        kept = torch.rand(_BANK, generator=self._chance) >= DROPOUT
        self._bank = kept.to(torch.float32) / (1 - DROPOUT)

    def __call__(self, states: Tensor) -> Tensor:
        """Return the states with some of them set to 0."""
        first = int(torch.randint(0, _BANK - states.numel(), (1,), generator=self._chance))
        return states * self._bank[first : first + states.numel()].view_as(states)


class Layer(nn.Module):
    """One layer, with post-normalisation."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.attention = nn.Module()
        self.attention.add_module("self", nn.Module())
        for name in ("query", "key", "value"):
            self.attention.self.add_module(name, nn.Linear(width, width))
        self.attention.output = nn.Module()
        self.attention.output.dense = nn.Linear(width, width)
        self.attention.output.LayerNorm = nn.LayerNorm(width, EPSILON)
        self.intermediate = nn.Module()
        self.intermediate.dense = nn.Linear(width, inner)
        self.output = nn.Module()
        self.output.dense = nn.Linear(inner, width)
        self.output.LayerNorm = nn.LayerNorm(width, EPSILON)

    def forward(self, states: Tensor, shut: Tensor, dropout: Any) -> Tensor:
        """Return texts × tokens × width; `shut` is added to the attention, −10⁴ at padding."""
        texts, tokens, width = states.shape
        attention = self.attention
        query, key, value = (
            getattr(attention.self, name)(states).view(texts, tokens, HEADS, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        # Written out: the backward pass of the built-in attention takes a third of a step on a CPU.
        shares = torch.softmax(query @ key.transpose(2, 3) * (width // HEADS) ** -0.5 + shut, dim=-1)
        mixed = (shares.to(value.dtype) @ value).transpose(1, 2).reshape(texts, tokens, width)
        states = attention.output.LayerNorm(states + dropout(attention.output.dense(mixed).float()))
        inner = functional.gelu(self.intermediate.dense(states))
        return self.output.LayerNorm(states + dropout(self.output.dense(inner).float()))


class Network(nn.Module):
    """Token ids → logits of :data:`sprat_ner.decoding.HEAD_LABELS`. The embeddings are frozen."""

    def __init__(self, weights: Mapping[str, Tensor], layers: int, seed: int) -> None:
        super().__init__()
        words = weights["embeddings.word_embeddings.weight"]
        width, inner = words.shape[1], len(weights["encoder.layer.0.intermediate.dense.bias"])
        self.words = words
        self.positions = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self.embeddings = nn.Module()
        self.embeddings.LayerNorm = nn.LayerNorm(width, EPSILON)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(Layer(width, inner) for _ in range(layers))
        self.head = nn.Linear(width, len(HEAD_LABELS))
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.dropout = Dropout(seed)
        self.load_lower(weights)

    def load_lower(self, weights: Mapping[str, Tensor]) -> None:
        """Load those of the weights that the network has; skip further layers."""
        own = {name for name, _ in self.named_parameters()}
        self.load_state_dict({name: each for name, each in weights.items() if name in own}, strict=False)

    def forward(self, ids: Tensor, present: Tensor) -> Tensor:
        """Return the logits, texts × tokens × labels."""
        dropout = self.dropout if self.training else _as_it_is
        embedded = self.words[ids] + self.positions[: ids.shape[1]]
        states = dropout(self.embeddings.LayerNorm(embedded))
        shut = ((~present) * -1e4)[:, None, None, :]
        for layer in self.encoder.layer:
            states = layer(states, shut, dropout)
        return self.head(states).float()


def _as_it_is(states: Tensor) -> Tensor:
    return states


def loss(logits: Tensor, labels: Tensor, with_misc: Tensor) -> Tensor:
    """Return the mean loss over the words. If MISC is not annotated, a word outside may also be MISC."""
    at = labels >= 0
    chances = torch.log_softmax(logits[at], dim=-1)
    wanted, certain = labels[at], with_misc[:, None].expand_as(labels)[at]
    single = chances.gather(1, wanted[:, None])[:, 0]
    either = torch.logsumexp(chances[:, MISC], dim=-1)
    return -torch.where((wanted == 0) & ~certain, either, single).mean()
