"""CLINC150 (Larson et al. 2019), on which the intent models are fitted and measured, and queries in other languages.

The queries were written for its intents. Used by recipes and benchmarks, never while serving.
"""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("intent/clinc150/tsv")
"""Below the folder of evaluation data, which SPRAT_DATA or `--data` names."""


@dataclass(frozen=True, slots=True)
class Split:
    """Texts with their labels; a label is "oos" where its text is out of scope, outside every intent."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    language: str = "en"


def read_split(data: Path, name: str) -> Split:
    """Read one of `train`, `val`, `test`, `oos_val`, `oos_test`, `oos_train_plus250`.

    Raises:
        FileNotFoundError: `data` does not hold it.
    """
    return _split((data / FOLDER / f"{name}.tsv").read_text(encoding="utf-8").splitlines(), "en")


def read_queries(folder: Path, language: str) -> tuple[Split, Split]:
    """Read `queries_<language>.tsv`: the lines with an even number, to calibrate on; those with an odd one, to report.

    Raises:
        FileNotFoundError: `folder` does not hold it.
    """
    lines = (folder / f"queries_{language}.tsv").read_text(encoding="utf-8").splitlines()
    return _split(lines[1::2], language), _split(lines[0::2], language)


def read_outside(folder: Path, language: str) -> Split:
    """Read `outside_<language>.tsv`: texts that no intent covers.

    Raises:
        FileNotFoundError: `folder` does not hold it.
    """
    return _split((folder / f"outside_{language}.tsv").read_text(encoding="utf-8").splitlines(), language)


def _split(lines: list[str], language: str) -> Split:
    rows = [line.split("\t") for line in lines]
    return Split(tuple(text for text, _ in rows), tuple(label for _, label in rows), language)
