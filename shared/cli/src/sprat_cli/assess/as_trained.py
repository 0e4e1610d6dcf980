"""How a file is read for a model: as the files that the model was trained on, where the user does not say otherwise.

And how what is found in it compares with what the training found.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from sprat.settings import language_of_files
from sprat_cli.terminal import counted, printable, remark
from sprat_contracts.languages import is_served
from sprat_inference.card import Card
from sprat_training.data import OUTSIDE, with_one_outside_label
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.reader import LabelledTexts, columns_of_further, joined, read_labelled
from sprat_training.datasets.rows import normalised_text
from sprat_training.label_set_data import as_one_label
from sprat_training.languages import languages_seen, named
from sprat_training.record import TrainingRecord


def read_as_trained(
    paths: Sequence[Path],
    record: TrainingRecord | None,
    given: ColumnNames,
    outside_labels: Sequence[str],
    encoding: str,
    *,
    several: bool = False,
) -> tuple[LabelledTexts, ColumnNames, str]:
    """Return the rows of files, the first one's columns and the label of texts outside; say what the model remembers.

    Args:
        paths: of the files, at least one.
        record: what the model remembers of its training; None where it has none.
        given: the columns that the user named.
        outside_labels: as the user gave them; the further ones become the first.
        encoding: of the files, as `read_text` takes it.
        several: a text may have several labels; those of a row become one, as :func:`one_label` writes it.

    Raises:
        UserError: a file cannot be read.
    """
    first = outside_labels[0] if outside_labels else None
    read, said = [], set()
    for path in paths:
        columns, outside, options = given, first or OUTSIDE, ""
        if record is not None:
            columns, outside, options = _remembered(path, record, given, first, encoding)
        if options and options not in said:
            remark(f"as at the training of the model: {options}")
            said.add(options)
        read.append((read_labelled(path, columns, encoding=encoding, several=several), columns, outside))
    rows, (_, columns, outside) = _each_once([each for each, _, _ in read]), read[0]
    if several:
        return as_one_label(rows, outside), columns, outside
    return with_one_outside_label(rows, outside, outside_labels or (OUTSIDE,)), columns, outside


def _each_once(files: Sequence[LabelledTexts]) -> LabelledTexts:
    """Return the rows of several files; what an earlier file has, too, is one case, and is left out of a later one."""
    known: set[tuple[str, str]] = set()
    kept = []
    for file in files:
        keys = [(normalised_text(text), label) for text, label in zip(file.texts, file.labels, strict=True)]
        new = [index for index, key in enumerate(keys) if key not in known]
        if len(new) < len(keys):
            repeated = counted(len(keys) - len(new), "row")
            remark(f"{file.path}: {repeated} with a text and label of an earlier file, which counts once")
        known.update(keys)
        kept.append(file.take(new))
    return joined(kept)


def _remembered(
    path: Path, record: TrainingRecord, given: ColumnNames, outside_label: str | None, encoding: str
) -> tuple[ColumnNames, str, str]:
    reading = record.reading
    trained = columns_of_further(path, ColumnNames(reading.text_column, reading.label_column), encoding)
    columns = ColumnNames(given.text or trained.text, given.label or trained.label)
    outside = outside_label or reading.outside_label
    reused = (
        ("--text-column", columns.text, given.text),
        ("--label-column", columns.label, given.label),
        ("--outside-label", None if outside == OUTSIDE else outside, outside_label),
    )
    options = [word for option, used, said in reused if used is not None and said is None for word in (option, used)]
    return columns, outside, printable(shlex.join(options))


def language_of(given: str | None, languages: Sequence[str], texts: Sequence[str]) -> str:
    """Return the language of the texts: as given, else the default one or, where the model lacks that, its first.

    Where it is not given, and many texts look like another one, that is said.
    """
    if given is not None:
        return given
    usual = language_of_files()
    language = usual if not languages or is_served(usual, languages) else languages[0]
    if (note := _language_note(texts, language)) is not None:
        remark(note)
    return language


def _language_note(texts: Sequence[str], language: str) -> str | None:
    """Return what to say where many texts look like another language than the one in which all are read; else None."""
    others, kept = languages_seen(texts, (language,))
    if not others:
        return None
    if kept:
        own = f"put these into a file of their own, and assess it with --language {others[0]}"
        return f"many texts look {named(others)}, and all are read as {language}: {own}"
    return f"the texts look {named(others)}, and are read as {language}: --language {others[0]}"


def outside_note(outside: int, texts: int, card: Card) -> list[str]:
    """Return how texts outside every label are counted here and in the training, where the file has some."""
    if not outside:
        return []
    share = card.calibration.outside_share
    trained = "" if share is None else f"; training counts them as {share:.0%} of the traffic"
    of = f"{outside:,} of {counted(texts, 'text')} {'is' if outside == 1 else 'are'} outside every label"
    return [f"{of} ({outside / texts:.1%}), and right where no label is given; they count as they are{trained}"]
