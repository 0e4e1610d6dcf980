"""Calibrate a model that labels tokens on texts whose spans people have marked.

A confidence is the chance that all spans of a text are right and none is missed: Platt scaling of the product of the
probabilities of the words' labels. What is stated of it is measured on folds that it was not fitted on.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sprat.errors import UserError
from sprat_inference.card import Calibration, Score
from sprat_inference.token_classifier import Platt, SpanCalibration, TaggedText, TokenClassifier, log_odds
from sprat_training.datasets.columns import safe_listing
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.figures import LEAST_KEEP_AT

METHOD: Final = "logistic regression on the log-odds of the product of the probabilities of the labels of all words"
LEAST_ROWS: Final = 50
FOLDS: Final = 5
_STEPS: Final = 50
_PENALTY: Final = 1e-3
"""On the coefficients: it keeps them finite where all rows are right."""

Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Marked = frozenset[tuple[int, int, str]]
"""Start, end and type of each span of a text."""


@dataclass(frozen=True, slots=True)
class SpanRows:
    """Texts with their spans."""

    path: Path
    texts: tuple[str, ...]
    spans: tuple[Marked, ...]


@dataclass(frozen=True, slots=True)
class SpanFigures:
    """What the rows say of a model."""

    calibration: Calibration
    texts: int
    right: Interval
    """Share of the texts whose spans are all right, none missed."""
    keep_at: float
    rule: str
    """How it was found."""
    kept_share: float
    """Of the texts, at `keep_at`."""
    kept_right: Interval
    """Of those kept."""

    def scores(self) -> list[Score]:
        """Return them for the card."""
        protocol = f"{self.texts:,} rows to calibrate on, each with a calibration that was fitted without it"
        values = [
            ("texts_right", self.right.value),
            ("kept_share", self.kept_share),
            ("kept_right", self.kept_right.value),
        ]
        return [Score(name=f"calibrated_{name}", value=value, protocol=protocol) for name, value in values]


def read_span_rows(path: Path, types: Sequence[str]) -> SpanRows:
    """Read JSON Lines: `{"text": "…", "entities": [{"start": 0, "end": 4, "label": "PER"}]}`; offsets are code points.

    Raises:
        UserError: a row is of another form, has a type that is none of `types`, or the rows are too few. Texts are not
            quoted.
    """
    texts, spans = [], []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__})") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row: Any = json.loads(line)
            text, marked = row["text"], frozenset((e["start"], e["end"], e["label"]) for e in row["entities"])
            fits = isinstance(text, str) and all(0 <= start < end <= len(text) for start, end, _ in marked)
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            raise UserError(
                f'{path}: row {number}: not of the form {{"text": "…", "entities": [{{"start": 0, "end": 4, "label": '
                '"…"}]}, with offsets in code points inside the text'
            )
        texts.append(text)
        spans.append(marked)
    if unknown := sorted({label for marked in spans for _, _, label in marked} - set(types)):
        raise UserError(
            f"{path}: {len(unknown)} labels are none of the model's: {safe_listing(unknown[:8])}; it has "
            f"{', '.join(types)}"
        )
    if len(texts) < LEAST_ROWS:
        raise UserError(f"{path}: has {len(texts)} rows; {LEAST_ROWS} are needed to calibrate")
    return SpanRows(path, tuple(texts), tuple(spans))


def calibrate_spans(classifier: TokenClassifier, rows: SpanRows, accuracy: float) -> SpanFigures:
    """Fit the calibration of an uncalibrated model on the rows, and measure it on folds that it was not fitted on.

    Raises:
        ModelError: when the model fails.
    """
    found = classifier.read(rows.texts)
    products = np.array([each.chance for each in found])
    right = np.array([_marked(each) == gold for each, gold in zip(found, rows.spans, strict=True)])
    fold = np.random.default_rng(0).permutation(len(products)) % FOLDS
    chances = np.empty(len(products))
    for number in range(FOLDS):
        held = fold == number
        chances[held] = fit_platt(products[~held], right[~held]).chances(products[held])
    of_spans = [
        (span.chance, (span.start, span.end, span.type) in gold)
        for each, gold in zip(found, rows.spans, strict=True)
        for span in each.spans
    ]
    span = Platt()
    if of_spans:
        span = fit_platt(np.array([chance for chance, _ in of_spans]), np.array([fits for _, fits in of_spans]))
    keep_at, rule = _keep_at(chances, right, accuracy)
    kept = chances >= keep_at
    return SpanFigures(
        Calibration(
            method=METHOD,
            fitted_on=f"{len(products):,} rows of {rows.path.name}",
            outside_share=0.0,
            longest_code_points=max(map(len, rows.texts)),
            parameters=SpanCalibration(fit_platt(products, right), span).parameters(),
        ),
        len(products),
        wilson(int(right.sum()), len(right)),
        keep_at,
        rule,
        float(kept.mean()),
        wilson(int(right[kept].sum()), int(kept.sum())),
    )


def fit_platt(products: Doubles, right: Flags) -> Platt:
    """Return the logistic regression of `right` on the log-odds of `products`, by Newton's method.

    A slope below 0 would call the surer answer the worse one; it is 0 then, and every chance is the mean.
    """
    rows = np.stack([np.ones(len(products)), log_odds(products)], axis=1)
    weights = np.zeros(2)
    for _ in range(_STEPS):
        chances = 1.0 / (1.0 + np.exp(-np.clip(rows @ weights, -30, 30)))
        gradient = rows.T @ (chances - right) + _PENALTY * weights
        curvature = (rows * (chances * (1.0 - chances))[:, None]).T @ rows + _PENALTY * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    if weights[1] < 0:
        mean = min(max(float(right.mean()), 1e-3), 1 - 1e-3)
        return Platt(float(np.log(mean / (1.0 - mean))), 0.0)
    return Platt(float(weights[0]), float(weights[1]))


def _marked(tagged: TaggedText) -> Marked:
    return frozenset((span.start, span.end, span.type) for span in tagged.spans)


def _keep_at(chances: Doubles, right: Flags, accuracy: float) -> tuple[float, str]:
    """Return the least hundredth at which the kept answers reach the accuracy, with 95 % confidence if possible."""
    rule = f"the least hundredth at which the answers kept are {accuracy:.1%} right on the rows to calibrate on"
    steps = [step / 100 for step in range(round(LEAST_KEEP_AT * 100), 101)]
    figures = [
        (step, wilson(int(right[kept].sum()), int(kept.sum()))) for step in steps if (kept := chances >= step).any()
    ]
    if (sure := next((step for step, of in figures if of.low >= accuracy), None)) is not None:
        return sure, f"{rule}, with 95 % confidence"
    if (likely := next((step for step, of in figures if of.value >= accuracy), None)) is not None:
        return likely, f"{rule}; the rows are too few to be sure of it"
    return 1.0, f"{rule}; there is none, so nothing is kept"
