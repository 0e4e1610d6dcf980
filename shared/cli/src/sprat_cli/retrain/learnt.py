"""Which corrections of a file the served version has learnt already."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from sprat.errors import SpratError, UserError
from sprat_cli.retrain.corrections import AskedModel, columns_of
from sprat_cli.terminal import remark
from sprat_cli.train.options import training_command
from sprat_inference.card import Card, Work
from sprat_inference.label_sets import MULTI_LABEL
from sprat_training.config import TrainingConfig
from sprat_training.datasets.reader import read_labelled
from sprat_training.model_card import FITTED, OUTSIDE_TEXTS, OWN_FILE, works_of
from sprat_training.record import TrainingRecord, read_record


@dataclass(frozen=True, slots=True)
class Learnt:
    """The corrections of a file that a version was trained on."""

    lines: tuple[bytes, ...] = ()
    """Of the file, as they stand there."""
    new: int = 0
    """Corrections of the file that it was not trained on."""
    are_known: bool = True
    """Whether they are surely these; else the file has changed in rows that were there at the training."""

    def before(self, config: TrainingConfig, folder: Path) -> TrainingConfig:
        """Return a training alike with these corrections alone, in a file that is written into a folder.

        Raises:
            UserError: there is no other file, and none of these.
        """
        *files, corrections = config.files
        if not self.lines and not files:
            raise UserError(
                f"{corrections}: the only file, and the served version has learnt nothing of it; name with --data the "
                "files that it was trained on"
            )
        if not self.lines:
            return replace(config, files=tuple(files), corrections=None)
        path = folder / corrections.name
        path.write_bytes(b"".join(self.lines))
        return replace(config, files=(*files, path), corrections=path)


def own_works(card: Card, *uses: str) -> Iterator[Work]:
    """Return the files of the owner's that a model was trained on, for these uses."""
    return (work for work in card.made_of if work.source == OWN_FILE and work.used_for in uses)


def check_learnt(config: TrainingConfig, card: Card, folder: Path, asked: AskedModel) -> Learnt:
    """Return the corrections that the served version has learnt already; say where they are not surely known.

    Args:
        config: of the training; the last of its files is that of the corrections.
        card: of the served version.
        folder: of the served version.
        asked: the model, as texts ask for it.

    Raises:
        SpratError: it has learnt all of them.
    """
    path = config.files[-1]
    if _is_trained_on(config, card):
        raise SpratError(
            f"there is no new correction of {asked}: the served version, {card.version}, was trained on {path} as it "
            "is, and no other file has changed; nothing is trained"
        )
    found = learnt_corrections(path, card, read_record(folder), several=card.kind == MULTI_LABEL)
    if not found.new:
        raise SpratError(
            f"the served version, {card.version}, has learnt all corrections of {path}; other files, or rows of it, "
            "have changed since. To learn that, run\n  "
            f"{training_command(config, folder, several=card.kind == MULTI_LABEL)}"
        )
    if not found.are_known:
        remark(
            f"{path} has changed in rows that {folder} was trained on: those whose text it knows count as learnt, with "
            "the label of today"
        )
    return found


def learnt_corrections(path: Path, card: Card, record: TrainingRecord | None, *, several: bool) -> Learnt:
    """Return the corrections of a file that a version has learnt, which its card names with the hash of that time.

    New corrections are added at the end, so the file of that time is the beginning of that of today. Where a row of it
    has changed since, its lines cannot be told from the new ones: those whose text was trained on are returned, also
    where the label is another one now.

    Args:
        path: of the file.
        card: of the version.
        record: what it remembers of its training; None where it has none.
        several: whether a text may have several labels.

    Raises:
        UserError: the file cannot be read.
    """
    with path.open("rb") as file:
        lines = tuple(file)
    hashes = {work.sha256 for work in own_works(card, FITTED) if work.name == path.name}
    if not hashes:
        return Learnt(new=len(lines))
    digest = sha256()
    for count, line in enumerate(lines, start=1):
        digest.update(line)
        if digest.hexdigest() in hashes:
            return Learnt(lines[:count], len(lines) - count)
    rows = read_labelled(path, columns_of(several=several), several=several)
    if record is None:
        return Learnt(new=len(lines), are_known=False)
    seen = record.texts.seen(rows.texts)
    known = tuple(lines[row - 1] for row, is_seen in zip(rows.rows, seen, strict=True) if is_seen)
    return Learnt(known, len(lines) - len(known), are_known=False)


def _is_trained_on(config: TrainingConfig, card: Card) -> bool:
    """Return whether a version was trained on these very files."""
    of_card = {(work.name, work.sha256) for work in own_works(card, FITTED, OUTSIDE_TEXTS)}
    return of_card == {(work.name, work.sha256) for work in works_of(config)}
