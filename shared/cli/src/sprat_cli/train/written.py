"""What a training leaves beside the artefact: its report, and the version before."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from sprat.errors import UserError
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_training.evaluation.metrics import Interval
from sprat_training.keep_at import PROVISIONAL
from sprat_training.model_card import previous_folder, report_file, version_in
from sprat_training.record import read_record
from sprat_training.report import training_html
from sprat_training.train import TrainingResult


def write_report(result: TrainingResult, *, show_texts: bool) -> Path:
    """Write the report beside the artefact, and return its path.

    Raises:
        UserError: it cannot be written.
    """
    page = report_file(result.config.output)
    try:
        page.write_text(training_html(result, show_texts=show_texts), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{page}: cannot be written: {error.strerror}") from None
    return page


@dataclass(frozen=True, slots=True)
class LaidThere:
    """What lay in the place of an artefact before a training wrote it."""

    folder: Path
    exists: bool
    """Whether the folder did."""
    version: str | None
    """In it; None where none could be read."""
    previous: str | None
    """The version that was kept as the one before, as it is called; None where there was none."""

    @classmethod
    def of(cls, folder: Path) -> "LaidThere":
        """Return what lies in the place of an artefact."""
        return cls(folder, folder.exists(), version_in(folder), previous_version(folder))

    def lines(self, card: Card, *, compares: bool = True) -> list[str]:
        """Return how to go back to the version that was replaced, and how the one that was written measures beside it.

        Nothing is returned where the folder is new.

        Args:
            card: of the version that was written.
            compares: whether both are measured.

        Raises:
            BrokenArtefact: the version before cannot be read.
        """
        if not self.exists:
            return []
        before = previous_folder(self.folder)
        if self.version == card.version:
            stays = "" if self.previous is None else f"; {before} stays as it is"
            return [f"{self.folder}: the same version as before{stays}"]
        gone = "" if self.previous is None else f"; {self.previous}, which was kept there, is thrown away"
        return [
            *(_change(self.folder, card) if compares else []),
            f"{before}: the version before, {_version(before)}{gone}; back to it, with its report:",
            f"  sprat models rollback {shlex.quote(str(self.folder))}",
        ]


def previous_version(folder: Path) -> str | None:
    """Return the version that is kept as the one before that of a folder; None where there is none."""
    before = previous_folder(folder)
    if not before.is_dir():
        return None
    try:
        return _version(before)
    except BrokenArtefact:
        return "a version that cannot be read"


def _change(folder: Path, card: Card) -> list[str]:
    """Return the line on how a version measures beside the one that it replaced, each at its own training.

    Nothing is returned where a card has no such figures.

    Args:
        folder: of the artefact.
        card: of the new version.

    Raises:
        BrokenArtefact: the version before cannot be read.
    """
    cards = load_artefact(previous_folder(folder)).card, card
    figures = [{score.name: score.value for score in each.scores} for each in cards]
    names = [f"cross_validated_{name}" for name in ("kept_share", "accuracy", "accuracy_low", "accuracy_high")]
    if not all(name in each for each in figures for name in names):
        return []
    (kept_before, *before), (kept_now, *now) = ([each[name] for name in names] for each in figures)
    notes = []
    if Interval(*before).overlaps(Interval(*now)):
        notes.append("the intervals overlap: no difference is shown")
    if cards[0].label_set != card.label_set:
        notes.append("the labels, and so the texts, are others than before")
    records = [read_record(each) for each in (previous_folder(folder), folder)]
    asked = [each.reading.accuracy for each in records if each is not None]
    if len(set(asked)) > 1:
        notes.append(f"{asked[0]:.1%} asked before, {asked[1]:.1%} now")
    if any(PROVISIONAL in each.keep_at_rule for each in cards):
        notes.append("a provisional keep_at jumps from training to training")
    return [
        f"before → now: keep_at {cards[0].keep_at:.2f} → {card.keep_at:.2f}, {kept_before:.1%} → {kept_now:.1%} of the "
        f"traffic kept; {Interval(*before)} → {Interval(*now)} of the texts get their label"
        + (f" ({'; '.join(notes)})" if notes else "")
    ]


def _version(folder: Path) -> str:
    card = load_artefact(folder).card
    return f"{card.version}, keep_at {card.keep_at:.2f}"
