"""A whole training: read, look, encode, fit, calibrate, measure, write."""

import numpy as np

from sprat.errors import UserError
from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_calibration import LabelCalibrator
from sprat_training.config import OnTrainingProgress, Trained, TrainingConfig
from sprat_training.cross_validation import CrossValidated, cross
from sprat_training.datasets.reading import read_labelled
from sprat_training.datasets.rows import Labelled
from sprat_training.encoding import Base, load_base, vectors_of
from sprat_training.figures import TrainingFigures, measure, seen_of
from sprat_training.fitting import features_of, fit_calibrator, logits_of
from sprat_training.label_issues import suspects
from sprat_training.model_card import describe, with_figures
from sprat_training.preparation import Training, prepare
from sprat_training.sources import outside_texts, parted, texts_to_test
from sprat_training.writing import write_model


def train(wish: TrainingConfig, progress: OnTrainingProgress) -> Trained:
    """Do it all, and write the artefact.

    Raises:
        UserError: the files, or the place to write to, cannot be used.
    """
    data, strangers = parted(read_labelled(wish.file, wish.wanted), wish.outside_label)
    training, look = prepare(data, drop_small=wish.drop_small, sample=wish.sample, outside_label=wish.outside_label)
    outside = outside_texts(wish, training, strangers)
    test, leaks = (None, None) if wish.test_file is None else texts_to_test(wish, training)
    base = load_base(wish.encoder, threads=wish.threads)
    _check_languages(wish, base)
    read = vectors_of(base.encoder, training.texts, progress)
    strange = vectors_of(base.encoder, outside, progress, "reading texts outside").rows
    crossed = cross(read.rows, training.gold, len(training.labels), strange, progress)
    right = crossed.logits.argmax(axis=1) == training.gold
    calibrator = fit_calibrator(crossed.inside, right, crossed.outside, wish.outside_share)
    figures = _figures(crossed.logits, training, crossed, calibrator, wish)
    tested = None if test is None else _tested(test, base, crossed.head, training, calibrator, progress)
    longest = max(len(text) for text in (*training.texts, *outside))
    draft = describe(wish, base, training, crossed, calibrator, len(outside), longest)
    card = write_model(wish.output, base, crossed.head, with_figures(draft, wish, figures, tested, crossed.folds))
    return Trained(
        wish=wish,
        card=card,
        training=training,
        look=look,
        suspects=suspects(training, crossed.logits),
        figures=figures,
        test=tested,
        leaks=leaks,
        stand_ins=crossed.stand_ins,
        folds=crossed.folds,
        truncated=read.truncated,
    )


def _figures(
    logits: Floats, training: Training, crossed: CrossValidated, calibrator: LabelCalibrator, wish: TrainingConfig
) -> TrainingFigures:
    seen = seen_of(logits, training.gold, crossed.outside, calibrator)
    return measure(seen, logits.argmax(axis=1), training.gold, training.labels, wish.outside_share)


def _tested(
    test: Labelled,
    base: Base,
    head: LabelHead,
    training: Training,
    calibrator: LabelCalibrator,
    progress: OnTrainingProgress,
) -> TrainingFigures:
    logits = logits_of(head, vectors_of(base.encoder, test.texts, progress, "reading the test").rows)
    number = {label: place for place, label in enumerate(training.labels)}
    gold = np.array([number[label] for label in test.labels], dtype=np.int64)
    seen = seen_of(logits, gold, features_of(logits[:0]), calibrator)
    return measure(seen, logits.argmax(axis=1), gold, training.labels, 0.0)


def _check_languages(wish: TrainingConfig, base: Base) -> None:
    unknown = [language for language in wish.languages if language not in base.card.languages]
    if unknown:
        raise UserError(
            f"--language {unknown[0]}: the encoder {base.card.name} reads {', '.join(base.card.languages)}; "
            "name one of these, or another --encoder"
        )
