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

from sprat.errors import UserError
from sprat_inference.card import Calibration
from sprat_inference.platt import UNFITTED
from sprat_inference.token_classifier import SpanCalibration, TaggedText, TokenClassifier
from sprat_training.chance_calibration import (
    LEAST_ROWS,
    ChanceFigures,
    fit_platt,
    held_out_chances,
    measure_chances,
)
from sprat_training.datasets.columns import safe_listing
from sprat_training.datasets.rows import numbered_lines

METHOD: Final = "logistic regression on the log-odds of the product of the probabilities of the labels of all words"
Marked = frozenset[tuple[int, int, str]]
"""Start, end and type of each span of a text."""


@dataclass(frozen=True, slots=True)
class SpanRows:
    """Texts with their spans."""

    path: Path
    texts: tuple[str, ...]
    spans: tuple[Marked, ...]


def read_span_rows(path: Path, types: Sequence[str]) -> SpanRows:
    """Read JSON Lines: `{"text": "…", "entities": [{"start": 0, "end": 4, "label": "PER"}]}`; offsets are code points.

    Raises:
        UserError: a row is of another form, has a type that is none of `types`, or the rows are too few. Texts are not
            quoted.
    """
    texts, spans = [], []
    for number, line in numbered_lines(path):
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


def calibrate_spans(classifier: TokenClassifier, rows: SpanRows, accuracy: float) -> ChanceFigures:
    """Fit the calibration of an uncalibrated model on the rows, and measure it on folds that it was not fitted on.

    Raises:
        ModelError: when the model fails.
    """
    found = classifier.read(rows.texts)
    products = np.array([each.chance for each in found])
    right = np.array([_marked(each) == gold for each, gold in zip(found, rows.spans, strict=True)])
    of_spans = [
        (span.chance, (span.start, span.end, span.type) in gold)
        for each, gold in zip(found, rows.spans, strict=True)
        for span in each.spans
    ]
    span = UNFITTED
    if of_spans:
        span = fit_platt(np.array([chance for chance, _ in of_spans]), np.array([fits for _, fits in of_spans]))
    calibration = Calibration(
        method=METHOD,
        fitted_on=f"{len(products):,} rows of {rows.path.name}",
        outside_share=0.0,
        longest_code_points=max(map(len, rows.texts)),
        parameters=SpanCalibration(fit_platt(products, right), span).parameters(),
    )
    return measure_chances(calibration, "have all their spans", held_out_chances(products, right), right, accuracy)


def _marked(tagged: TaggedText) -> Marked:
    return frozenset((span.start, span.end, span.type) for span in tagged.spans)
