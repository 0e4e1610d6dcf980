"""The files beside the one that is fitted, and what in them is of no use: leaks, unknown labels, contradictions."""

from sprat.errors import UserError
from sprat_training.config import Leaks, TrainingConfig
from sprat_training.datasets.reading import read_labelled, read_texts
from sprat_training.datasets.rows import Labelled, key_of, may_be_texts
from sprat_training.preparation import Training


def parted(data: Labelled, outside_label: str) -> tuple[Labelled, Labelled]:
    """Give the rows that have a label, and those whose label says that they have none."""
    inside = [place for place, label in enumerate(data.labels) if label != outside_label]
    if not inside:
        raise UserError(
            f'{data.path}: every row has the label "{outside_label}", which stands for "outside every label"'
        )
    outside = [place for place, label in enumerate(data.labels) if label == outside_label]
    return picked(data, inside), picked(data, outside)


def picked(data: Labelled, places: list[int]) -> Labelled:
    """Give some of the rows."""
    return Labelled(
        data.path,
        tuple(data.texts[place] for place in places),
        tuple(data.labels[place] for place in places),
        tuple(data.rows[place] for place in places),
        data.columns,
    )


def outside_texts(wish: TrainingConfig, training: Training, strangers: Labelled) -> tuple[str, ...]:
    """Give the different texts outside every label: those of the file itself and of `--out-of-scope`.

    Raises:
        UserError: one of them has a label in the file that is fitted.
    """
    known = {key_of(text) for text in training.texts}
    given = [strangers]
    if wish.outside_file is not None:
        given.append(read_texts(wish.outside_file, wish.wanted.text))
    for read in given:
        for row, text in zip(read.rows, read.texts, strict=True):
            if key_of(text) in known:
                raise UserError(
                    f"{read.path}: row {row}: {wish.file} gives the same text a label; it is either outside or not: "
                    "delete one of them"
                )
    return tuple({key_of(text): text for read in given for text in read.texts}.values())


def texts_to_test(wish: TrainingConfig, training: Training) -> tuple[Labelled, Leaks]:
    """Read the test file, without the rows that are trained on, too, and without those outside every label.

    Raises:
        UserError: it has a label that no text is trained with, or no row of its own.
    """
    assert wish.test_file is not None  # noqa: S101 - for the type checker
    read, _ = parted(read_labelled(wish.test_file, wish.wanted), wish.outside_label)
    known = {key_of(text) for text in training.texts}
    for row, label in zip(read.rows, read.labels, strict=True):
        if label not in training.labels:
            told = "this label" if may_be_texts(read.labels) else f'the label "{label}"'
            raise UserError(
                f'{read.path}: row {row}, column "{read.columns[1]}": no text is trained with {told}; '
                f"correct it, or add texts with it to {wish.file}"
            )
    fresh = [place for place, text in enumerate(read.texts) if key_of(text) not in known]
    if not fresh:
        raise UserError(f"{read.path}: every text of it stands in {wish.file}, too; a test needs texts of its own")
    leaked = sorted(set(range(len(read))) - set(fresh))
    return picked(read, fresh), Leaks(tuple(read.rows[place] for place in leaked))
