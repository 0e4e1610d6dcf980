"""What the user asks of a training, and how progress is reported."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sprat_training.datasets.columns import ColumnNames
from sprat_training.datasets.tables import AUTO

OnTrainingProgress = Callable[[str, int, int], None]
"""Is called with the name of the step, the work done, and the whole work of that step."""


def no_progress(_step: str, _done: int, _total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """The inputs, the output and the parameters of one training."""

    files: tuple[Path, ...]
    """Where a later one labels the text of an earlier one, its label counts."""
    output: Path
    """Folder of the artefact."""
    name: str
    columns: ColumnNames = field(default_factory=ColumnNames)
    encoding: str = AUTO
    """Of all files, as `read_text` takes it."""
    corrections: Path | None = None
    """Of `files`, the one that Sprat writes, with `text` and `label` whatever `columns` and `encoding` say."""
    skip_bad_rows: Path | None = None
    """Where rows that cannot be used are written; None refuses files with such rows."""
    merge_case: bool = False
    """Take labels that differ by case or white space alone as one."""
    outside_file: Path | None = None
    """Texts outside every label."""
    outside_label: str = "oos"
    """The label that means "outside every label", in the file itself and in the test file; `oos` does so, too."""
    test_file: Path | None = None
    hold_out: frozenset[str] | None = None
    """Texts to leave out and to test on, each as :func:`sprat_training.datasets.rows.normalised_text` returns it."""
    languages: tuple[str, ...] = ("en",)
    encoder: Path | None = None
    """Folder of an artefact with an encoder, or of a sentence encoder of others, or the id of such a one on a hub;
    `both` for the two shared ones side by side; None for the multilingual one of them."""
    encoder_prefix: str | None = None
    """What an encoder of others reads before every text; None for what it states."""
    encoder_licence: str | None = None
    """Licence of an encoder of others; None for what its README states."""
    goal: float | None = None
    """Share right asked of the answers that are kept, named before labels are read; None for the recommended one."""
    outside_share: float = 0.1
    """Assumed share of the traffic outside every label."""
    drop_small: bool = False
    """Leave out labels with too few texts instead of refusing the file."""
    drop_suspects: bool = False
    """Train without the rows whose labels are doubted."""
    sample: int | None = None
    """Fit only so many texts."""
    lexical: bool = True
    """Fit a lexical stage before the encoder, where it pays."""
    licence: str = "LicenseRef-own-data"
    threads: int = 2

    @property
    def source(self) -> str:
        """Return the names of the files, for a sentence."""
        return " and ".join(file.name for file in self.files)
