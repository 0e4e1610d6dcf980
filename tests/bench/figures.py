"""Shared by the measurements of all models: compare scores with their targets and with the card."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprat_inference.card import Card, Score


@dataclass(frozen=True, slots=True)
class Targets:
    """Score name → target."""

    at_least: Mapping[str, float] = field(default_factory=dict)
    """Higher is better."""
    at_most: Mapping[str, float] = field(default_factory=dict)
    """Lower is better."""


def table(scores: Sequence[Score], targets: Targets) -> str:
    """Return name, value and target of each score."""
    lines = [f"{'figure':38}{'value':>8}  target"]
    for score in scores:
        least, most = targets.at_least.get(score.name), targets.at_most.get(score.name)
        target = f"≥ {least:g}" if least is not None else f"≤ {most:g}" if most is not None else ""
        lines.append(f"{score.name:38}{score.value:8.4g}  {target}".rstrip())
    return "\n".join(lines)


def missed(scores: Sequence[Score], targets: Targets) -> list[str]:
    """Return one line per missed target."""
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
    """Return one line per score that differs from the card, except names that begin with one of `without`."""
    stated = {score.name: score.value for score in card.scores}
    return [
        f"{score.name}: the card says {stated.get(score.name)}, measured {score.value}"
        for score in measured
        if not score.name.startswith(tuple(without))
        and abs(stated.get(score.name, float("inf")) - score.value) > tolerance(score.name)
    ]


def document(card: Card, scores: Sequence[Score], complaints: Sequence[str], **more: Any) -> dict[str, Any]:
    """Return all figures for a JSON file."""
    figures = {score.name: {"value": score.value, "protocol": score.protocol} for score in scores}
    about = {"model": card.name, "version": card.version, "keep_at": card.keep_at}
    if card.keep_at_outside is not None:
        about["keep_at_outside"] = card.keep_at_outside
    return {**about, "scores": figures, **more, "missed": list(complaints)}
