"""The card of a trained model: what it is made of, measured at, calibrated for, and not good for."""

from collections.abc import Sequence
from hashlib import sha256

from sprat_inference.card import Calibration, Card, Score, Work, label_set_hash
from sprat_inference.heads import LABEL_READER
from sprat_inference.label_calibration import BASE_LANGUAGE, METHOD, CalibratorsByLanguage, LabelCalibrator
from sprat_training.config import TrainingConfig
from sprat_training.cross_validation import CrossValidated
from sprat_training.encoding import Base
from sprat_training.figures import LEAST_KEEP_AT, TrainingFigures
from sprat_training.preparation import Training


def describe(
    wish: TrainingConfig,
    base: Base,
    training: Training,
    crossed: CrossValidated,
    calibrator: LabelCalibrator,
    outside: int,
    longest: int,
) -> Card:
    """Give the card without scores, keep_at, version and files."""
    licences = dict.fromkeys((*base.licences, wish.licence))
    return Card(
        name=wish.name,
        version="0" * 16,
        task="intent",
        reader=LABEL_READER,
        built_on=base.built_on,
        labels=training.labels,
        label_set=label_set_hash(training.labels),
        languages=wish.languages,
        max_tokens=base.card.max_tokens,
        licence=" AND ".join(licences),
        made_of=(*base.made_of, *_works(wish)),
        scores=(),
        calibration=Calibration(
            method=METHOD,
            fitted_on=_fitted_on(wish, training, crossed, outside),
            outside_share=wish.outside_share if len(crossed.outside) else 0.0,
            longest_code_points=longest,
            parameters=dict(CalibratorsByLanguage({BASE_LANGUAGE: calibrator}).parameters()),
        ),
        keep_at=1.0,
        keep_at_rule="not yet found",
        limits=_limits(training, crossed, base.card.max_tokens),
        files={},
    )


def with_figures(
    card: Card, wish: TrainingConfig, figures: TrainingFigures, test: TrainingFigures | None, folds: int
) -> Card:
    """Add the scores, and the keep_at that they recommend."""
    least = figures.least(wish.right)
    by_folds = f"{figures.texts:,} texts, each by a head that had not seen it ({folds} folds)"
    scores = [*_scores("cross_validated", by_folds, figures, least.keep_at if least else 1.0)]
    if test is not None:
        by_test = f"{test.texts:,} texts of the test file"
        scores += _scores("test", by_test, test, least.keep_at if least else 1.0)
    share = f"{figures.outside_share:.0%} of them outside every label" if figures.outside_share else "none outside"
    rule = (
        f"the least hundredth from {LEAST_KEEP_AT:.2f} on at which the answers kept are {wish.right:.1%} right on "
        f"held-out texts, {share}"
    )
    if least is None:
        rule += "; there is none, so nothing is kept"
    return card.model_copy(
        update={"scores": tuple(scores), "keep_at": least.keep_at if least else 1.0, "keep_at_rule": rule}
    )


def _scores(prefix: str, protocol: str, figures: TrainingFigures, keep_at: float) -> Sequence[Score]:
    kept = figures.at(keep_at)
    traffic = f"{protocol}; weighted so that {figures.outside_share:.0%} is outside every label"
    rows = [
        ("accuracy", figures.accuracy.value, f"{protocol}: the best label, nothing sent out"),
        ("accuracy_low", figures.accuracy.low, "lower end of the 95 % interval of the above (Wilson)"),
        ("accuracy_high", figures.accuracy.high, "upper end of the same interval"),
        ("macro_f1", figures.macro_f1, f"{protocol}: mean over the labels, each counting the same"),
        ("ece", figures.calibration_error, f"{traffic}: expected calibration error, 15 equal bins"),
        ("kept_share", kept.share, f"{traffic}: answers with confidence ≥ keep_at"),
        ("kept_right", kept.right.value, f"{traffic}: of those kept, right as published"),
        ("kept_right_low", kept.right.low, "lower end of the 95 % interval of the above (Wilson)"),
    ]
    if figures.outside_recall is not None:
        rows.append(("outside_recall", figures.outside_recall, "texts outside that are published without a label"))
    return [Score(name=f"{prefix}_{name}", value=round(value, 4), protocol=rule) for name, value, rule in rows]


def _works(wish: TrainingConfig) -> list[Work]:
    files = [(wish.file, "head, calibration, scores")]
    if wish.outside_file is not None:
        files.append((wish.outside_file, "calibration: texts outside every label"))
    if wish.test_file is not None:
        files.append((wish.test_file, "scores"))
    return [
        Work(
            name=path.name,
            authors="whoever trained the model",
            licence=wish.licence,
            source="a file of the owner's",
            used_for=use,
            sha256=sha256(path.read_bytes()).hexdigest(),
        )
        for path, use in files
    ]


def _fitted_on(wish: TrainingConfig, training: Training, crossed: CrossValidated, outside: int) -> str:
    said = f"{len(training.texts):,} texts of {wish.file.name}, each by a head that had not seen it"
    if crossed.stand_ins:
        said += "; as texts outside every label, the texts of labels that the head did not know"
    elif len(crossed.outside):
        said += f"; as texts outside every label, {outside:,} that are given as such"
    else:
        return f"{said}; no texts outside every label"
    return f"{said}; weighted so that {wish.outside_share:.0%} is outside"


def _limits(training: Training, crossed: CrossValidated, max_tokens: int) -> tuple[str, ...]:
    limits = [
        "One intent a text. A request within a longer letter is often read as outside every intent.",
        f"Reads the first {max_tokens} tokens of a text.",
        "Its figures hold for traffic like the file that it was trained on, and for no other.",
    ]
    if crossed.stand_ins:
        limits.append("No text outside every label was at hand: labels held out in turn stood in for them.")
    elif not len(crossed.outside):
        limits.append("Knows nothing of texts outside its labels: it gives every text a label, however strange it is.")
    fewest = min(map(int, _counts(training)))
    if fewest < 20:
        limits.append(f"The smallest label has {fewest} texts; what is said of it is uncertain.")
    return tuple(limits)


def _counts(training: Training) -> list[int]:
    return [int((training.gold == place).sum()) for place in range(len(training.labels))]
