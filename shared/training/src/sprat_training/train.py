"""A whole training: read, prepare, encode, fit, calibrate, measure, write."""

from dataclasses import dataclass

import numpy as np

from sprat.errors import UserError
from sprat_inference.card import Card
from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_calibration import LabelCalibrator
from sprat_training.config import OnTrainingProgress, TrainingConfig
from sprat_training.data import TrainingData
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.encoding import BaseEncoder, encode_texts, load_base
from sprat_training.figures import TrainingFigures, measure, readings_of
from sprat_training.fitting import CrossValidation, cross_validate, features_of, fit_calibrator, logits_of
from sprat_training.label_issues import LabelIssue, find_label_issues
from sprat_training.model_card import describe, with_figures, write_model
from sprat_training.sources import Sources, read_sources


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a training found and wrote."""

    config: TrainingConfig
    card: Card
    sources: Sources
    label_issues: tuple[LabelIssue, ...]
    figures: TrainingFigures
    """By heads that were not fitted on the texts."""
    test: TrainingFigures | None
    """On the test file."""
    labels_held_out: bool
    """Whether held-out labels took the place of texts outside every label."""
    truncated: int
    """Number of texts that are longer than the encoder reads."""


def train(config: TrainingConfig, progress: OnTrainingProgress) -> TrainingResult:
    """Train a model and write its artefact.

    Raises:
        UserError: the files or the output folder cannot be used.
    """
    sources = read_sources(config)
    data, outside, test = sources.data, sources.outside, sources.test
    base = load_base(config.encoder, threads=config.threads)
    _check_languages(config, base)

    encoded = encode_texts(base.encoder, data.texts, progress)
    outside_vectors = encode_texts(base.encoder, outside, progress, "reading texts outside").vectors
    validation = cross_validate(encoded.vectors, data.gold, len(data.labels), outside_vectors, progress)
    right = validation.logits.argmax(axis=1) == data.gold
    calibrator = fit_calibrator(validation.inside, right, validation.outside, config.outside_share)

    figures = _validation_figures(validation, data, calibrator, config)
    test_figures = None if test is None else _test_figures(test, base, validation.head, data, calibrator, progress)
    longest = max(len(text) for text in (*data.texts, *outside))
    draft = describe(config, base, data, validation, calibrator, outside_texts=len(outside), longest=longest)
    card = with_figures(draft, config, figures, test_figures, validation.folds)
    return TrainingResult(
        config=config,
        card=write_model(config.output, base, validation.head, card),
        sources=sources,
        label_issues=find_label_issues(data, validation.logits),
        figures=figures,
        test=test_figures,
        labels_held_out=validation.labels_held_out,
        truncated=encoded.truncated,
    )


def _validation_figures(
    validation: CrossValidation, data: TrainingData, calibrator: LabelCalibrator, config: TrainingConfig
) -> TrainingFigures:
    readings = readings_of(validation.logits, data.gold, validation.outside, calibrator)
    return measure(readings, validation.logits.argmax(axis=1), data.gold, data.labels, config.outside_share)


def _test_figures(
    test: LabelledTexts,
    base: BaseEncoder,
    head: LabelHead,
    data: TrainingData,
    calibrator: LabelCalibrator,
    progress: OnTrainingProgress,
) -> TrainingFigures:
    logits: Floats = logits_of(head, encode_texts(base.encoder, test.texts, progress, "reading the test").vectors)
    numbers = {label: number for number, label in enumerate(data.labels)}
    gold = np.array([numbers[label] for label in test.labels], dtype=np.int64)
    readings = readings_of(logits, gold, features_of(logits[:0]), calibrator)
    return measure(readings, logits.argmax(axis=1), gold, data.labels, 0.0)


def _check_languages(config: TrainingConfig, base: BaseEncoder) -> None:
    unknown = [language for language in config.languages if language not in base.card.languages]
    if unknown:
        raise UserError(
            f"--language {unknown[0]}: the encoder {base.card.name} reads {', '.join(base.card.languages)}; "
            "name one of these, or another --encoder"
        )
