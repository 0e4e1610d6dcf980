"""Calibrate a model of others on rows whose right answer is known.

A confidence is the chance that the answer as it is published is right: Platt scaling of what the model says of itself.
What is stated of it is measured on folds that it was not fitted on. A row outside every label, to which the model gives
one, is an error like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.base.errors import UserError
from sprat_inference.card import Calibration, Card
from sprat_inference.classifier import AS_IT_IS, CALIBRATED, ClassCalibration, Classifier
from sprat_inference.label_calibration import softmax
from sprat_inference.label_sets import APPLIES_FROM
from sprat_inference.label_sets import CALIBRATED as SETS_CALIBRATED
from sprat_inference.platt import UNFITTED, Platt, log_odds
from sprat_inference.text_to_text import CHANCE
from sprat_inference.token_classifier import SpanCalibration, TokenClassifier
from sprat_training.calibration_rows import (
    LEAST_ROWS,
    READING,
    ClassRows,
    SetRows,
    SpanRows,
    TranslatedRows,
    read_logits,
)
from sprat_training.datasets.config import OnTrainingProgress
from sprat_training.datasets.languages import languages_read
from sprat_training.fitting.label_set_fit import fit_platt, fit_set_calibration
from sprat_training.thresholds import Rows
from sprat_training.thresholds.rows import Doubles, Flags

LEAST_ROWS_OF_LANGUAGE: Final = 100
"""Rows of a language, in each fit, for a calibration of its own."""
FOLDS: Final = 5
RIGHT_CHRF: Final = 40.0
"""From so much on a translation is right, where nobody has judged it."""
GOOD_CHRF: Final = 60.0
"""A confidence of a translation is the chance of so much."""
OF_SPANS: Final = "logistic regression on the log-odds of the product of the probabilities of the labels of all words"
OF_TRANSLATIONS: Final = (
    "logistic regression on the square of the geometric mean of the pieces' chances, of the least sure sentence, to "
    f"the event that the chrF of the text is {GOOD_CHRF:.0f} or more; 0 where a number, an address or a placeholder is "
    "not kept, or a sentence is too long"
)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What the rows say of a model."""

    calibration: Calibration
    """Fitted on all rows."""
    rows: Rows
    """Its answers, each by a calibration that was fitted without it."""


@dataclass(frozen=True, slots=True)
class ChanceFit:
    """From what a model says of itself to the chance that it is right."""

    default: Platt
    held_out: Doubles
    """The chance of each row, by a fit without it."""
    by_language: Mapping[str, Platt] = field(default_factory=dict)
    """Primary language tag → its own."""


def calibrate(
    stated: Doubles,
    right: Flags,
    outside: Flags | None = None,
    outside_share: float = 0.0,
    languages: Sequence[str] | None = None,
) -> ChanceFit:
    """Fit the chance that an answer is right on what a model says of it; where none is wrong, it stays as it is.

    Args:
        stated: of each row, 0 to 1.
        right: whether the answer is.
        outside: whether the text is outside every label; None: none is.
        outside_share: of the traffic: in each fit the rows outside weigh so much.
        languages: of each row, "" where it is not known; one with many rows gets a fit of its own.
    """
    rows = _Stated(
        stated,
        right,
        np.zeros(len(stated), np.bool_) if outside is None else outside,
        np.array([""] * len(stated) if languages is None else languages),
    )
    if right.all():
        return ChanceFit(UNFITTED, stated)
    held_out = np.empty(len(stated))
    for held in held_out_folds(len(stated)):
        default, own = _fits(rows.where(~held), outside_share)
        for tag in np.unique(rows.languages[held]):
            chosen = held & (rows.languages == tag)
            held_out[chosen] = own.get(str(tag), default).chances(stated[chosen])
    default, own = _fits(rows, outside_share)
    return ChanceFit(default, held_out, own)


