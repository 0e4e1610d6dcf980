"""float32 master weights under a bfloat16 network: Muon for the matrices, Adam for the rest, and a running average.

Muon (Jordan et al. 2024) makes each matrix's momentum orthogonal by a Newton-Schulz iteration before the step. At this
size it reaches Adam's loss in far fewer steps; the README has the comparison.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

# The first four of the five coefficient triples of Amsel et al. 2025; the fifth refines more than a step needs.
_STEPS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
)


@dataclass
class Rates:
    """Learning rates at the peak of the schedule."""

    matrices: float = 0.02
    rest: float = 2e-3
    muon: bool = True


@dataclass
class MastersState:
    """The state of the optimiser in a checkpoint, by parameter name."""

    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    momentum: dict[str, Tensor] = field(default_factory=dict)
    square: dict[str, Tensor] = field(default_factory=dict)
    steps: int = 0


def fresh(network: nn.Module) -> MastersState:
    """Return a state whose master weights equal the network's weights."""
    weights = {name: p.detach().float().clone() for name, p in network.named_parameters()}
    zeros = {name: torch.zeros_like(w) for name, w in weights.items()}
    return MastersState(
        weights,
        {name: w.clone() for name, w in weights.items()},
        zeros,
        {name: torch.zeros_like(w) for name, w in weights.items()},
    )


def step(network: nn.Module, state: MastersState, rates: Rates, share: float) -> None:
    """Take one step at `share` of the peak rates with the network's gradients, and clear them."""
    state.steps += 1
    width = network.table.shape[1]
    squares: list[str] = []
    for name, parameter in network.named_parameters():
        if rates.muon and parameter.dim() == 2 and name != "table":
            squares.append(name)
        else:
            _adam(name, parameter.grad.float(), state, rates.rest * share)
    if squares:
        _muon(squares, dict(network.named_parameters()), state, rates.matrices * share, width)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(state.weights[name])
            parameter.grad = None


def follow(state: MastersState, share: float) -> None:
    """Move the running average by `share` towards the weights."""
    torch._foreach_lerp_(list(state.average.values()), list(state.weights.values()), share)


def _adam(name: str, gradient: Tensor, state: MastersState, rate: float) -> None:
    torch._fused_adam_(
        [state.weights[name]],
        [gradient],
        [state.momentum[name]],
        [state.square[name]],
        [],
        [torch.tensor(float(state.steps))],
        lr=rate,
        beta1=0.9,
        beta2=0.98,
        weight_decay=0.0,
        eps=1e-9,
        amsgrad=False,
        maximize=False,
    )


def _muon(names: list[str], parameters: dict[str, nn.Parameter], state: MastersState, rate: float, width: int) -> None:
    """Update all matrices, those of equal shape as one stack; joint projections (q, k, v) are split first."""
    stacks: dict[tuple[int, int], list[tuple[str, Tensor]]] = {}
    for name in names:
        gradient = parameters[name].grad.float()
        momentum = state.momentum[name]
        momentum.lerp_(gradient, 0.05)
        push = gradient.lerp_(momentum, 0.95)
        rows, columns = push.shape
        parts = 1 if "wide" in name else rows // width
        for part in push.view(parts, rows // parts, columns):
            flat = part.T if part.shape[0] > part.shape[1] else part
            stacks.setdefault((flat.shape[0], flat.shape[1]), []).append((name, flat))
    turned: dict[str, list[Tensor]] = {}
    for stack in stacks.values():
        for (name, _), push in zip(stack, orthogonal(torch.stack([p for _, p in stack])), strict=True):
            turned.setdefault(name, []).append(push)
    for name, pieces in turned.items():
        weight = state.weights[name]
        push = torch.cat(pieces) if len(pieces) > 1 else pieces[0]
        push = push if push.shape == weight.shape else push.T
        parts = weight.shape[0] if "wide" in name else width
        weight.add_(push.float(), alpha=-rate * max(1.0, parts / weight.shape[1]) ** 0.5)


def orthogonal(stack: Tensor) -> Tensor:
    """Return the stack of [rows <= columns] matrices with singular values near 1 (Newton-Schulz iteration)."""
    x = stack.to(torch.bfloat16)
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) * 1.01 + 1e-7).to(x.dtype)
    for a, b, c in _STEPS:
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * (square @ square)) @ x
    return x
