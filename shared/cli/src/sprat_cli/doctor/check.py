"""The outcome of one check."""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How it stands."""

    good = "ok"
    warning = "warning"
    """It may be meant so, or it costs something but loses nothing."""
    broken = "broken"
    """Texts do not get through, or not safely."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's."""

    about: str
    mark: Mark
    found: str
    mend: str = ""
    """What to do; empty where there is nothing to do."""


def good(about: str, found: str) -> Check:
    """All is well."""
    return Check(about, Mark.good, found)


def warning(about: str, found: str, mend: str = "") -> Check:
    """It may be meant so."""
    return Check(about, Mark.warning, found, mend)


def broken(about: str, found: str, mend: str) -> Check:
    """It must be mended."""
    return Check(about, Mark.broken, found, mend)
