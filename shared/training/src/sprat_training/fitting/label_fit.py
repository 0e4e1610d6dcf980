"""Fit a model that gives a text one label, and read texts with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.thresholds import recommended_goal, thousandths
from sprat_inference.card import DoubtsCard
from sprat_inference.heads import Floats
from sprat_inference.label_calibration import OUTSIDE, RIGHT, LabelCalibrator, features
from sprat_training.datasets.config import OnTrainingProgress, TrainingConfig
from sprat_training.datasets.distinct import MIN_TEXTS, TrainingData
from sprat_training.datasets.doubles import DoublesFound, core_numbers, doubles_of
from sprat_training.datasets.languages import languages_read
from sprat_training.datasets.rows import normalised_text
from sprat_training.datasets.sources import Sources
from sprat_training.evaluation.metrics import ModelReadings
from sprat_training.fitting.doubt_fit import fit_doubts
from sprat_training.fitting.encoding import BaseEncoder, encode_texts
from sprat_training.fitting.figures import Figures, figures_of_labels, readings_of
from sprat_training.fitting.heads import (
    CrossValidation,
    cross_validate,
    features_of,
    fit_calibrator,
    group_numbers,
    logits_of,
    text_folds,
)
from sprat_training.fitting.label_issues import LabelIssue, find_label_issues
from sprat_training.fitting.lexical_gate import FOLDS, LexicalFit, fit_lexical_stage
from sprat_training.fitting.noise import LEAST_TEXTS, copies_to_train
from sprat_training.thresholds import Rows, estimate


@dataclass(frozen=True, slots=True)
class FittedLabels:
    """What a training fitted, before it is written."""

    config: TrainingConfig
    base: BaseEncoder
    sources: Sources
    data: TrainingData
    """What was fitted: that of the sources without the rows in `dropped`."""
    cores: NDArray[np.int64]
    """Of each text of `data`, see :func:`sprat_training.datasets.doubles.core_numbers`."""
    groups: NDArray[np.int64]
    """Of each text of `data`, see :func:`sprat_training.fitting.heads.group_numbers`."""
    validation: CrossValidation
    calibrator: LabelCalibrator
    stage: LexicalFit | None
    label_issues: tuple[LabelIssue, ...]
    """Their `index` is into `data`."""
    dropped: tuple[LabelIssue, ...]
    """Rows that were left out because their labels are doubted, as the user asked; their `index` is into the data
    of the sources."""
    places: NDArray[np.int64]
    """Of each text of `data` its index in the data of the sources."""
    truncated: int
    """Number of texts that are longer than the encoder reads."""

    def read(
        self, texts: Sequence[str], labels: Sequence[str], outside: Sequence[str], progress: OnTrainingProgress
    ) -> tuple[ModelReadings, NDArray[np.int64]]:
        """Return what a service would publish of texts with a label, followed by texts outside every label.

        Args:
            texts: that were not fitted.
            labels: the right label of each; nothing that is said of one with an unknown label is right.
            outside: texts outside every label.
            progress: is called after each step.

        Returns:
            The readings, and for each text with a label the index of the likeliest one.
        """
        every, inside = (*texts, *outside), len(texts)
        vectors = encode_texts(self.base.encoder, every, progress, "reading the test").vectors
        head, stage = self.validation.head, self.stage
        logits: Floats = logits_of(head, vectors[:inside])
        # Where spellings are merged, the one that is most frequent may be another one in other files.
        spelt = normalised_text if self.config.merge_case else str
        numbers = {spelt(label): number for number, label in enumerate(self.data.labels)}
        gold = np.array([numbers.get(spelt(label), -1) for label in labels], dtype=np.int64)
        behind = self.calibrator if stage is None else stage.passed_on
        read = features_of(head, vectors)
        readings = readings_of(logits, read[:inside], gold, read[inside:], behind)
        best = logits.argmax(axis=1)
        if stage is not None:
            by_words = stage.model.logits(every)
            chances = stage.calibrator.chances(features(by_words))
            answered = chances[:, RIGHT] >= stage.gate.answers_from
            best = np.where(answered[:inside], by_words[:inside].argmax(axis=1), best)
            readings = readings.answered_by_another(answered, chances, best == gold)
        return readings, best

    def doubts(self, progress: OnTrainingProgress) -> DoubtsCard:
        """Return what the card says of doubts; the parts of texts are read by the head alone."""

        def read(parts: Sequence[str]) -> list[tuple[str | None, float]]:
            vectors = encode_texts(self.base.encoder, parts, progress, "reading parts of texts").vectors
            logits = logits_of(self.validation.head, vectors)
            chances = self.calibrator.chances(features(logits))
            best, right = logits.argmax(axis=1).tolist(), chances[:, RIGHT]
            labels = (
                None if outside else self.data.labels[place]
                for place, outside in zip(best, chances[:, OUTSIDE] > right, strict=True)
            )
            return list(zip(labels, right.tolist(), strict=True))

        return fit_doubts(self.data.texts, self.data.gold, self.data.labels, read)

    def held_out(self) -> Figures:
        """Return the figures by heads that were not fitted on the texts, weighted as traffic."""
        validation, stage, data, share = self.validation, self.stage, self.data, self.config.outside_share
        behind = self.calibrator if stage is None else stage.passed_on
        read = readings_of(validation.logits, validation.inside, data.gold, validation.outside, behind)
        best = validation.logits.argmax(axis=1)
        if stage is not None:
            answered = np.concatenate([stage.answered, stage.outside_answered])
            chances = np.concatenate([stage.chances, stage.outside_chances])
            best = np.where(stage.answered, stage.best, best)
            read = read.answered_by_another(answered, chances, best == data.gold)
        inside, beyond = len(data.gold), len(validation.outside)
        texts = data.texts if validation.labels_held_out else self.sources.outside
        every = (*data.texts, *(texts[place] for place in validation.outside_texts))
        first = np.zeros(beyond, np.bool_)
        first[np.unique(validation.outside_texts, return_index=True)[1]] = True
        weight = np.full(beyond, share / (1 - share) * inside / max(beyond, 1))
        rows = Rows.of(
            read.confidence,
            read.right,
            says_none=read.is_rejected,
            languages=languages_read(every, self.config.languages),
            weight=np.concatenate([np.ones(inside), weight]),
            real=np.concatenate([np.ones(inside, np.bool_), first & (not validation.labels_held_out)]),
            outside=~read.in_scope,
            group=np.concatenate([self.groups, validation.outside_groups + int(self.groups.max()) + 1]),
        )
        rows, hidden = rows.where(rows.weight > 0), validation.labels_held_out
        return figures_of_labels(rows, best, data.gold, data.labels, hidden=hidden)

    def tested(self, doubles: DoublesFound, progress: OnTrainingProgress) -> Figures | None:
        """Return the figures on the test, whose rows certify but for doubles of trained ones; None without a test."""
        test, outside = self.sources.test, self.sources.outside_test
        if test is None:
            return None
        read, best = self.read(test.texts, test.labels, outside, progress)
        gold = np.array([self.data.labels.index(label) for label in test.labels], dtype=np.int64)
        texts = (*test.texts, *outside)
        rows = Rows.of(
            read.confidence,
            read.right,
            says_none=read.is_rejected,
            languages=languages_read(texts, self.config.languages),
            outside=~read.in_scope,
            certifies=~np.concatenate([doubles.test, doubles_of(outside, self.sources.outside)]),
            group=core_numbers(texts),
        )
        return figures_of_labels(rows, best, gold, self.data.labels)


def fit_labels(
    base: BaseEncoder, sources: Sources, config: TrainingConfig, progress: OnTrainingProgress
) -> FittedLabels:
    """Fit a head, its calibration and, where it pays, a lexical stage."""
    data, outside = sources.data, sources.outside
    encoded = encode_texts(base.encoder, data.texts, progress)
    outside_vectors = encode_texts(base.encoder, outside, progress, "reading texts outside").vectors
    vectors, cores = encoded.vectors, core_numbers(data.texts)
    copies = _copies(base, data, config, progress)
    validation = cross_validate(
        vectors, data.gold, len(data.labels), outside_vectors, progress, cores=cores, copies=copies
    )
    issues = find_label_issues(data, validation.logits)
    dropped: tuple[LabelIssue, ...] = ()
    places = np.arange(len(data.gold))
    if config.drop_suspects and issues:
        dropped = _droppable(data, issues)
        places = np.delete(places, [each.index for each in dropped])
        data, vectors, cores = data.take(places), vectors[places], cores[places]
        copies = None if copies is None else copies[places]
        validation = cross_validate(
            vectors, data.gold, len(data.labels), outside_vectors, progress, cores=cores, copies=copies
        )
        issues = find_label_issues(data, validation.logits)
    best = validation.logits.argmax(axis=1)
    fitted = FittedLabels(
        config=config,
        base=base,
        sources=sources,
        data=data,
        cores=cores,
        groups=group_numbers(vectors, data.gold, cores),
        validation=validation,
        calibrator=fit_calibrator(validation.inside, best == data.gold, validation.outside, config.outside_share),
        stage=None,
        label_issues=issues,
        dropped=dropped,
        places=places,
        truncated=encoded.truncated,
    )
    return replace(fitted, stage=_lexical_stage(fitted, vectors, progress))


def goal_of(config: TrainingConfig, task: str) -> float:
    """Return the goal that was asked for, else the recommended one."""
    return recommended_goal(task) if config.goal is None else config.goal


def _copies(
    base: BaseEncoder, data: TrainingData, config: TrainingConfig, progress: OnTrainingProgress
) -> Floats | None:
    """Return the vectors of an untidy copy of each text; None where the labels have too few texts for them."""
    if len(data.texts) < LEAST_TEXTS * len(data.labels):
        return None
    copies = copies_to_train(data.texts, languages_read(data.texts, config.languages))
    return encode_texts(base.encoder, copies, progress, "reading untidy copies").vectors


def _droppable(data: TrainingData, issues: tuple[LabelIssue, ...]) -> tuple[LabelIssue, ...]:
    """Return the rows to leave out, the most doubtful first, so that each label keeps the texts that it needs."""
    left = np.bincount(data.gold, minlength=len(data.labels))
    found = []
    for each in issues:
        label = data.gold[each.index]
        if left[label] > MIN_TEXTS:
            left[label] -= 1
            found.append(each)
    return tuple(found)


def _lexical_stage(fitted: FittedLabels, vectors: Floats, progress: OnTrainingProgress) -> LexicalFit | None:
    """Fit the stage where it is wanted and pays; one that answers what nobody keeps does not."""
    config, data = fitted.config, fitted.data
    labels = fitted.held_out().rows
    labels = labels.where(~labels.says_none)
    steps = estimate(labels.confidence, labels.right, labels.weight, labels.group)
    goal = thousandths(goal_of(config, "intent"))
    threshold = next((each.threshold for each in steps if thousandths(each.accuracy) >= goal), None)
    if not config.lexical or threshold is None:
        return None
    return fit_lexical_stage(
        data.texts,
        data.gold,
        len(data.labels),
        fitted.sources.outside,
        text_folds(vectors, data.gold, FOLDS, cores=fitted.cores),
        fitted.validation,
        fitted.calibrator,
        threshold,
        config.outside_share,
        config.languages,
        progress,
    )
