"""A new version as it is compared with the served one: of one label a text, or of several."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sprat.model import Question
from sprat_cli.assess.small_model import load_model
from sprat_cli.progress import ProgressBar
from sprat_cli.train.label_sets import label_set_findings
from sprat_inference.card import Card
from sprat_training.config import OnTrainingProgress, TrainingConfig
from sprat_training.evaluation.comparison import VersionAnswers, answers_of, set_answers_of
from sprat_training.findings import findings
from sprat_training.label_issues import LabelIssue
from sprat_training.label_set_data import named_labels
from sprat_training.label_set_train import LabelSetTraining, train_label_sets
from sprat_training.train import TrainingResult, train
from sprat_training.verdict import LITTLE, Verdict

_TEXTS_PER_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Trained:
    """A version that was trained, and what is held out of its files."""

    card: Card
    language: str
    texts: int
    """That were fitted, with labels or, where a text may have several, without."""
    outside: int
    """Texts outside every label that were used; where a text may have several labels, those of `texts` without one."""
    held_out: tuple[str, ...]
    gold: tuple[str | None, ...] | tuple[frozenset[str], ...]
    """The right label of each text that is held out, or all of them."""
    dropped_labels: Mapping[str, int]
    """Labels that were left out → texts."""
    findings: tuple[str, ...]
    """In the files, a sentence each."""
    doubted: tuple[LabelIssue, ...]
    """Rows whose labels are doubted, or that were left out for that."""
    verdict: Verdict
    outside_share: float
    """Assumed share of the traffic outside every label, in the figures of its verdict."""
    several: bool
    """Whether a text may have several labels."""

    @property
    def held_out_outside(self) -> int:
        """Return how many of the texts that are held out have no label."""
        return sum(not each for each in self.gold)

    def answers(self, folder: Path, threads: int, bar: ProgressBar) -> list[Any]:
        """Return what a version answers to the texts that are held out, see `sprat.model.Answer`."""
        model: Any = load_model(folder, threads)
        answers: list[Any] = []
        for start in range(0, len(self.held_out), _TEXTS_PER_BATCH):
            batch = self.held_out[start : start + _TEXTS_PER_BATCH]
            answers += model.answer([Question(text, self.language) for text in batch])
            bar.show("comparing", len(answers), len(self.held_out))
        return answers

    def judged(self, answers: list[Any], keep_at: float) -> VersionAnswers:
        """Return what these answers are worth at a `keep_at`."""
        judge: Any = set_answers_of if self.several else answers_of
        judged: VersionAnswers = judge(answers, self.gold, keep_at)
        return judged


def train_version(config: TrainingConfig, progress: OnTrainingProgress, *, several: bool) -> Trained:
    """Train a version and write its artefact.

    Raises:
        UserError: the files or the output folder cannot be used.
    """
    return _of_sets(train_label_sets(config, progress)) if several else _of_labels(train(config, progress))


def _of_labels(result: TrainingResult) -> Trained:
    sources, test = result.sources, result.sources.test
    return Trained(
        card=result.card,
        language=result.config.languages[0],
        texts=len(result.data.texts),
        outside=len(sources.outside),
        held_out=(*(() if test is None else test.texts), *sources.outside_test),
        gold=(*(() if test is None else test.labels), *(None for _ in sources.outside_test)),
        dropped_labels=sources.summary.dropped_labels,
        findings=tuple(findings(result)),
        doubted=result.label_issues or result.dropped,
        verdict=result.verdict,
        outside_share=result.figures.outside_share,
        several=False,
    )


def _of_sets(result: LabelSetTraining) -> Trained:
    data, test = result.sources.data, result.sources.test
    return Trained(
        card=result.card,
        language=result.config.languages[0],
        texts=len(data.texts),
        outside=int((~data.gold.any(axis=1)).sum()),
        held_out=() if test is None else test.texts,
        gold=() if test is None else named_labels(test),
        dropped_labels=result.sources.dropped_labels,
        findings=tuple(label_set_findings(result)),
        doubted=(),
        verdict=_verdict_of_sets(result),
        outside_share=0.0,
        several=True,
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
