"""A served model trained anew: on the files and with the options of its training, and on corrections."""

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from sprat.base.errors import SpratError, UserError
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card, Work
from sprat_inference.label_sets import MULTI_LABEL
from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.config import OnTrainingProgress, TrainingConfig
from sprat_training.datasets.distinct import MIN_TEXTS, TooFewToHoldOutError
from sprat_training.datasets.reader import read_labelled, split_labels
from sprat_training.datasets.record import FILE as RECORD
from sprat_training.datasets.record import Reading, TrainingRecord, read_record
from sprat_training.datasets.tables import read_text
from sprat_training.evaluation.decision import Decision, Goal
from sprat_training.fitting.encoding import encoder_of
from sprat_training.fitting.held_out import compare_trainings
from sprat_training.train import train
from sprat_training.versions.model_card import FITTED, OUTSIDE_TEXTS, OWN_FILE, report_file


@dataclass(frozen=True, slots=True)
class FormerTraining:
    """What a served version remembers of its training."""

    folder: Path
    card: Card
    record: TrainingRecord | None
    """None of artefacts of earlier releases."""

    @classmethod
    def of(cls, folder: Path) -> "FormerTraining":
        """Read it from the folder of the version.

        Raises:
            UserError: there is no artefact, or it has no labels.
        """
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name that of the served version with --served DIR")
        try:
            card = load_artefact(folder).card
        except BrokenArtefact as error:
            raise UserError(f"--served: {error}") from None
        if (card.task != "intent" and card.kind != MULTI_LABEL) or not card.labels:
            raise UserError(f"{folder}: no model with labels, so it is not retrained from corrections")
        return cls(folder, card, read_record(folder))

    @property
    def several(self) -> bool:
        """Return whether a text may have several labels."""
        return self.card.kind == MULTI_LABEL

    @property
    def reading(self) -> Reading:
        """Return the options of the training; an artefact of an earlier release has the share outside in its card."""
        if self.record is not None:
            return self.record.reading
        share = self.card.calibration.outside_share
        return replace(Reading(), outside_share=share or Reading().outside_share)

    def files(self) -> tuple[Path, ...]:
        """Return the files that it was fitted on.

        Raises:
            UserError: one is not found, or the card names none.
        """
        places = {work.name: self._place_of(work) for work in self._works(FITTED)}
        if not places:
            raise UserError(f"the card of {self.folder} names no file of yours; give its files with --data FILE")
        for name, place in places.items():
            if place is None:
                raise UserError(
                    f"{name}, which the model was trained on, is neither here nor beside {self.folder}: --data FILE"
                )
        return tuple(place for place in places.values() if place is not None)

    def outside_file(self) -> Path | None:
        """Return the file of texts outside every label; None where there was none, or it is not found."""
        return next((self._place_of(work) for work in self._works(OUTSIDE_TEXTS)), None)

    def notes(self, files: Sequence[Path]) -> Iterator[str]:
        """Yield what has changed since the training: one sentence each."""
        for work in self._works(FITTED, OUTSIDE_TEXTS):
            place = self._place_of(work)
            if place is None:
                if work.used_for == OUTSIDE_TEXTS:
                    yield (
                        f"{work.name}, the texts outside every label, is neither here nor beside {self.folder}: this "
                        "training goes without it; give it with --out-of-scope FILE"
                    )
            elif place in files and sha256(place.read_bytes()).hexdigest() != work.sha256:
                yield f"{place} has changed since the served version was trained on it"

    def config(
        self,
        files: Sequence[Path],
        corrections: Path,
        output: Path,
        *,
        outside: Path | None,
        encoder: Path | None,
        threads: int,
    ) -> TrainingConfig:
        """Return a training like the former one, with corrections.

        Args:
            files: to train on.
            corrections: a table, which counts where it labels a text otherwise.
            output: folder of the new version.
            outside: texts outside every label.
            encoder: an artefact with an encoder; None: that of the former training.
            threads: that read texts.
        """
        card = self.card
        return TrainingConfig(
            files=(*(each for each in files if each != corrections), corrections),
            corrections=corrections,
            output=output,
            name=card.name,
            outside_file=outside,
            languages=card.languages,
            encoder=encoder or encoder_of(self.folder, card),
            drop_small=True,
            threads=threads,
            **self.reading.options(),
        )

    def learnt(self, corrections: Path, scratch: Path) -> Path | None:
        """Return a table with the corrections that the version was trained on; None where there are none.

        They are known by the fingerprints of their texts, where the card names such a file among those it was trained
        on; one whose label was changed since counts as learnt, with the label of now.

        Args:
            corrections: the table.
            scratch: folder in which the table of the learnt ones is written.

        Raises:
            UserError: the table cannot be read.
        """
        named = any(work.name == corrections.name for work in self._works(FITTED))
        if not named or self.record is None or corrections.suffix != ".jsonl":
            return None
        rows = read_labelled(corrections, _columns(several=self.several), several=self.several)
        lines = read_text(corrections).text.split("\n")
        seen = self.record.texts.seen(rows.texts)
        known = [lines[row - 1] for row, is_seen in zip(rows.rows, seen, strict=True) if is_seen]
        path = scratch / corrections.name
        path.write_text("".join(f"{line}\n" for line in known), encoding="utf-8")
        return path if known else None

    def _works(self, *uses: str) -> Iterator[Work]:
        """Return the files of the owner's that it was trained on, for these uses."""
        return (work for work in self.card.made_of if work.source == OWN_FILE and work.used_for in uses)

    def _place_of(self, work: Work) -> Path | None:
        """Return where a file of the card is."""
        places = (place / work.name for place in (Path(), self.folder.resolve().parent))
        return next((place for place in places if place.is_file()), None)


