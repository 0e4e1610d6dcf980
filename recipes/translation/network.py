"""A small encoder-decoder, written for training on one CPU thread and for an exact conversion to CTranslate2.

Marian-shaped: layers with the norm first, ReLU, sinusoidal positions, one table of embeddings for source, target
and output. Attention is written out (the backward of torch's own costs a third of a step at 12 tokens), dropout
slices a prepared bank of masks, and the loss computes its gradient on the way forward, in pieces that stay in the
cache.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

PAD, UNKNOWN, START, END = 0, 1, 2, 3
_ROWS = 256  # of the output layer at once: 256 x 8,000 floats are 8 MB


@dataclass(frozen=True)
class Shape:
    """The size of a network. `length` is the longest sequence in pieces, end mark included."""

    vocabulary: int
    width: int = 256
    inner: int = 1024
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 2
    length: int = 256


class Masks:
    """Dropout from prepared masks: random numbers for every unit would take a tenth of a step."""

    def __init__(self, share: float, dtype: torch.dtype, size: int = 1 << 22) -> None:
        self._share = share
        self._bank = (torch.rand(size) >= share).to(dtype) / (1 - share) if share else torch.empty(0)

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return `x` with a share of its units set to 0 and the rest scaled up; `x` itself outside training."""
        if not training or not self._share:
            return x
        start = int(torch.randint(len(self._bank) - x.numel(), ()).item())
        return x * self._bank[start : start + x.numel()].view(x.shape)


