"""How far a training is, for whoever waits."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sprat_inference.card import Card
from sprat_training.datasets.columns import Wanted
from sprat_training.figures import TrainingFigures
from sprat_training.label_issues import LabelIssue
from sprat_training.preparation import Look, Training

OnTrainingProgress = Callable[[str, int, int], None]
"""Gets the step in words, how much of it is done, and how much there is."""


def silent(_step: str, _done: int, _all: int) -> None:
    """Say nothing."""


# What a person asks of a training, and what comes of it.


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One training."""

    file: Path
    output: Path
    """Folder of the artefact."""
    name: str
    wanted: Wanted = field(default_factory=Wanted)
    outside_file: Path | None = None
    """Texts outside every label."""
    outside_label: str = "oos"
    """Stands for "outside every label" in the file itself and in the test."""
    test_file: Path | None = None
    languages: tuple[str, ...] = ("en",)
    encoder: Path | None = None
    right: float = 0.97
    """Wanted share of right answers among those kept."""
    outside_share: float = 0.1
    drop_small: bool = False
    sample: int | None = None
    licence: str = "LicenseRef-own-data"
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Leaks:
    """Rows of the test file that are no test."""

    rows: tuple[int, ...]
    """Rows whose text is trained on, too; they are left out of the figures."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it."""

    wish: TrainingConfig
    card: Card
    training: Training
    look: Look
    suspects: tuple[LabelIssue, ...]
    figures: TrainingFigures
    """By heads that had not seen the texts."""
    test: TrainingFigures | None
    """On the test file."""
    leaks: Leaks | None
    stand_ins: bool
    """Labels held out in turn stood in for texts outside."""
    folds: int
    truncated: int
    """Texts longer than the encoder reads."""