def fit_chance(stated: Doubles, right: Flags, weight: Doubles | None = None) -> Platt:
    """Fit one calibration. Where surer answers are not more often right, every chance is the mean."""
    weight = np.ones(len(stated)) if weight is None else weight * (len(stated) / weight.sum())
    slopes, bias = fit_platt(log_odds(stated)[:, None], right, weight)
    if slopes[0] >= 0.0:
        return Platt(bias, float(slopes[0]))
    mean = ((weight * right).sum() + 1.0) / (len(stated) + 2.0)
    return Platt(float(np.log(mean / (1.0 - mean))), 0.0)


def traffic_weights(outside: Flags, outside_share: float) -> Doubles:
    """Return the weight of each row, 1 of those with a label, under which so much is outside every label."""
    inside, beyond = int((~outside).sum()), max(int(outside.sum()), 1)
    return np.where(outside, outside_share / (1 - outside_share) * inside / beyond, 1.0)


def held_out_folds(count: int) -> list[Flags]:
    """Return which rows are held out of each fit."""
    fold = np.random.default_rng(0).permutation(count) % FOLDS
    return [fold == number for number in range(FOLDS)]


def calibrate_classes(
    classifier: Classifier, card: Card, rows: ClassRows, outside_share: float, progress: OnTrainingProgress
) -> Calibrated:
    """Calibrate a model with one label a text.

    Args:
        classifier: what computes the logits.
        card: names the labels.
        rows: to calibrate on.
        outside_share: assumed share of the traffic outside every label.
        progress: is called while the rows are read.
    """
    count, outside = len(rows.gold), len(rows.outside)
    texts = (*rows.texts, *rows.outside)
    logits = read_logits(classifier, texts, progress, READING)
    # The class of a row outside is the one beyond the labels, which a model may not have: no class is right then.
    labels = len(card.labels or ())
    said = logits.argmax(axis=1)
    right = said == np.concatenate([rows.gold, np.full(outside, labels)])
    beyond = np.arange(count + outside) >= count
    used = ~beyond if outside_share == 0 else np.ones(count + outside, np.bool_)
    languages = languages_read([text for text, use in zip(texts, used, strict=True) if use], card.languages)
    stated = softmax(logits).max(axis=1).astype(np.float64)[used]
    fit = calibrate(stated, right[used], beyond[used], outside_share, languages)
    of_languages = f", {' and '.join(fit.by_language)} apart" if fit.by_language else ""
    of_outside = f", {outside:,} of them outside every label" if outside else ""
    calibration = Calibration(
        method=AS_IT_IS if right[used].all() else CALIBRATED,
        fitted_on=f"{len(texts):,} rows of {rows.name}{of_outside}{of_languages}",
        outside_share=outside_share if outside else 0.0,
        longest_code_points=max(map(len, texts)),
        parameters=dict(ClassCalibration(fit.default, fit.by_language).parameters()),
    )
    answers = Rows.of(
        fit.held_out,
        right[used],
        says_none=said[used] == labels,
        languages=languages,
        weight=traffic_weights(beyond[used], outside_share),
        outside=beyond[used],
    )
    return Calibrated(calibration, answers)


def calibrate_sets(classifier: Classifier, rows: SetRows, progress: OnTrainingProgress) -> Calibrated:
    """Calibrate a model with several labels a text; see :func:`calibrate_classes`."""
    logits, gold = read_logits(classifier, rows.texts, progress, READING), rows.gold
    chances, confidence = np.empty(gold.shape), np.empty(len(gold))
    for held in held_out_folds(len(gold)):
        fitted = fit_set_calibration(logits[~held], gold[~held])
        chances[held] = fitted.chances(logits[held])
        confidence[held] = fitted.all_right(chances[held])
    calibration = Calibration(
        method=SETS_CALIBRATED,
        fitted_on=f"{len(gold):,} rows of {rows.name}",
        outside_share=float((~gold.any(axis=1)).mean()),
        longest_code_points=max(map(len, rows.texts)),
        parameters=dict(fit_set_calibration(logits, gold).parameters()),
    )
    said = chances >= APPLIES_FROM
    right = (said == gold).all(axis=1)
    return Calibrated(calibration, Rows.of(confidence, right, says_none=~said.any(axis=1), outside=~gold.any(axis=1)))


