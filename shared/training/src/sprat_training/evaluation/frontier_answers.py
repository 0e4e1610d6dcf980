"""What a frontier model says of texts: from a file of its answers, or asked now."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sprat.errors import UserError
from sprat_training.datasets.columns import Wanted
from sprat_training.datasets.extra_columns import as_named, column_beside
from sprat_training.datasets.reading import read_labelled
from sprat_training.datasets.rows import Labelled, key_of

_COST: Final = "cost_eur"
_NUMBER: Final = re.compile(r"[0-9]*\.?[0-9]+(?:[Ee][+-]?[0-9]{1,3})?")
_MOST_EUR: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FrontierAnswers:
    """One entry a text."""

    labels: tuple[str | None, ...]
    """None where it gave no answer, or none that can be used."""
    eur: tuple[float, ...]
    """What each answer cost."""


def read_answers(path: Path, asked: Labelled, eur: float, wanted: Wanted) -> FrontierAnswers:
    """Read the answers of a frontier model to the texts of `asked`: a file like it, with the model's labels.

    Args:
        path: .csv, .tsv or .jsonl; a column or field `cost_eur` says what an answer cost.
        asked: the texts.
        eur: what an answer costs where the file does not say.
        wanted: the columns that were named for `asked`; where `path` lacks one, it is found as ever.

    Raises:
        UserError: the file cannot be read, or has no answer for some text.
    """
    read = read_labelled(path, as_named(path, _by_name(wanted, asked)))
    costs = _costs(path, read, eur)
    found = {key_of(text): place for place, text in enumerate(read.texts)}
    missing = [row for row, text in zip(asked.rows, asked.texts, strict=True) if key_of(text) not in found]
    if missing:
        raise UserError(
            f"{path}: has no answer to {len(missing):,} of the texts of {asked.path}, the first of them in row "
            f"{missing[0]}; add them, or leave the rows out"
        )
    places = [found[key_of(text)] for text in asked.texts]
    return FrontierAnswers(tuple(read.labels[place] for place in places), tuple(costs[place] for place in places))


def write_answers(path: Path, asked: Labelled, answers: FrontierAnswers) -> None:
    """Keep answers that were paid for; those that were none are left out.

    Raises:
        UserError: the file cannot be written.
    """
    rows = zip(asked.texts, answers.labels, answers.eur, strict=True)
    lines = [
        json.dumps({"text": text, "label": label, "cost_eur": eur}, ensure_ascii=False)
        for text, label, eur in rows
        if label is not None
    ]
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _by_name(wanted: Wanted, asked: Labelled) -> Wanted:
    """Give what was named by its name, even where a person gave its number: other files have another order."""
    text, label = asked.columns
    return Wanted(text if wanted.text else None, label if wanted.label else None)


def _costs(path: Path, read: Labelled, eur: float) -> list[float]:
    said = column_beside(path, _COST)
    costs = []
    for row in read.rows:
        cost = _euros(said.get(row, ""), eur)
        if cost is None:
            raise UserError(
                f'{path}: row {row}, column "{_COST}": not an amount of euros; write a number, with a point, as '
                "0.0003, or leave it out"
            )
        costs.append(cost)
    return costs


def _euros(said: Any, eur: float) -> float | None:
    """Give the amount; `eur` where a cell is empty, None where it is no amount."""
    if isinstance(said, str):
        if not said.strip():
            return eur
        said = float(said) if _NUMBER.fullmatch(said.strip()) else None
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < _MOST_EUR:
        return None
    return float(said)
