"""The files of a training: read, checked against each other, and refused with all that is wrong in them at once."""

import csv
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from sprat.base.errors import UserError
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.config import TrainingConfig
from sprat_training.datasets.distinct import (
    OUTSIDE,
    DataSummary,
    TooFewToHoldOutError,
    TrainingData,
    check_outside_test,
    check_test,
    drop_moved,
    hold_out,
    merge_spellings,
    outside_texts,
    prepare,
    repeated_texts,
    similar_labels,
    split_outside,
    with_one_outside_label,
    without_corrected,
)
from sprat_training.datasets.languages import language_note
from sprat_training.datasets.reader import LabelledTexts, columns_of_further, joined, read_labelled, read_texts
from sprat_training.datasets.rows import RowProblem, normalised_text, problem_lines, protected_cell


@dataclass(frozen=True, slots=True)
class Sources:
    """What is fitted, and what it is measured on."""

    data: TrainingData
    summary: DataSummary
    outside: tuple[str, ...]
    """Distinct texts outside every label."""
    test: LabelledTexts | None
    """Without texts outside every label and without texts that are trained on."""
    leaked_rows: tuple[int, ...]
    """Rows of the test whose text is trained on."""
    outside_test: tuple[str, ...]
    """Distinct texts outside every label that are held out, or that the test file has."""
    bad_rows: tuple[RowProblem, ...]
    """Rows that were left out, as the user asked."""
    notes: tuple[str, ...]
    """What else the user should know of the files, a sentence each."""


def read_sources(config: TrainingConfig) -> Sources:
    """Read the files of a training.

    Raises:
        UserError: with a line for each problem of each file, so that all can be corrected in one go.
    """
    files = read_files(config)
    sources = None
    if files.rows is not None:
        with _collected(files.errors):
            sources = _checked(config, files.rows, files.outside, files.test, files.errors)
    files.raise_if_any()
    if sources is None:
        raise UserError(f"{config.files[0]}: no row of it can be used")
    files.write_bad_rows(config)
    language = language_note(sources[0].texts, config.languages)
    return Sources(*sources, tuple(files.bad_rows), (*files.notes, *filter(None, [language])))


