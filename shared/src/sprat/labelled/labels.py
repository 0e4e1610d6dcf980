"""What rows have in common: equal texts, and how many rows a label has."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

_LIKE_A_LABEL: Final = re.compile(r"[^\W\d_]{1,32}(?:[_./-][^\W\d_]{1,32}){0,7}[_-]?\d{0,2}")


def key_of(text: str) -> str:
    """Give what equal texts share: case, width of characters and white space tell none apart."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def alike(labels: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Give groups of labels that differ by case, white space or the width of characters alone, each sorted."""
    groups: dict[str, set[str]] = {}
    for label in labels:
        groups.setdefault(key_of(label), set()).add(label)
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def may_be_texts(labels: Sequence[str]) -> bool:
    """Tell whether the labels look like another column's, for texts are not for a terminal.

    Labels repeat; where they do not, as in a test with one text for each, they are at least written like labels.
    """
    several = set(labels)
    return 2 * len(several) > len(labels) and not all(_LIKE_A_LABEL.fullmatch(label) for label in several)


def group_of(labels: Sequence[str]) -> str:
    """Give labels that are nearly the same so that white space shows."""
    return " = ".join(f'"{label}"' for label in labels)


def counted(labels: Iterable[str]) -> dict[str, int]:
    """Give the number of rows of each label, in the order of the labels."""
    return dict(sorted(Counter(labels).items()))
