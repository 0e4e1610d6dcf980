"""The training data of several labels a text: distinct texts, each with the set of its labels, and the findings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.base.errors import UserError
from sprat_training.datasets.config import TrainingConfig
from sprat_training.datasets.distinct import (
    FEW_TEXTS,
    MAX_TEXTS,
    MIN_TEXTS,
    OUTSIDE,
    DistinctTexts,
    TooFewToHoldOutError,
)
from sprat_training.datasets.languages import language_note
from sprat_training.datasets.reader import FileFindings, LabelledTexts, split_labels
from sprat_training.datasets.rows import RowProblem, normalised_text
from sprat_training.datasets.sources import read_files
from sprat_training.thresholds.rows import Flags

_MAX_LISTED: Final = 8


@dataclass(frozen=True, slots=True)
class LabelSetData(DistinctTexts):
    """Distinct texts with their labels."""

    gold: Flags
    """Texts × labels: whether the label applies."""


@dataclass(frozen=True, slots=True)
class LabelSetSources:
    """What is fitted, what it is measured on, and the findings in the files."""

    data: LabelSetData
    test: LabelSetData | None
    """Without texts that are trained on."""
    rows: int
    """Rows in the files to train on."""
    conflicts: tuple[int, ...]
    """Rows whose text a later row gives other labels, which are used."""
    dropped_labels: Mapping[str, int]
    """Labels left out because too few texts have them, or lack them, as the user asked → texts that have them."""
    leaked_rows: tuple[int, ...]
    """Rows of the test whose text is trained on."""
    bad_rows: tuple[RowProblem, ...]
    files: tuple[FileFindings, ...]
    notes: tuple[str, ...]
    """What else the user should know, a sentence each."""

    @property
    def few_texts(self) -> Mapping[str, int]:
        """Labels with so few texts that what is measured of them is uncertain → texts."""
        counts = dict(zip(self.data.labels, map(int, self.data.gold.sum(axis=0)), strict=True))
        return {label: count for label, count in counts.items() if count < FEW_TEXTS}


def read_label_sets(config: TrainingConfig) -> LabelSetSources:
    """Read the files of a training, and hold a fifth of the texts out where the configuration says so.

    Raises:
        UserError: with a line for each problem of each file.
    """
    files = read_files(config, several=True)
    files.raise_if_any()
    if (rows := files.rows) is None:
        raise UserError(f"{config.files[0]}: no row of it can be used")
    files.write_bad_rows(config)
    outside = {config.outside_label, OUTSIDE}
    sets = [frozenset(split_labels(cell)) - outside for cell in rows.labels]
    last: dict[str, int] = {normalised_text(text): index for index, text in enumerate(rows.texts)}
    conflicts = tuple(
        rows.rows[index] for index, text in enumerate(rows.texts) if sets[index] != sets[last[normalised_text(text)]]
    )
    data, dropped = _data(rows, sets, sorted(last.values()), drop_small=config.drop_small)
    tested, leaked = (None, ()) if files.test is None else _tested(files.test, data, outside)
    if config.hold_out is not None:
        data, tested = data.without(config.hold_out)
        _check_left(data)
    notes = (*files.notes, *filter(None, [language_note(data.texts, config.languages)]))
    return LabelSetSources(
        data, tested, len(rows), conflicts, dropped, leaked, tuple(files.bad_rows), rows.findings, notes
    )


def _data(
    rows: LabelledTexts, sets: list[frozenset[str]], indexes: list[int], *, drop_small: bool
) -> tuple[LabelSetData, Mapping[str, int]]:
    """Return the rows with these indexes, and the labels that are left out.

    Raises:
        UserError: a label has too few texts, fewer than two have enough, or there are too many texts.
    """
    if len(indexes) > MAX_TEXTS:
        raise UserError(f"{rows.path}: {len(indexes):,} different texts; at most {MAX_TEXTS:,} are fitted")
    counts = dict.fromkeys(sorted(frozenset().union(*sets)), 0)
    for index in indexes:
        for label in sets[index]:
            counts[label] += 1
    few = {label: count for label, count in counts.items() if count < MIN_TEXTS}
    everywhere = {label: count for label, count in counts.items() if len(indexes) - count < MIN_TEXTS}
    if (few or everywhere) and not drop_small:
        shown = ", ".join(f'"{label}" {count}' for label, count in list((few | everywhere).items())[:_MAX_LISTED])
        raise UserError(
            f"{rows.path}: a label needs {MIN_TEXTS} different texts that have it and {MIN_TEXTS} that do not, of "
            f"{len(indexes):,}: {shown}; add texts, or leave these labels out with --drop-small. Labels are separated "
            "by |, as in billing|delivery"
        )
    left_out = few | everywhere
    labels = tuple(label for label in counts if label not in left_out)
    if len(labels) < 2:
        raise UserError(
            f"{rows.path}: at least two labels are needed, each of {MIN_TEXTS} texts; a row's labels are separated by "
            "|, as in billing|delivery"
        )
    kept = rows.take(indexes)
    gold = np.array([[label in sets[index] for label in labels] for index in indexes], dtype=bool)
    return LabelSetData(kept.texts, gold, kept.rows, kept.paths, labels), left_out


def _tested(test: LabelledTexts, data: LabelSetData, outside: set[str]) -> tuple[LabelSetData, tuple[int, ...]]:
    """Return the rows of a test whose text is not trained on, and the numbers of the others.

    Raises:
        UserError: it has a label that no text is trained with, or all of it is trained on.
    """
    sets = [frozenset(split_labels(cell)) - outside for cell in test.labels]
    for index, named in enumerate(sets):
        if unknown := sorted(named - {*data.labels}):
            raise UserError(
                f'{test.place(index)}, column "{test.columns[1]}": no text is trained with the label "{unknown[0]}"'
            )
    places, leaked = data.unseen(test)
    gold = np.array([[label in named for label in data.labels] for named in sets], dtype=bool)
    return LabelSetData(test.texts, gold, test.rows, test.paths, data.labels).take(places), leaked


def _check_left(data: LabelSetData) -> None:
    """Check that each label has a text to train on, and one that does not have it.

    Raises:
        TooFewToHoldOutError: one has not.
    """
    counts = data.gold.sum(axis=0)
    if few := [label for label, count in zip(data.labels, counts, strict=True) if not 0 < count < len(data.gold)]:
        raise TooFewToHoldOutError(f"too few texts of {', '.join(few[:_MAX_LISTED])} are left to train on")


def set_numbers(gold: Flags) -> NDArray[np.int64]:
    """Return a number for each text, the same for texts with equal sets of labels."""
    _, numbers = np.unique(gold, axis=0, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64)
