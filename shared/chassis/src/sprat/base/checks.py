"""The outcome of one check of `sprat doctor`, which services and other packages may add to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class CheckStatus(StrEnum):
    """The result of a check."""

    ok = "ok"
    warning = "warning"
    """It may be intended, or it costs something but loses nothing."""
    unknown = "unknown"
    """It depends on settings of the services that this shell does not have."""
    broken = "broken"
    """Texts do not get through, or not safely."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `sprat doctor`."""

    subject: str
    status: CheckStatus
    finding: str
    fix: str = ""
    """What to do; empty where there is nothing to do."""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    """What the router publishes of the same, by the names of the metrics."""


def ok(subject: str, finding: str) -> Check:
    """Return a check that passed."""
    return Check(subject, CheckStatus.ok, finding)


def warning(subject: str, finding: str, fix: str = "") -> Check:
    """Return a check whose finding may be intended."""
    return Check(subject, CheckStatus.warning, finding, fix)


def unknown(subject: str, finding: str, fix: str) -> Check:
    """Return a check that could not be made here; `fix` says what to set for it."""
    return Check(subject, CheckStatus.unknown, finding, fix)


def broken(subject: str, finding: str, fix: str) -> Check:
    """Return a check that failed, with its fix."""
    return Check(subject, CheckStatus.broken, finding, fix)


_FEW = 3


def some_of(names: Sequence[str], most: int = _FEW) -> str:
    """Return the first of these names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
