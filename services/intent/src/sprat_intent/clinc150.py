"""Reads CLINC150, the data that `en-fast` is fitted and measured on. Not used while serving."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("intent/clinc150/tsv")
"""Under the folder of evaluation data that SPRAT_DATA or `--data` names."""


@dataclass(frozen=True, slots=True)
class Split:
    """Texts with their labels; `labels[i]` is "oos" where `texts[i]` is outside every intent."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]


def read_split(data: Path, name: str) -> Split:
    """Read one of `train`, `val`, `test`, `oos_val`, `oos_test`, `oos_train_plus250`.

    Raises:
        FileNotFoundError: when `data` does not hold it.
    """
    rows = [line.split("\t") for line in (data / FOLDER / f"{name}.tsv").read_text(encoding="utf-8").splitlines()]
    return Split(tuple(text for text, _ in rows), tuple(label for _, label in rows))
