"""A new version and the served one, trained and compared in a temporary folder."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from sprat.errors import SpratError
from sprat_cli.progress import ProgressBar
from sprat_cli.retrain.corrections import AskedModel
from sprat_cli.retrain.keep_at import ComparedAt, compared_at
from sprat_cli.retrain.learnt import Learnt
from sprat_cli.retrain.trained import Trained, train_version
from sprat_inference.card import Card
from sprat_inference.label_sets import MULTI_LABEL
from sprat_policy import TaskFile
from sprat_training.config import TrainingConfig
from sprat_training.evaluation.comparison import Comparison, compare
from sprat_training.record import FILE as RECORD


@dataclass(frozen=True, slots=True)
class VersionsCompared:
    """A new version, and how it compares with the served one."""

    result: Trained
    comparison: Comparison
    at: ComparedAt
    """The keep_at of the comparison."""
    kept_at_own: float
    """Share of the texts held out that the new version keeps at the keep_at of its own card."""
    stand_in: Card | None
    """Of the version that was trained alike and compared; None where the served version itself was."""


def train_and_compare(
    config: TrainingConfig, folder: Path, card: Card, learnt: Learnt | None, asked: AskedModel, file: TaskFile | None
) -> VersionsCompared:
    """Train the new version in a temporary folder, and compare it with the served one, at one `keep_at`.

    A served version that was trained on the texts that are held out now would seem better than it is. What stands for
    it has the corrections that it has learnt, else the new version would seem better.

    Args:
        config: of the new version.
        folder: of the served version.
        card: of the served version.
        learnt: what the served version has learnt; None where it is compared itself.
        asked: the model, as texts ask for it.
        file: of the task; None for the task `intent`.

    Raises:
        SpratError: the served version comes out again.
        UserError: a file or the policy cannot be read.
    """
    several = card.kind == MULTI_LABEL
    with tempfile.TemporaryDirectory(prefix="sprat-retrain-") as temporary, ProgressBar() as bar:
        new, alike = Path(temporary) / "new", Path(temporary) / "alike"
        result = train_version(replace(config, output=new), bar.show, several=several)
        if learnt is None:
            check_is_new(folder, card, result.card)
        stand_in = None
        if learnt is not None:
            before = replace(learnt.before(config, Path(temporary)), output=alike)
            stand_in = train_version(before, bar.show, several=several).card
        at = compared_at(asked, file, card, result.card)
        served = result.answers(folder if learnt is None else alike, config.threads, bar)
        answers = result.answers(new, config.threads, bar)
    comparison = compare(result.judged(served, at.keep_at), result.judged(answers, at.keep_at))
    kept_at_own = float(result.judged(answers, result.card.keep_at).kept.mean())
    return VersionsCompared(result, comparison, at, kept_at_own, stand_in)


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
