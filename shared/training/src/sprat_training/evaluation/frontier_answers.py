"""The answers of a frontier model to labelled texts, read from a file or written to one."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sprat.errors import UserError
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import LabelledTexts, existing_columns, read_column, read_labelled
from sprat_training.datasets.rows import normalised_text
from sprat_training.datasets.tables import has_semicolons, read_text
from sprat_training.label_set_data import as_one_label

_COST_COLUMN: Final = "cost_eur"
_NUMBER: Final = re.compile(r"[0-9]*\.?[0-9]+(?:[Ee][+-]?[0-9]{1,3})?")
_MAX_EUR: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class FrontierAnswers:
    """One entry per text."""

    labels: tuple[str | None, ...]
    """None where it gave no answer, or none that can be used."""
    eur: tuple[float, ...]
    """Cost of each answer."""


def read_answers(
    path: Path, data: LabelledTexts, default_eur: float, columns: ColumnNames, several: str | None = None
) -> FrontierAnswers:
    """Read the answers of a frontier model to the texts of `data`: a file like it, with the model's labels.

    Args:
        path: .csv, .tsv or .jsonl; a column or field `cost_eur` holds the cost of each answer.
        data: the texts.
        default_eur: cost of an answer where the file does not say.
        columns: as the user named them for `data`; where `path` lacks one, it is found by well-known names.
        several: where a text may have several labels, the label that means that none applies; those of a row are read
            as one label, like those of `data`.

    Raises:
        UserError: the file cannot be read, or lacks an answer to some text.
    """
    answers = read_labelled(path, existing_columns(path, _by_name(columns, data)), several=several is not None)
    if several is not None:
        answers = as_one_label(answers, several)
    costs = _costs(path, answers, default_eur)
    indexes = {normalised_text(text): index for index, text in enumerate(answers.texts)}
    missing = [row for row, text in zip(data.rows, data.texts, strict=True) if normalised_text(text) not in indexes]
    if missing:
        raise UserError(
            f"{path}: has no answer to {len(missing):,} of the texts of {data.path}, the first of them in row "
            f"{missing[0]}; add them, or leave the rows out"
        )
    places = [indexes[normalised_text(text)] for text in data.texts]
    return FrontierAnswers(tuple(answers.labels[place] for place in places), tuple(costs[place] for place in places))


def write_answers(path: Path, data: LabelledTexts, answers: FrontierAnswers) -> None:
    """Write the answers that can be used as JSON Lines, so that they need not be paid for again.

    Raises:
        UserError: the file cannot be written.
    """
    rows = zip(data.texts, answers.labels, answers.eur, strict=True)
    lines = [
        json.dumps({"text": text, "label": label, _COST_COLUMN: eur}, ensure_ascii=False)
        for text, label, eur in rows
        if label is not None
    ]
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _by_name(columns: ColumnNames, data: LabelledTexts) -> ColumnNames:
    """Return the columns by their names, also where the user gave numbers: the other file may have another order."""
    text, label = data.columns
    return ColumnNames(text if columns.text else None, label if columns.label else None)


def _costs(path: Path, answers: LabelledTexts, default_eur: float) -> list[float]:
    values = read_column(path, _COST_COLUMN)
    comma = path.suffix.lower() == ".csv" and has_semicolons(read_text(path).text, path.suffix.lower())
    costs = []
    for row in answers.rows:
        value = values.get(row, "")
        if comma and isinstance(value, str) and "." not in value:
            value = value.replace(",", ".", 1)
        cost = _amount(value, default_eur)
        if cost is None:
            raise UserError(
                f'{path}: row {row}, column "{_COST_COLUMN}": not an amount of euros; write a number, with a point'
                f"{' or a comma' * comma}, as 0.0003, or leave it out"
            )
        costs.append(cost)
    return costs


def _amount(value: Any, default_eur: float) -> float | None:
    """Return the amount; the default where a cell is empty, None where it is not an amount."""
    if isinstance(value, str):
        if not value.strip():
            return default_eur
        value = float(value) if _NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_EUR:
        return None
    return float(value)
