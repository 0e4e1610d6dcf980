"""A whole training: read, prepare, encode, fit, calibrate, measure, write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from sprat.errors import UserError
from sprat_inference.card import Card
from sprat_inference.heads import Floats
from sprat_inference.label_calibration import RIGHT, LabelCalibrator, features
from sprat_training.config import OnTrainingProgress, TrainingConfig
from sprat_training.data import MIN_TEXTS, TrainingData
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.datasets.rows import normalised_text
from sprat_training.doubles import DoublesFound, core_numbers, find_doubles
from sprat_training.encoding import BaseEncoder, encode_texts, load_base_of
from sprat_training.evaluation.metrics import ModelReadings
from sprat_training.figures import TrainingFigures, measure, readings_of
from sprat_training.fitting import (
    CrossValidation,
    cross_validate,
    features_of,
    fit_calibrator,
    group_numbers,
    logits_of,
    text_folds,
)
from sprat_training.label_issues import LabelIssue, find_label_issues
from sprat_training.lexical_gate import FOLDS, LexicalFit, LexicalGate, fit_lexical_stage
from sprat_training.model_card import describe, with_figures, with_stage, write_model
from sprat_training.sources import Sources, read_sources
from sprat_training.verdict import LITTLE, Verdict, conclude, kept_without


@dataclass(frozen=True, slots=True)
class FittedLabels:
    """What a training fitted, before it is written."""

    config: TrainingConfig
    base: BaseEncoder
    sources: Sources
    data: TrainingData
    """What was fitted: that of the sources without the rows in `dropped`."""
    cores: NDArray[np.int64]
    """Of each text of `data`, see :func:`sprat_training.doubles.core_numbers`."""
    groups: NDArray[np.int64]
    """Of each text of `data`, see :func:`sprat_training.fitting.group_numbers`."""
    validation: CrossValidation
    calibrator: LabelCalibrator
    stage: LexicalFit | None
    figures: TrainingFigures
    """By heads that were not fitted on the texts."""
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


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training found and wrote."""

    config: TrainingConfig
    card: Card
    sources: Sources
    data: TrainingData
    """What was fitted: that of the sources without the rows in `dropped`."""
    label_issues: tuple[LabelIssue, ...]
    """Their `index`, like that of `dropped`, is into the data of the sources."""
    dropped: tuple[LabelIssue, ...]
    """Rows that were left out because their labels are doubted, as the user asked."""
    verdict: Verdict
    predicted: NDArray[np.int64]
    """For each text of `data` the label that a head says which was not fitted on it."""
    figures: TrainingFigures
    """By heads that were not fitted on the texts."""
    test: TrainingFigures | None
    """On the test file."""
    labels_held_out: bool
    """Whether held-out labels took the place of texts outside every label."""
    stage: LexicalGate | None
    """What the lexical stage does; None where the model has none."""
    doubles: DoublesFound
    """Texts that repeat others but for opening and ending."""
    truncated: int
    """Number of texts that are longer than the encoder reads."""


def train(config: TrainingConfig, progress: OnTrainingProgress) -> TrainingResult:
    """Train a model and write its artefact.

    Raises:
        UserError: the files or the output folder cannot be used.
    """
    sources = read_sources(config)
    with TemporaryDirectory(prefix="sprat-encoder-") as scratch:
        base = load_base_of(config, Path(scratch))
        check_languages(config, base)
        return write_training(fit_labels(base, sources, config, progress), progress)


def fit_labels(
    base: BaseEncoder, sources: Sources, config: TrainingConfig, progress: OnTrainingProgress
) -> FittedLabels:
    """Fit a head, its calibration and, where it pays, a lexical stage."""
    data, outside = sources.data, sources.outside
    encoded = encode_texts(base.encoder, data.texts, progress)
    outside_vectors = encode_texts(base.encoder, outside, progress, "reading texts outside").vectors
    vectors, cores = encoded.vectors, core_numbers(data.texts)
    validation = cross_validate(vectors, data.gold, len(data.labels), outside_vectors, progress, cores=cores)
    issues = find_label_issues(data, validation.logits)
    dropped: tuple[LabelIssue, ...] = ()
    places = np.arange(len(data.gold))
    if config.drop_suspects and issues:
        dropped = _droppable(data, issues)
        places = np.delete(places, [each.index for each in dropped])
        data, vectors, cores = data.take(places), vectors[places], cores[places]
        validation = cross_validate(vectors, data.gold, len(data.labels), outside_vectors, progress, cores=cores)
        issues = find_label_issues(data, validation.logits)
    best = validation.logits.argmax(axis=1)
    calibrator = fit_calibrator(validation.inside, best == data.gold, validation.outside, config.outside_share)

    groups = group_numbers(vectors, data.gold, cores)
    figures = _validation_figures(validation, data, calibrator, config, None, groups)
    stage = _lexical_stage(config, data, vectors, cores, outside, validation, calibrator, figures, progress)
    if stage is not None:
        figures = _validation_figures(validation, data, calibrator, config, stage, groups)
    return FittedLabels(
        config=config,
        base=base,
        sources=sources,
        data=data,
        cores=cores,
        groups=groups,
        validation=validation,
        calibrator=calibrator,
        stage=stage,
        figures=figures,
        label_issues=issues,
        dropped=dropped,
        places=places,
        truncated=encoded.truncated,
    )


