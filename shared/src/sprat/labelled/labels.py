"""What rows have in common: equal texts, and how many rows a label has."""

import unicodedata
from collections import Counter
from collections.abc import Iterable


def key_of(text: str) -> str:
    """Give what equal texts share: case, width of characters and white space tell none apart."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def counted(labels: Iterable[str]) -> dict[str, int]:
    """Give the number of rows of each label, in the order of the labels."""
    return dict(sorted(Counter(labels).items()))