def calibrate_spans(classifier: TokenClassifier, rows: SpanRows) -> Calibrated:
    """Calibrate a model that labels tokens: all spans of a text are right, and none is missed.

    Raises:
        ModelError: when the model fails.
    """
    found = classifier.read(rows.texts)
    spans = [frozenset((span.start, span.end, span.type) for span in each.spans) for each in found]
    right = np.array([said == gold for said, gold in zip(spans, rows.spans, strict=True)])
    fit = calibrate(np.array([each.chance for each in found]), right)
    of_spans = [
        (span.chance, (span.start, span.end, span.type) in gold)
        for each, gold in zip(found, rows.spans, strict=True)
        for span in each.spans
    ]
    span = UNFITTED
    if of_spans:
        span = fit_chance(np.array([chance for chance, _ in of_spans]), np.array([fits for _, fits in of_spans]))
    calibration = Calibration(
        method=OF_SPANS,
        fitted_on=f"{len(right):,} rows of {rows.name}",
        outside_share=0.0,
        longest_code_points=max(map(len, rows.texts)),
        parameters=SpanCalibration(fit.default, span).parameters(),
    )
    return Calibrated(calibration, Rows.of(fit.held_out, right, says_none=[not each for each in spans]))


def calibrate_translations(rows: TranslatedRows, longest: int) -> Calibrated:
    """Calibrate a translation model: the chrF of a text against people's translation is `GOOD_CHRF` or more.

    Args:
        rows: its translations.
        longest: code points of a text that it translates, at most.

    Raises:
        UserError: too few translations may be right.
    """
    # 0 and 1 are decided without the network: nothing is kept of the one, and of the other nothing was to translate.
    fitted, good = (rows.stated > 0.0) & (rows.stated < 1.0), rows.chrf >= GOOD_CHRF
    if fitted.sum() < LEAST_ROWS:
        raise UserError(
            f"{rows.name}: {int(fitted.sum())} rows have a translation that may be right; {LEAST_ROWS} are needed"
        )
    fit = calibrate(rows.stated[fitted], good[fitted])
    confidence = rows.stated.copy()
    confidence[fitted] = fit.held_out
    calibration = Calibration(
        method=OF_TRANSLATIONS,
        fitted_on=f"{len(good):,} rows of {rows.name}",
        outside_share=0.0,
        longest_code_points=longest,
        parameters={"decline_below": (0.0,), CHANCE: (fit.default.bias, fit.default.slope)},
    )
    return Calibrated(calibration, Rows.of(confidence, rows.chrf >= RIGHT_CHRF, languages=rows.languages))


@dataclass(frozen=True, slots=True)
class _Stated:
    stated: Doubles
    right: Flags
    outside: Flags
    languages: NDArray[np.str_]

    def where(self, chosen: Flags) -> "_Stated":
        return _Stated(self.stated[chosen], self.right[chosen], self.outside[chosen], self.languages[chosen])

    def fit(self, outside_share: float) -> Platt:
        return fit_chance(self.stated, self.right, traffic_weights(self.outside, outside_share))


def _fits(rows: _Stated, outside_share: float) -> tuple[Platt, dict[str, Platt]]:
    """Return the fit of all rows, and where several languages have enough of them, that of each.

    A language without rows outside every label is fitted with those of the others.
    """
    names, counts = np.unique(rows.languages[~rows.outside], return_counts=True)
    enough = [str(name) for name, count in zip(names, counts, strict=True) if name and count >= LEAST_ROWS_OF_LANGUAGE]
    own = {}
    for name in enough if len(enough) > 1 else []:  # that of a single one is nearly that of all
        chosen = rows.languages == name
        part = rows.where(chosen if (chosen & rows.outside).any() else chosen | rows.outside)
        if not part.right.all():
            own[name] = part.fit(outside_share)
    return rows.fit(outside_share), own
