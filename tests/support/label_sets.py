"""A small file of texts with several labels: sentences of four subjects, one, two or none of them in a text."""

import csv
from itertools import combinations
from pathlib import Path

from support.training_files import PHRASES, TIMES

NONE = ("the weather in {} is fine", "what is on at the cinema in {}", "a recipe with apples of {}", "who won in {}")
"""Sentences of none of the subjects."""


def rows() -> list[tuple[str, str]]:
    """Return texts, each with its labels, separated by `|`."""
    found = [(phrase.format(when), label) for label, phrases in PHRASES.items() for when in TIMES for phrase in phrases]
    found += [(phrase.format(when), "") for when in TIMES for phrase in NONE]
    for first, second in combinations(PHRASES, 2):
        for place, when in enumerate(TIMES):
            one, other = PHRASES[first][place % 4], PHRASES[second][(place + 1) % 4]
            found.append((f"{one.format(when)} and {other.format(when)}", f"{first}|{second}"))
            found.append((f"{other.format(when)}; also {one.format(when)}", f"{first}|{second}"))
    return found


def write(path: Path) -> Path:
    """Write them as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "labels"), *rows()])
    return path
