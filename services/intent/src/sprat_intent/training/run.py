"""A whole training: read, look, encode, fit, calibrate, measure, write."""

import numpy as np

from sprat.errors import UserError
from sprat.labelled import Labelled, read_labelled
from sprat_intent.calibration import Calibrator
from sprat_intent.head import Floats, Head
from sprat_intent.training.bases import Base, load_base
from sprat_intent.training.carding import describe, with_figures
from sprat_intent.training.crossing import Crossed, cross
from sprat_intent.training.figures import Figures, measure, seen_of
from sprat_intent.training.fitting import features_of, fit_calibrator, logits_of
from sprat_intent.training.preparing import Training, prepare
from sprat_intent.training.progress import Progress
from sprat_intent.training.sources import outside_texts, parted, texts_to_test
from sprat_intent.training.suspects import suspects
from sprat_intent.training.vectors import vectors_of
from sprat_intent.training.wish import Trained, Wish
from sprat_intent.training.writing import write_model


def train(wish: Wish, progress: Progress) -> Trained:
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


def _figures(logits: Floats, training: Training, crossed: Crossed, calibrator: Calibrator, wish: Wish) -> Figures:
    seen = seen_of(logits, training.gold, crossed.outside, calibrator)
    return measure(seen, logits.argmax(axis=1), training.gold, training.labels, wish.outside_share)


def _tested(
    test: Labelled, base: Base, head: Head, training: Training, calibrator: Calibrator, progress: Progress
) -> Figures:
    logits = logits_of(head, vectors_of(base.encoder, test.texts, progress, "reading the test").rows)
    number = {label: place for place, label in enumerate(training.labels)}
    gold = np.array([number[label] for label in test.labels], dtype=np.int64)
    seen = seen_of(logits, gold, features_of(logits[:0]), calibrator)
    return measure(seen, logits.argmax(axis=1), gold, training.labels, 0.0)


def _check_languages(wish: Wish, base: Base) -> None:
    unknown = [language for language in wish.languages if language not in base.card.languages]
    if unknown:
        raise UserError(
            f"--language {unknown[0]}: the encoder {base.card.name} reads {', '.join(base.card.languages)}; "
            "name one of these, or another --encoder"
        )