@dataclass(frozen=True, slots=True)
class Retrained:
    """A new version, and what its corrections bring."""

    card: Card
    decision: Decision | None = None
    """None where there is no version to compare with, or too few texts to hold some out."""
    lines: tuple[str, ...] = ()
    """What else is to be known, one sentence each."""


def retrained(former: FormerTraining, config: TrainingConfig, goal: Goal, progress: OnTrainingProgress) -> Retrained:
    """Train a new version on all rows, and compare what its new corrections bring on texts held out.

    The served version has seen the texts, so it would seem better on them than it is. Two trainings that differ by the
    new corrections alone are compared instead.

    Args:
        former: training of the served version.
        config: of the new version; the last of its files are the corrections.
        goal: what the policy asks of the answers that are kept.
        progress: is called after each step.

    Raises:
        UserError: a file or the output folder cannot be used.
        SpratError: nothing new is learnt; then no folder is written.
    """
    *files, corrections = config.files
    with TemporaryDirectory(prefix="sprat-retrain-") as scratch:
        learnt = former.learnt(corrections, Path(scratch))
        if learnt is not None:
            files.append(learnt)
        if not files:
            raise UserError(f"{corrections} is the only file: name those of the former training with --data FILE")
        card = _train(config, progress, several=former.several)
        if _answering(card) == _answering(former.card):
            shutil.rmtree(config.output)
            report_file(config.output).unlink(missing_ok=True)
            raise SpratError(
                f"there is nothing new to learn: {former.folder}, version {former.card.version}, says the same of "
                "every text"
            )
        before = replace(config, files=tuple(files), corrections=learnt)
        try:
            return Retrained(card, compare_trainings(before, config, goal, (former.card, card), progress))
        except TooFewToHoldOutError as error:
            return Retrained(card, None, (f"not shown whether it is better: {error}",))


def first_config(
    task: str,
    table: Path,
    output: Path,
    languages: tuple[str, ...],
    *,
    several: bool,
    encoder: Path | None,
    threads: int,
) -> TrainingConfig:
    """Return the training of the first model of a task, from a table alone."""
    return TrainingConfig(
        files=(table,),
        corrections=table,
        output=output,
        name=task,
        columns=_columns(several=several),
        languages=languages,
        encoder=encoder,
        threads=threads,
    )


def first_training(
    config: TrainingConfig, labels: Sequence[str], progress: OnTrainingProgress, *, several: bool
) -> Retrained:
    """Train the first model of a task; it must know all labels of the task's file.

    Raises:
        SpratError: a label has too few texts.
        UserError: the table or the output folder cannot be used.
    """
    (table,) = config.files
    cells = read_labelled(table, config.columns, several=several).labels
    counts = Counter(label for cell in cells for label in (split_labels(cell) if several else (cell,)))
    if few := ", ".join(f"{label} {counts[label]}" for label in labels if counts[label] < MIN_TEXTS):
        raise SpratError(
            f"{config.name} needs {MIN_TEXTS} texts for each label, and {table} has too few of: {few}. Correct more "
            "texts, or send some whose hard cases the frontier answers, and try again"
        )
    return Retrained(_train(config, progress, several=several))


def _train(config: TrainingConfig, progress: OnTrainingProgress, *, several: bool) -> Card:
    return train(config, progress, several=several).card


def _columns(*, several: bool) -> ColumnNames:
    """Return the columns of a table of corrections."""
    return ColumnNames("text", "labels" if several else "label")


def _answering(card: Card) -> tuple[object, ...]:
    """Return what decides the answers of a version."""
    files = {name: digest for name, digest in card.files.items() if name != RECORD}
    return card.labels, files, card.built_on, card.lexical, card.calibration.parameters
