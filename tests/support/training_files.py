"""A small file of labelled texts, one of them with a wrong label."""

import csv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EN_FAST = ROOT / "services/intent/src/sprat_intent/artefacts/en-fast"

PHRASES = {
    "leave": (
        "how do I book {} days off",
        "vacation request for {}",
        "how many holidays are left in {}",
        "time off in {}",
    ),
    "payroll": (
        "my salary for {} is wrong",
        "where is my payslip of {}",
        "when is pay day in {}",
        "my pay of {} is short",
    ),
    "badge": (
        "my badge opens no door since {}",
        "I lost my key card in {}",
        "new badge for {}",
        "access card broken since {}",
    ),
    "laptop": (
        "my laptop will not start since {}",
        "I need a new computer in {}",
        "screen broken since {}",
        "laptop order for {}",
    ),
}
TIMES = ("January", "March", "May", "July", "October", "last week")

WRONG_ROW = 2
"""The row whose text is about leave and whose label is badge."""


def rows() -> list[tuple[str, str]]:
    """Return texts with labels, the first of them labelled wrongly."""
    right = [(phrase.format(when), label) for label, phrases in PHRASES.items() for when in TIMES for phrase in phrases]
    text, _ = right[0]
    return [(text, "badge"), *right[1:]]


def write(path: Path, lines: Sequence[tuple[str, str]], names: tuple[str, str] = ("text", "label")) -> Path:
    """Write a CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *lines])
    return path
