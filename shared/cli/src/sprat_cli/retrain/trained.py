"""A new version: of one label a text, or of several."""

from collections.abc import Mapping
from dataclasses import dataclass

from sprat_cli.train.label_sets import label_set_findings
from sprat_inference.card import Card
from sprat_training.config import OnTrainingProgress, TrainingConfig
from sprat_training.figures import TrainingFigures
from sprat_training.findings import findings
from sprat_training.label_issues import LabelIssue
from sprat_training.label_set_fit import SetFigures
from sprat_training.label_set_train import LabelSetTraining, train_label_sets
from sprat_training.train import TrainingResult, train
from sprat_training.verdict import LITTLE, Verdict


@dataclass(frozen=True, slots=True)
class Trained:
    """A version that was trained."""

    card: Card
    figures: TrainingFigures | SetFigures
    """By heads that were not fitted on the texts."""
    texts: int
    """That were fitted, with labels or, where a text may have several, without."""
    outside: int
    """Texts outside every label that were used; where a text may have several labels, those of `texts` without one."""
    dropped_labels: Mapping[str, int]
    """Labels that were left out → texts."""
    findings: tuple[str, ...]
    """In the files, a sentence each."""
    doubted: tuple[LabelIssue, ...]
    """Rows whose labels are doubted, or that were left out for that."""
    verdict: Verdict

    @property
    def several(self) -> bool:
        """Return whether a text may have several labels."""
        return isinstance(self.figures, SetFigures)

    @property
    def outside_share(self) -> float:
        """Return the share of the traffic outside every label that the figures assume."""
        return 0.0 if isinstance(self.figures, SetFigures) else self.figures.outside_share


def train_version(config: TrainingConfig, progress: OnTrainingProgress, *, several: bool) -> Trained:
    """Train a version and write its artefact.

    Raises:
        UserError: the files or the output folder cannot be used.
    """
    return _of_sets(train_label_sets(config, progress)) if several else _of_labels(train(config, progress))


def _of_labels(result: TrainingResult) -> Trained:
    sources = result.sources
    return Trained(
        card=result.card,
        figures=result.figures,
        texts=len(result.data.texts),
        outside=len(sources.outside),
        dropped_labels=sources.summary.dropped_labels,
        findings=tuple(findings(result)),
        doubted=result.label_issues or result.dropped,
        verdict=result.verdict,
    )


def _of_sets(result: LabelSetTraining) -> Trained:
    data = result.sources.data
    return Trained(
        card=result.card,
        figures=result.figures,
        texts=len(data.texts),
        outside=int((~data.gold.any(axis=1)).sum()),
        dropped_labels=result.sources.dropped_labels,
        findings=tuple(label_set_findings(result)),
        doubted=(),
        verdict=_verdict_of_sets(result),
    )


def _verdict_of_sets(result: LabelSetTraining) -> Verdict:
    """Return what is kept at the keep_at of the card, by heads that had not seen the texts."""
    kept = result.figures.at(result.card.keep_at)
    if not kept.share:
        return Verdict("poor", "It keeps nothing: every text is escalated.", None, (), keep_at_holds=True)
    sentence = (
        f"At keep_at {result.card.keep_at:.2f}, {kept.share:.1%} of the texts are kept; of these, all labels are right "
        f"in {kept.shown_right}."
    )
    return Verdict("good" if kept.share >= LITTLE else "fair", sentence, None, (), keep_at_holds=True)
