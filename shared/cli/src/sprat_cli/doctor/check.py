"""The outcome of one check."""

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """How it stands."""

    ok = "ok"
    warning = "warning"
    """It may be meant so, or it costs something but loses nothing."""
    broken = "broken"
    """Texts do not get through, or not safely."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's."""

    subject: str
    status: CheckStatus
    finding: str
    fix: str = ""
    """What to do; empty where there is nothing to do."""


def ok(subject: str, finding: str) -> Check:
    """All is well."""
    return Check(subject, CheckStatus.ok, finding)


def warning(subject: str, finding: str, fix: str = "") -> Check:
    """It may be meant so."""
    return Check(subject, CheckStatus.warning, finding, fix)


def broken(subject: str, finding: str, fix: str) -> Check:
    """It must be mended."""
    return Check(subject, CheckStatus.broken, finding, fix)
