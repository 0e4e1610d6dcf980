"""Calibrate a translation model on texts whose translation by people is known.

A translation counts as right where its chrF against that of people is :data:`GOOD_CHRF` or more, as for the shipped
model.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sprat import plugins
from sprat.errors import UserError
from sprat.model import Model, Question
from sprat_contracts import TranslationOutput
from sprat_contracts.languages import is_served
from sprat_inference.card import Calibration, Card
from sprat_inference.converters.agreement import chrf_of_each
from sprat_inference.text_to_text import CHANCE
from sprat_training.chance_calibration import (
    LEAST_ROWS,
    ChanceFigures,
    Doubles,
    Flags,
    fit_platt,
    held_out_chances,
    measure_chances,
)
from sprat_training.config import OnTrainingProgress
from sprat_training.datasets.rows import numbered_lines

GOOD_CHRF: Final = 60.0
METHOD: Final = (
    "logistic regression on the square of the geometric mean of the pieces' chances, of the least sure sentence, to "
    f"the event that the chrF of the text is {GOOD_CHRF:.0f} or more; 0 where a number, an address or a placeholder is "
    "not kept, or a sentence is too long"
)
_TEXTS_PER_BATCH: Final = 50


@dataclass(frozen=True, slots=True)
class TranslationRows:
    """Texts with their translations by people."""

    path: Path
    questions: tuple[Question, ...]
    references: tuple[str, ...]


def read_translation_rows(path: Path, card: Card) -> TranslationRows:
    """Read JSON Lines: `{"text": "…", "reference": "…"}`, with `language` and `target` where the model has several.

    Raises:
        UserError: a row is of another form, the model does not know its languages, or the rows are too few. Texts are
            not quoted.
    """
    questions, references = [], []
    for number, line in numbered_lines(path):
        try:
            row: Any = json.loads(line)
            text, reference = row["text"], row["reference"]
            language, target = row.get("language", card.languages[0]), row.get("target", card.targets[0])
            fits = all(isinstance(each, str) and each.strip() for each in (text, reference, language, target))
        except (ValueError, KeyError, TypeError, AttributeError):
            fits = False
        if not fits:
            raise UserError(f'{path}: row {number}: not of the form {{"text": "…", "reference": "…"}}')
        if not is_served(language, card.languages) or not is_served(target, card.targets):
            raise UserError(f"{path}: row {number}: the model does not translate from its language into its target")
        questions.append(Question(text, language, target))
        references.append(reference)
    if len(questions) < LEAST_ROWS:
        raise UserError(f"{path}: has {len(questions)} rows; {LEAST_ROWS} are needed to calibrate")
    return TranslationRows(path, tuple(questions), tuple(references))


def calibrate_translations(
    folder: Path, longest: int, rows: TranslationRows, accuracy: float, progress: OnTrainingProgress
) -> ChanceFigures:
    """Fit the calibration of the uncalibrated artefact in `folder`, and measure it on folds it was not fitted on.

    Args:
        folder: of the artefact.
        longest: code points of a text that it translates, at most.
        rows: to calibrate on.
        accuracy: required of what is kept.
        progress: is called while texts are translated.

    Raises:
        UserError: the translation service, which translates them, is not installed.
        ModelError: when the model fails.
    """
    raw, right = _translated(plugins.load(plugins.MODELS, "translation").load(folder), rows, progress)
    # 0 and 1 are decided without the network: nothing is kept of the one, and of the other nothing was to translate.
    fitted = (raw > 0.0) & (raw < 1.0)
    if fitted.sum() < LEAST_ROWS:
        raise UserError(
            f"{rows.path}: {int(fitted.sum())} rows have a translation that may be right; {LEAST_ROWS} are needed"
        )
    confidences = raw.copy()
    confidences[fitted] = held_out_chances(raw[fitted], right[fitted])
    platt = fit_platt(raw[fitted], right[fitted])
    calibration = Calibration(
        method=METHOD,
        fitted_on=f"{len(raw):,} rows of {rows.path.name}",
        outside_share=0.0,
        longest_code_points=longest,
        parameters={"decline_below": (0.0,), CHANCE: (platt.bias, platt.slope)},
    )
    what = f"have a chrF of {GOOD_CHRF:.0f} or more"
    return measure_chances(calibration, what, confidences, right, accuracy)


def _translated(model: Model, rows: TranslationRows, progress: OnTrainingProgress) -> tuple[Doubles, Flags]:
    """Return the confidence of each translation, and whether it is right."""
    raw: list[float] = []
    texts: list[str] = []
    for start in range(0, len(rows.questions), _TEXTS_PER_BATCH):
        for answer in model.answer(rows.questions[start : start + _TEXTS_PER_BATCH]):
            raw.append(answer.confidence)
            texts.append(answer.output.text if isinstance(answer.output, TranslationOutput) else "")
        progress("translating the rows to calibrate on", len(raw), len(rows.questions))
    return np.array(raw, np.float64), np.array(chrf_of_each(texts, rows.references)) >= GOOD_CHRF
