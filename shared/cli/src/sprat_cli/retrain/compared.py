"""A new version, and what its corrections bring: two trainings alike but for them, compared on texts held out."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from sprat.errors import SpratError
from sprat_cli.compared_at import ComparedAt, compared_at
from sprat_cli.progress import ProgressBar
from sprat_cli.retrain.corrections import AskedModel
from sprat_cli.retrain.learnt import Learnt
from sprat_cli.retrain.trained import Trained, train_version
from sprat_cli.train.options import training_command
from sprat_inference.card import Card
from sprat_inference.label_sets import MULTI_LABEL
from sprat_policy import TaskFiles
from sprat_training.config import TrainingConfig
from sprat_training.data import TooFewToHoldOutError
from sprat_training.held_out import ComparedTrainings, compare_trainings
from sprat_training.record import FILE as RECORD


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A new version, and what its corrections bring."""

    trained: Trained
    """On all texts."""
    compared: ComparedTrainings
    """A training without the corrections and one with them."""
    at: ComparedAt
    """The keep_at of the comparison."""


def train_and_compare(
    config: TrainingConfig, folder: Path, card: Card, learnt: Learnt, asked: AskedModel, files: TaskFiles
) -> NewVersion:
    """Train the new version on all texts, in a temporary folder, and measure what the corrections bring.

    The served version has seen the texts, so it would seem better on them than it is. Two trainings that differ by the
    corrections alone are compared instead, at one `keep_at`, on texts that neither has seen.

    Args:
        config: of the new version; the last of its files is that of the corrections.
        folder: of the served version.
        card: of the served version.
        learnt: what the served version has learnt.
        asked: the model, as texts ask for it.
        files: the tasks that have a file.

    Raises:
        SpratError: the served version comes out again, or there are too few texts to hold some out.
        UserError: a file or the policy cannot be read.
    """
    several = card.kind == MULTI_LABEL
    with tempfile.TemporaryDirectory(prefix="sprat-retrain-") as temporary, ProgressBar() as bar:
        before = learnt.before(config, Path(temporary))
        new = train_version(replace(config, output=Path(temporary) / "new"), bar.show, several=several)
        check_is_new(folder, card, new.card)
        at = compared_at(asked.task, asked.name, files, card, new.card)
        try:
            compared = compare_trainings(
                before, config, at.keep_at, bar.show, several=several, served_with=at.raised_by(new.card)
            )
        except TooFewToHoldOutError as error:
            raise SpratError(
                f"what the corrections bring cannot be compared: {error}. Add texts; or, to train on all of them "
                f"without a comparison, run\n  {training_command(config, folder, several=several)}"
            ) from None
    return NewVersion(new, compared, at)


def check_is_new(folder: Path, served: Card, new: Card) -> None:
    """Check that another version came out of a training than the served one.

    Raises:
        SpratError: it is the same, or one that answers each text alike: all files but the record of the training are
            the same, and the card reads them with the same parameters and the same `keep_at`.
    """
    if _answering(served) != _answering(new):
        return
    why = "" if served.version == new.version else ", as what is new in the files changes nothing in it"
    raise SpratError(
        f"the same version comes out{why}: there is nothing new to learn; {folder} stays as it is, version "
        f"{served.version}"
    )


def _answering(card: Card) -> tuple[object, ...]:
    """Return what decides the answers of a version, and which of them it keeps."""
    files = {name: digest for name, digest in card.files.items() if name != RECORD}
    return card.labels, files, card.built_on, card.lexical, card.calibration.parameters, card.keep_at
