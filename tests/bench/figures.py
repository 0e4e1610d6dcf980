"""What the measurements of all models share: figures beside their targets, and beside what the card states."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprat_inference.card import Card, Score


@dataclass(frozen=True, slots=True)
class Targets:
    """Names of figures → what they should reach."""

    at_least: Mapping[str, float] = field(default_factory=dict)
    """The higher, the better."""
    at_most: Mapping[str, float] = field(default_factory=dict)
    """The lower, the better."""


def table(scores: Sequence[Score], targets: Targets) -> str:
    """Name, value and target of each figure."""
    lines = [f"{'figure':38}{'value':>8}  target"]
    for score in scores:
        least, most = targets.at_least.get(score.name), targets.at_most.get(score.name)
        target = f"≥ {least:g}" if least is not None else f"≤ {most:g}" if most is not None else ""
        lines.append(f"{score.name:38}{score.value:8.4g}  {target}".rstrip())
    return "\n".join(lines)


def missed(scores: Sequence[Score], targets: Targets) -> list[str]:
    """One line a target that is not met."""
    values = {score.name: score.value for score in scores}
    low = [
        f"{name} is {values[name]:g}, below {least:g}"
        for name, least in targets.at_least.items()
        if values[name] < least
    ]
    high = [
        f"{name} is {values[name]:g}, above {most:g}" for name, most in targets.at_most.items() if values[name] > most
    ]
    return low + high


def strayed(
    measured: Sequence[Score], card: Card, tolerance: Callable[[str], float], without: Collection[str] = ()
) -> list[str]:
    """One line a figure that the card states otherwise; names that begin with one of `without` are not compared."""
    stated = {score.name: score.value for score in card.scores}
    return [
        f"{score.name}: the card says {stated.get(score.name)}, measured {score.value}"
        for score in measured
        if not score.name.startswith(tuple(without))
        and abs(stated.get(score.name, float("inf")) - score.value) > tolerance(score.name)
    ]


def document(card: Card, scores: Sequence[Score], complaints: Sequence[str], **more: Any) -> dict[str, Any]:
    """Everything for machines."""
    figures = {score.name: {"value": score.value, "protocol": score.protocol} for score in scores}
    about = {"model": card.name, "version": card.version, "keep_at": card.keep_at}
    return {**about, "scores": figures, **more, "missed": list(complaints)}