def write_training(fitted: FittedLabels, progress: OnTrainingProgress) -> TrainingResult:
    """Measure what was fitted, judge it, and write its artefact.

    Raises:
        UserError: the folder cannot be written.
    """
    config, sources, data, stage = fitted.config, fitted.sources, fitted.data, fitted.stage
    figures, validation, issues, dropped = fitted.figures, fitted.validation, fitted.label_issues, fitted.dropped
    outside, test = sources.outside, sources.test
    test_figures = None if test is None else _test_figures(fitted, test, progress)
    kept = figures.kept_at(figures.recommended(config.accuracy))
    little = kept is None or kept.share < LITTLE
    without = kept_without(validation, data, issues, config) if little else None
    held_out = validation.labels_held_out
    doubles = find_doubles(data, fitted.cores, () if test is None else test.texts)
    verdict = conclude(
        config, data, sources.summary, issues, figures, test_figures, without, doubles, labels_held_out=held_out
    )
    longest = max(len(text) for text in (*data.texts, *outside))
    draft = describe(
        config,
        fitted.base,
        data,
        validation,
        fitted.calibrator,
        outside_texts=len(outside),
        longest=longest,
        dropped=len(dropped),
    )
    card = with_figures(draft, config, figures, test_figures, validation.folds, verdict)
    if stage is not None:
        card = with_stage(card, stage)
    return TrainingResult(
        config=config,
        card=write_model(
            config, fitted.base, validation.head, card, (*data.texts, *outside), None if stage is None else stage.model
        ),
        sources=sources,
        data=data,
        label_issues=tuple(replace(each, index=int(fitted.places[each.index])) for each in issues),
        dropped=dropped,
        verdict=verdict,
        predicted=validation.logits.argmax(axis=1),
        figures=figures,
        test=test_figures,
        labels_held_out=held_out,
        stage=None if stage is None else stage.gate,
        doubles=doubles,
        truncated=fitted.truncated,
    )


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


def _lexical_stage(
    config: TrainingConfig,
    data: TrainingData,
    vectors: Floats,
    cores: NDArray[np.int64],
    outside: Sequence[str],
    validation: CrossValidation,
    calibrator: LabelCalibrator,
    figures: TrainingFigures,
    progress: OnTrainingProgress,
) -> LexicalFit | None:
    """Fit the stage where it is wanted and pays; one that answers what nobody keeps does not."""
    found = figures.recommended(config.accuracy)
    if not config.lexical or found is None:
        return None
    return fit_lexical_stage(
        data.texts,
        data.gold,
        len(data.labels),
        outside,
        text_folds(vectors, data.gold, FOLDS, cores=cores),
        validation,
        calibrator,
        found.keep_at,
        config.outside_share,
        config.languages,
        progress,
    )


def _validation_figures(
    validation: CrossValidation,
    data: TrainingData,
    calibrator: LabelCalibrator,
    config: TrainingConfig,
    stage: LexicalFit | None,
    inside_groups: NDArray[np.int64],
) -> TrainingFigures:
    behind = calibrator if stage is None else stage.passed_on
    readings = readings_of(validation.logits, validation.inside, data.gold, validation.outside, behind)
    best = validation.logits.argmax(axis=1)
    if stage is not None:
        answered = np.concatenate([stage.answered, stage.outside_answered])
        chances = np.concatenate([stage.chances, stage.outside_chances])
        best = np.where(stage.answered, stage.best, best)
        readings = readings.answered_by_another(answered, chances, best == data.gold)
    different = len(np.unique(validation.outside_texts))
    groups = validation.outside_groups
    return measure(readings, best, data.gold, data.labels, config.outside_share, groups, different, inside_groups)


def _test_figures(fitted: FittedLabels, test: LabelledTexts, progress: OnTrainingProgress) -> TrainingFigures:
    labels = fitted.data.labels
    readings, best = fitted.read(test.texts, test.labels, fitted.sources.outside_test, progress)
    gold = np.array([labels.index(label) for label in test.labels], dtype=np.int64)
    groups = core_numbers(test.texts)
    return measure(readings, best, gold, labels, fitted.config.outside_share, inside_groups=groups)


def check_languages(config: TrainingConfig, base: BaseEncoder) -> None:
    """Check that the encoder reads the languages of the texts.

    Raises:
        UserError: it does not read one.
    """
    unknown = [language for language in config.languages if language not in base.card.languages]
    if unknown and base.card.languages:  # none are named where they are not known
        raise UserError(
            f"--language {unknown[0]}: the encoder {base.card.name} reads {', '.join(base.card.languages)}; "
            "name one of these, or another --encoder"
        )
