"""Reads CLINC150, which the models are fitted and measured on, and queries in other languages written for its intents.

Not used while serving.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("intent/clinc150/tsv")
"""Under the folder of evaluation data that SPRAT_DATA or `--data` names."""


@dataclass(frozen=True, slots=True)
class Split:
    """Texts with their labels; `labels[i]` is "oos" where `texts[i]` is outside every intent."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    language: str = "en"


def read_split(data: Path, name: str) -> Split:
    """Read one of `train`, `val`, `test`, `oos_val`, `oos_test`, `oos_train_plus250`.

    Raises:
        FileNotFoundError: when `data` does not hold it.
    """
    rows = [line.split("\t") for line in (data / FOLDER / f"{name}.tsv").read_text(encoding="utf-8").splitlines()]
    return Split(tuple(text for text, _ in rows), tuple(label for _, label in rows))


def read_queries(folder: Path, language: str) -> tuple[Split, Split]:
    """Read `queries_<language>.tsv`: lines with an even number, to calibrate by, and with an odd one, to report on.

    Raises:
        FileNotFoundError: when `folder` does not hold it.
    """
    lines = (folder / f"queries_{language}.tsv").read_text(encoding="utf-8").splitlines()
    halves = [[line.split("\t") for line in lines[first::2]] for first in (1, 0)]
    calibrating, reported = (
        Split(tuple(text for text, _ in rows), tuple(label for _, label in rows), language) for rows in halves
    )
    return calibrating, reported


def read_outside(folder: Path, language: str) -> Split:
    """Read `outside_<language>.tsv`: texts that no intent covers.

    Raises:
        FileNotFoundError: when `folder` does not hold it.
    """
    rows = [line.split("\t") for line in (folder / f"outside_{language}.tsv").read_text(encoding="utf-8").splitlines()]
    return Split(tuple(text for text, _ in rows), tuple(label for _, label in rows), language)
