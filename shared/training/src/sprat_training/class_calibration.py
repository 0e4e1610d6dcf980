"""Calibrate a classifier of others on rows whose right label is known, some of which may be outside every label.

A confidence is the chance that the answer as it is published is right: Platt scaling of the softmax probability of the
best class. So a row outside every label, to which the model gives one, is an error like any other, and together such
rows weigh as much as the share of the traffic that is assumed to be outside. What is stated of the calibration is
measured on folds that it was not fitted on.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.errors import UserError
from sprat_contracts.languages import is_served
from sprat_inference.card import Calibration, Card, Score
from sprat_inference.classifier import AS_IT_IS, CALIBRATED, ClassCalibration, Classifier
from sprat_inference.heads import Floats
from sprat_inference.label_calibration import softmax
from sprat_inference.platt import UNFITTED, Platt, log_odds
from sprat_langid import detect
from sprat_training.config import OnTrainingProgress
from sprat_training.datasets.columns import safe_listing
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.evaluation.metrics import ModelReadings
from sprat_training.figures import TrainingFigures, measure
from sprat_training.keep_at import keep_at_rule
from sprat_training.label_set_fit import fit_platt

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEAST_ROWS: Final = 50
"""Rows with a label to calibrate on. With fewer, a calibration says nothing."""
LEAST_ROWS_OF_LANGUAGE: Final = 100
"""Rows of a language, in each fit, for a calibration of its own."""
FOLDS: Final = 5
READING: Final = "reading the rows to calibrate on"
"""What is said of the progress."""
_TEXTS_PER_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class ClassRows:
    """What a model says of rows with a label, followed by those outside every label."""

    logits: Floats
    """float32, texts × classes."""
    right: Flags
    """Of each row: the best class is the right one. Of a row outside: it is the class for these, if there is one."""
    in_scope: Flags
    """True for the rows with a label."""
    languages: NDArray[np.str_]
    """Primary tag of each row; empty where it is not known."""

    def of(self, chosen: Flags) -> "ClassRows":
        """Return some of the rows."""
        return ClassRows(self.logits[chosen], self.right[chosen], self.in_scope[chosen], self.languages[chosen])


def fit_class_calibration(rows: ClassRows, outside_share: float) -> ClassCalibration:
    """Return the calibration of all rows, and where several languages have enough of them, that of each.

    A language without rows outside every label is fitted with those of the others.

    Args:
        rows: at least one of them wrong; without any, there is nothing to fit, and a fit would only make the model
            surer.
        outside_share: assumed share of the traffic outside every label.
    """
    names, counts = np.unique(rows.languages[rows.in_scope], return_counts=True)
    enough = [str(name) for name, count in zip(names, counts, strict=True) if name and count >= LEAST_ROWS_OF_LANGUAGE]
    by_language = {}
    for name in enough if len(enough) > 1 else []:  # that of a single one is nearly that of all
        own = rows.languages == name
        part = rows.of(own if (own & ~rows.in_scope).any() else own | ~rows.in_scope)
        if not part.right.all():
            by_language[name] = _fit(part, outside_share)
    return ClassCalibration(_fit(rows, outside_share), by_language)


def _fit(rows: ClassRows, outside_share: float) -> Platt:
    """Fit one calibration. Where surer answers are not more often right, every chance is the mean."""
    has_outside = not rows.in_scope.all()
    share, count = (outside_share if has_outside else 0.0), len(rows.right)
    inside = int(rows.in_scope.sum())
    weights = count * np.where(rows.in_scope, (1.0 - share) / inside, share / max(count - inside, 1))
    best = log_odds(softmax(rows.logits).max(axis=1))
    slopes, bias = fit_platt(best[:, None], rows.right, weights)
    if slopes[0] >= 0.0:
        return Platt(bias, float(slopes[0]))
    mean = ((weights * rows.right).sum() + 1.0) / (count + 2.0)
    return Platt(float(np.log(mean / (1.0 - mean))), 0.0)


def calibrate_classes(
    classifier: Classifier,
    card: Card,
    rows: LabelledTexts,
    outside_label: str,
    outside_share: float,
    progress: OnTrainingProgress,
) -> tuple[Calibration, TrainingFigures]:
    """Fit the calibration on the rows, and measure it on folds that it was not fitted on.

    Args:
        classifier: what computes the logits.
        card: names the labels.
        rows: to calibrate on.
        outside_label: of the rows outside every label.
        outside_share: assumed share of the traffic outside every label.
        progress: is called while the rows are read.

    Raises:
        UserError: the rows are too few, or have labels that the model does not have.
    """
    labels = card.labels or ()
    numbers = {label: number for number, label in enumerate(labels)}
    check_labels_of(rows, rows.labels, {*labels, outside_label})
    inside = [text for text, label in zip(rows.texts, rows.labels, strict=True) if label in numbers]
    outside = [text for text, label in zip(rows.texts, rows.labels, strict=True) if label not in numbers]
    if (count := len(inside)) < LEAST_ROWS:
        raise UserError(
            f"{rows.path}: has {count} rows with a label of the model; {LEAST_ROWS} are needed to calibrate"
        )
    gold = np.array([numbers[label] for label in rows.labels if label in numbers], dtype=np.int64)
    texts = [*inside, *outside]
    logits = read_logits(classifier, texts, progress, READING)
    # The class of a row outside is the one beyond the labels, which a model may not have: no class is right then.
    right = logits.argmax(axis=1) == np.concatenate([gold, np.full(len(outside), len(labels))])
    known = ClassRows(logits, right, np.arange(len(texts)) < count, _languages_of(texts, card))
    chances, calibration = _held_out(known, outside_share)
    best = logits[:, : len(labels)].argmax(axis=1)
    none = chances[:, len(labels) :].sum(axis=1)
    of_best = chances[np.arange(len(texts)), best]
    readings = ModelReadings(
        in_scope=known.in_scope,
        best_right=np.concatenate([best[:count] == gold, np.zeros(len(outside), bool)]),
        best_logit=logits[:, : len(labels)].max(axis=1).astype(np.float64),
        outside_probability=none,
        is_rejected=none > of_best,
        confidence=np.maximum(none, of_best),
    )
    figures = measure(readings, best[:count], gold, labels, outside_share)
    of_languages = f", {' and '.join(calibration.by_language)} apart" if calibration.by_language else ""
    of_outside = f", {len(outside):,} of them outside every label" if outside else ""
    stated = Calibration(
        method=AS_IT_IS if right.all() else CALIBRATED,
        fitted_on=f"{len(rows.texts):,} rows of {rows.path.name}{of_outside}{of_languages}",
        outside_share=outside_share if outside else 0.0,
        longest_code_points=max(map(len, rows.texts)),
        parameters=dict(calibration.parameters()),
    )
    return stated, figures


def _held_out(rows: ClassRows, outside_share: float) -> tuple[Doubles, ClassCalibration]:
    """Return the chances of the classes of each row by a calibration fitted without it, and the one fitted on all."""
    languages = rows.languages.tolist()
    if rows.right.all():
        as_it_is = ClassCalibration(UNFITTED, {})
        return as_it_is.chances(rows.logits, languages), as_it_is
    chances = np.empty(rows.logits.shape)
    fold = np.random.default_rng(0).permutation(len(rows.right)) % FOLDS
    for number in range(FOLDS):
        held = fold == number
        fitted = fit_class_calibration(rows.of(~held), outside_share)
        chances[held] = fitted.chances(rows.logits[held], rows.languages[held].tolist())
    return chances, fit_class_calibration(rows, outside_share)


def check_labels_of(rows: LabelledTexts, named: Iterable[str], known: Collection[str]) -> None:
    """Check that the rows name no label but those of the model.

    Raises:
        UserError: they do.
    """
    if unknown := sorted(set(named) - set(known)):
        listed = safe_listing(unknown[:8])
        raise UserError(
            f"{rows.path}: {len(unknown)} labels are none of the model's{f': {listed}' if listed else ''}; rename them "
            "as the model does, or name the label of texts outside all others with --outside-label"
        )


def read_logits(classifier: Classifier, texts: Sequence[str], progress: OnTrainingProgress, doing: str) -> Floats:
    """Return the logits of at least one text, float32, texts × classes."""
    parts = []
    for start in range(0, len(texts), _TEXTS_PER_BATCH):
        parts.append(classifier.read(texts[start : start + _TEXTS_PER_BATCH]).logits)
        progress(doing, min(start + _TEXTS_PER_BATCH, len(texts)), len(texts))
    return np.concatenate(parts)


def keep_at_of_classes(figures: TrainingFigures, accuracy: float) -> tuple[float, str]:
    """Return the recommended `keep_at`, 1 where nothing is kept, and how it was found."""
    share = f"{figures.outside_share:.0%} of them outside every label" if figures.outside_share else "none outside"
    where = f"the rows to calibrate on, {share}"
    return keep_at_rule("the answers kept", accuracy, where, figures.recommended(accuracy))


def scores_of_classes(figures: TrainingFigures, keep_at: float) -> list[Score]:
    """Return the figures for the card."""
    kept = figures.at(keep_at)
    values: list[tuple[str, float]] = [
        ("accuracy", figures.accuracy.value),
        ("macro_f1", figures.macro_f1),
        ("calibration_error", figures.calibration_error),
        ("kept_share", kept.share),
    ]
    if kept.share:  # of nothing, no share is right
        values.append(("kept_accuracy", kept.right.value))
    return [
        Score(name=f"calibrated_{name}", value=value, protocol=protocol_of(figures.texts)) for name, value in values
    ]


def protocol_of(texts: int) -> str:
    """Return how the figures of so many rows were measured."""
    return f"{texts:,} rows to calibrate on, each with a calibration that was fitted without it"


def _languages_of(texts: Sequence[str], card: Card) -> NDArray[np.str_]:
    """Return the primary tag of the language that each text is detected to be in; empty for one that is not read."""
    found = (detect(text).language or "" for text in texts)
    return np.array([tag if not card.languages or is_served(tag, card.languages) else "" for tag in found])
