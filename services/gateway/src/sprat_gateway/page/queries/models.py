"""Screen 6: which models serve, from which confidence on their answers are how often right, and the one before."""

from dataclasses import dataclass


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
class Version:
    """A version of a model, as announced."""

    version: str
    thresholds: str | None
    announced_ms: int
    languages: tuple[str, ...]
    targets: tuple[str, ...]
    labels: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model that is announced."""

    task: str
    model: str
    current: Version
    owns_from_ms: int | None
    """None: it is not serving yet."""
    licence: str | None
    scores: dict[str, float]
    """Figures of its card."""
    goal: float | None
    """That the thresholds recommend."""
    right: str | None
    """What is called right of an answer."""
    curves: tuple[Curve, ...]
    certificate: CertificateView | None
    before: Version | None
    """The version that was announced before; None where the store has seen none."""
    members: int | None
    """Processes that serve it; None: not known."""
    command: str
    """That takes the version before back, or promotes another."""


@dataclass(frozen=True, slots=True)
class Models:
    """The screen."""

    models: tuple[ModelView, ...]