class Attention(nn.Module):
    """Multi-head attention over `memory`, or over the sequence itself without it. The only mask is the causal one."""

    def __init__(self, shape: Shape, *, causal: bool = False, across: bool = False) -> None:
        super().__init__()
        self.heads, self.causal, self.across = shape.heads, causal, across
        self.norm = nn.LayerNorm(shape.width)
        if across:
            self.query = nn.Linear(shape.width, shape.width)
            self.both = nn.Linear(shape.width, 2 * shape.width)
        else:
            self.all = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        rows, length, _ = x.shape
        x = x.view(rows, length, parts, self.heads, -1).permute(2, 0, 3, 1, 4)
        return tuple(x.reshape(parts, rows * self.heads, length, -1))

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Return the residual, [rows, length, width], of an input of that shape."""
        rows, length, width = x.shape
        x = self.norm(x)
        if memory is None:
            query, key, value = self._split(self.all(x), 3)
        else:
            (query,) = self._split(self.query(x), 1)
            key, value = self._split(self.both(memory), 2)
        scores = torch.bmm(query, key.transpose(1, 2)) * (query.shape[-1] ** -0.5)
        if self.causal:
            scores = scores + torch.full((length, length), -1e9, dtype=x.dtype).triu(1)
        mixed = torch.bmm(scores.softmax(-1), value)
        return self.out(mixed.view(rows, self.heads, length, -1).transpose(1, 2).reshape(rows, length, width))


class Inner(nn.Module):
    """The feed-forward part of a layer: two linear maps with a ReLU between."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.width)
        self.wide = nn.Linear(shape.width, shape.inner)
        self.narrow = nn.Linear(shape.inner, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the residual, [..., width], of an input of that shape."""
        return self.narrow(functional.relu(self.wide(self.norm(x))))


class Translator(nn.Module):
    """Computes the states before the output layer from source and target ids."""

    def __init__(self, shape: Shape, dropout: float = 0.1, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.shape = shape
        self.table = nn.Parameter(torch.randn(shape.vocabulary, shape.width) * shape.width**-0.5)
        self.encoder = nn.ModuleList(
            nn.ModuleList([Attention(shape), Inner(shape)]) for _ in range(shape.encoder_layers)
        )
        self.decoder = nn.ModuleList(
            nn.ModuleList([Attention(shape, causal=True), Attention(shape, across=True), Inner(shape)])
            for _ in range(shape.decoder_layers)
        )
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.register_buffer("positions", sinusoids(shape.length, shape.width), persistent=False)
        depth = 2 * shape.encoder_layers + 3 * shape.decoder_layers
        for name, weight in self.named_parameters():
            if weight.dim() == 2 and name != "table":
                nn.init.xavier_uniform_(weight)
                if name.endswith(("out.weight", "narrow.weight")):
                    weight.data /= math.sqrt(depth / 4)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)
        self.to(dtype)
        self.masks = Masks(dropout, dtype)

    def _embed(self, ids: Tensor) -> Tensor:
        x = functional.embedding(ids, self.table) * math.sqrt(self.shape.width)
        return self.masks(x + self.positions[: ids.shape[1]], training=self.training)

    def encode(self, source: Tensor) -> Tensor:
        """Return the states of source ids [rows, length]; all rows have the same length, so there is no mask."""
        x = self._embed(source)
        for attention, inner in self.encoder:
            x = x + self.masks(attention(x), training=self.training)
            x = x + self.masks(inner(x), training=self.training)
        return self.encoder_norm(x)

    def decode(self, memory: Tensor, target: Tensor) -> Tensor:
        """Return the states of target ids [rows, length] that begin with START; padding at the end has no effect."""
        x = self._embed(target)
        for attention, across, inner in self.decoder:
            x = x + self.masks(attention(x), training=self.training)
            x = x + self.masks(across(x, memory), training=self.training)
            x = x + self.masks(inner(x), training=self.training)
        return self.decoder_norm(x)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the states before the output layer, [rows, length, width]."""
        return self.decode(self.encode(source), target)


class Loss(torch.autograd.Function):
    """Sum of the label-smoothed cross-entropy over the targets that are not PAD, times `scale`.

    The gradient is worked out on the way forward, so `backward` must be called on this very sum.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, states: Tensor, table: Tensor, targets: Tensor, smoothing: float, scale: float
    ) -> Tensor:
        """Return the loss of states [n, width], the table [vocabulary, width] and target ids [n]."""
        gradient = torch.empty(len(states), len(table), dtype=states.dtype)
        kept = (targets != PAD).float() * scale
        everywhere = table.float().sum(0)
        right = (states.float() * table[targets].float()).sum(-1)
        cost = -(1 - smoothing) * right - smoothing / len(table) * (states.float() @ everywhere)
        for start in range(0, len(states), _ROWS):
            part = slice(start, start + _ROWS)
            logits = (states[part] @ table.T).float()
            highest = logits.amax(-1, keepdim=True)
            likely = logits.sub_(highest).exp_()
            mass = likely.sum(-1, keepdim=True)
            cost[part] += (highest + mass.log())[:, 0]
            gradient[part] = likely.mul_(kept[part, None] / mass)
        # The gradient of the smoothed target is constant but for one column, so no pass over all columns is needed.
        of_states, of_table = (gradient @ table).float(), (gradient.T @ states).float()
        gold = kept[:, None] * (1 - smoothing)
        of_states -= gold * table[targets] + kept[:, None] * (smoothing / len(table)) * everywhere
        of_table -= smoothing / len(table) * (kept @ states.float())
        of_table.index_add_(0, targets, states.float() * -gold)
        ctx.save_for_backward(of_states.to(states.dtype), of_table.to(table.dtype))
        return (cost * kept).sum()

    @staticmethod
    def backward(ctx: FunctionCtx, _gradient: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        """Return the gradients that the forward pass kept."""
        states, table = ctx.saved_tensors  # type: ignore[attr-defined]  # set by torch
        return states, table, None, None, None


def sinusoids(length: int, width: int) -> Tensor:
    """Return the encodings of positions 0 to `length` - 1: sines (first half) and cosines (second half)."""
    rates = torch.exp(torch.arange(width // 2) * (-math.log(10000.0) / (width // 2 - 1)))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], 1)