@dataclass(slots=True)
class TrainingFiles:
    """The rows of a training's files, and the problems in them."""

    rows: LabelledTexts | None = None
    """Of the files to train on; None where one of them cannot be read, or none has a row."""
    test: LabelledTexts | None = None
    outside: LabelledTexts | None = None
    """Of the file of texts outside every label."""
    bad_rows: list[RowProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def raise_if_any(self) -> None:
        """Raise where there are errors.

        Raises:
            UserError: with a line for each.
        """
        if self.errors:
            raise UserError("\n".join(self.errors))

    def write_bad_rows(self, config: TrainingConfig) -> None:
        """Write the rows that are left out to the file that the configuration names, if it does."""
        if config.skip_bad_rows is not None:
            _write_bad_rows(config.skip_bad_rows, self.bad_rows)


def read_files(config: TrainingConfig, *, several: bool = False) -> TrainingFiles:
    """Read all files of a training, and collect what is wrong in them.

    Args:
        config: names the files.
        several: whether a text may have several labels.
    """
    found = TrainingFiles()
    read = partial(read_labelled, bad_rows=found.bad_rows, several=several)
    files = []
    for file in config.files:
        with _collected(found.errors):
            if file == config.corrections:
                files.append(read(file))
            else:
                files.append(read(file, _columns(file, config, found.notes), encoding=config.encoding))
    if config.test_file is not None:
        with _collected(found.errors):
            columns = _columns(config.test_file, config, found.notes)
            found.test = read(config.test_file, columns, encoding=config.encoding)
    if config.outside_file is not None:
        with _collected(found.errors):
            column = _columns(config.outside_file, config, found.notes, with_labels=False).text
            found.outside = read_texts(config.outside_file, column, encoding=config.encoding, bad_rows=found.bad_rows)
    if found.bad_rows and config.skip_bad_rows is None:
        for _, of_file in groupby(found.bad_rows, key=lambda problem: problem.path):
            found.errors += problem_lines(list(of_file))
        found.errors.append(
            "correct these rows, or leave them out with --skip-bad-rows FILE, which writes them to that file"
        )
    if len(files) == len(config.files) and any(files):
        found.rows = joined(files)
    return found


def _columns(file: Path, config: TrainingConfig, notes: list[str], *, with_labels: bool = True) -> ColumnNames:
    """Return the columns to read of a file; in a further one, those that are missing there are found by their names."""
    named = config.columns
    if file == config.files[0] or file.suffix.lower() == ".txt":
        return named
    found = columns_of_further(file, named, config.encoding)
    for option, column, taken in (("text", named.text, found.text), ("label", named.label, found.label)):
        if column != taken and (with_labels or option == "text"):
            notes.append(
                f'{file}: there is no column "{column}" (--{option}-column); the {option}s are in a column with a '
                "well-known name"
            )
    return found


def _checked(
    config: TrainingConfig,
    rows: LabelledTexts,
    given_outside: LabelledTexts | None,
    test: LabelledTexts | None,
    errors: list[str],
) -> tuple[TrainingData, DataSummary, tuple[str, ...], LabelledTexts | None, tuple[int, ...], tuple[str, ...]]:
    """Check the files against each other; problems of the test are added to `errors`, those of the rest are raised."""
    _check_outside_label(config, rows)
    rows = with_one_outside_label(rows, config.outside_label)
    if config.merge_case:
        rows = merge_spellings(rows, [config.outside_label])
    rows, moved = drop_moved(rows, config.outside_label)
    if config.corrections is not None and given_outside is not None:
        given_outside = without_corrected(given_outside, rows, config.corrections)
    inside, outside_rows = split_outside(rows, config.outside_label)
    data, summary = prepare(
        inside, drop_small=config.drop_small, sample=config.sample, outside_label=config.outside_label
    )
    repeats = (*summary.repeats, *repeated_texts(outside_rows))
    corrected = (*summary.corrected, *moved.texts)
    summary = replace(summary, rows=len(rows) + moved.rows, repeats=repeats, corrected=corrected)
    if gone := moved.labels - {*inside.labels}:
        summary = replace(summary, dropped_labels={**summary.dropped_labels, **dict.fromkeys(sorted(gone), 0)})
    leaked: tuple[int, ...] = ()
    outside_test: tuple[str, ...] = ()
    tested_outside: LabelledTexts | None = None
    if test is not None:
        with _collected(errors):
            test = with_one_outside_label(test, config.outside_label)
            if config.merge_case:
                test = merge_spellings(test, [*data.labels, config.outside_label])
            labelled, tested_outside = split_outside(test, config.outside_label)
            test, leaked = check_test(labelled, data)
    outside = outside_texts(data, outside_rows, *([] if given_outside is None else [given_outside]))
    if tested_outside is not None:
        outside_test, leaked_outside = check_outside_test(tested_outside, data, outside)
        leaked = tuple(sorted((*leaked, *leaked_outside)))
    if config.hold_out is not None:
        data, test = hold_out(data, config.hold_out)
        outside_test = tuple(text for text in outside if normalised_text(text) in config.hold_out)
        outside = tuple(text for text in outside if normalised_text(text) not in config.hold_out)
    return data, summary, outside, test, leaked, outside_test


def _check_outside_label(config: TrainingConfig, rows: LabelledTexts) -> None:
    """Check that the label that the user named is not another spelling of one of the file.

    Raises:
        UserError: it is.
    """
    label = config.outside_label
    if config.merge_case or label == OUTSIDE or label in rows.labels:
        return
    for group in similar_labels((*rows.labels, label)):
        if label in group:
            meant = shlex.quote(next(each for each in group if each != label))
            raise UserError(f"--outside-label {label}: no row has this label; did you mean --outside-label {meant}?")


@contextmanager
def _collected(errors: list[str]) -> Iterator[None]:
    """Add an error to the list instead of raising it."""
    try:
        yield
    except TooFewToHoldOutError:  # no problem of the files: it ends one comparison
        raise
    except UserError as error:
        errors.append(str(error))


def _write_bad_rows(path: Path, bad_rows: list[RowProblem]) -> None:
    """Write a row for each problem: where it is, what is wrong, and the row's own cells.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "row", "column", "problem", "cells"))
            for each in bad_rows:
                cells = map(protected_cell, each.cells)
                writer.writerow((protected_cell(str(each.path)), each.row, each.column or "", each.problem, *cells))
    except OSError as error:
        raise UserError(f"--skip-bad-rows {path}: cannot be written: {error.strerror or error}") from None
