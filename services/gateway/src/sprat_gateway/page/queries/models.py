"""Screen 6: which models serve, from which confidence on their answers are how often right, and the one before."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sprat_contracts.thresholds import CERTAINTY
from sprat_gateway.page.notes import GROUPS, noted


@dataclass(frozen=True, slots=True)
class Point:
    """A step of a curve: at this confidence and above, this share of the answers is right."""

    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The thresholds of one kind of answers."""

    language: str | None
    """None: all languages together."""
    says: str
    """some or none: whether these answers name a label or an entity."""
    rows: int
    estimated: tuple[Point, ...]
    certified: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class CertificateView:
    """What the certified steps rest on."""

    goals: tuple[float, ...]
    certainty: float
    attempt: int
    drawn: str
    rows: int
    outside: int


@dataclass(frozen=True, slots=True)
class AnnouncedVersion:
    """A version of a model, as announced."""

    version: str
    thresholds: str | None
    announced_ms: int
    languages: tuple[str, ...]
    targets: tuple[str, ...]
    labels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class CardScore:
    """A figure of a model's card."""

    name: str
    value: float
    protocol: str
    """How it was measured."""


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model that is announced."""

    task: str
    model: str
    current: AnnouncedVersion
    owns_from_ms: int | None
    """None: it is not serving yet."""
    licence: str | None
    scores: tuple[CardScore, ...]
    goal: float | None
    """That the thresholds recommend."""
    right: str | None
    """What is called right of an answer."""
    curves: tuple[Curve, ...]
    certificate: CertificateView | None
    before: AnnouncedVersion | None
    """The version that was announced before; None where the store has seen none."""
    members: int | None
    """Processes that serve it; None: not known."""
    command: str | None
    """That takes the version before back; None where the store has seen none."""


@dataclass(frozen=True, slots=True)
class Models:
    """The screen."""

    models: tuple[ModelView, ...]


_ANNOUNCED: Final = """SELECT task, model, version, at, value FROM models
WHERE NOT EXISTS (SELECT 1 FROM withdrawn WHERE withdrawn.task = models.task AND withdrawn.model = models.model)
ORDER BY task, model, at DESC"""


def models(connection: sqlite3.Connection) -> Models:
    """Return the screen: it shows no text, and all keys see it."""
    members = {each["name"]: each["members"] for each in noted(connection, GROUPS) or ()}
    versions: dict[tuple[str, str], list[tuple[int, Mapping[str, Any]]]] = {}
    for row in connection.execute(_ANNOUNCED):
        versions.setdefault((row["task"], row["model"]), []).append((row["at"], json.loads(row["value"])))
    views = (_view_or_none(name, each, members) for name, each in versions.items())
    return Models(tuple(view for view in views if view is not None))


def _view_or_none(
    name: tuple[str, str], versions: list[tuple[int, Mapping[str, Any]]], members: Mapping[str, int]
) -> ModelView | None:
    """Return a model; None for an announcement that does not fit its topic: it must not hide the others."""
    try:
        return _view(name, versions, members)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _view(
    name: tuple[str, str], versions: list[tuple[int, Mapping[str, Any]]], members: Mapping[str, int]
) -> ModelView:
    (task, model), (_, announced) = name, versions[0]
    card, thresholds = announced.get("card") or {}, announced.get("thresholds") or {}
    before = _version(*versions[1]) if len(versions) > 1 else None
    certificate = thresholds.get("certificate")
    return ModelView(
        task=task,
        model=model,
        current=_version(*versions[0]),
        owns_from_ms=announced.get("owns_from"),
        licence=card.get("licence"),
        scores=tuple(_scores(card.get("scores"))),
        goal=thresholds.get("recommended_goal"),
        right=thresholds.get("right"),
        curves=tuple(_curve(each) for each in thresholds.get("cells") or ()),
        certificate=None if certificate is None else _certificate(certificate),
        before=before,
        members=members.get(f"{task}.{model}"),
        command=None if before is None else "sprat promote DIR --back",
    )


def _version(at: int, announced: Mapping[str, Any]) -> AnnouncedVersion:
    labels = announced.get("labels")
    return AnnouncedVersion(
        version=announced["version"],
        thresholds=(announced.get("thresholds") or {}).get("thresholds_version"),
        announced_ms=at,
        languages=tuple(announced.get("languages") or ()),
        targets=tuple(announced.get("targets") or ()),
        labels=None if labels is None else tuple(labels),
    )


def _scores(scores: Any) -> Iterable[CardScore]:
    for each in scores if isinstance(scores, list) else ():
        value = each.get("value") if isinstance(each, dict) else None
        if isinstance(value, int | float):
            yield CardScore(str(each.get("name")), float(value), str(each.get("protocol") or ""))


def _curve(cell: Mapping[str, Any]) -> Curve:
    def points(steps: Any) -> tuple[Point, ...]:
        return tuple(Point(each["threshold"], each["accuracy"]) for each in steps or ())

    return Curve(
        language=cell.get("language"),
        says=cell["says"],
        rows=round(cell["rows"]),
        estimated=points(cell.get("estimated")),
        certified=points(cell.get("certified")),
    )


def _certificate(given: Mapping[str, Any]) -> CertificateView:
    return CertificateView(
        goals=tuple(given["goals"]),
        certainty=given.get("certainty", CERTAINTY),
        attempt=given.get("attempt", 1),
        drawn=given["drawn"],
        rows=given["rows"],
        outside=given["outside"],
    )
