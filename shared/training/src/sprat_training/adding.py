"""Make an artefact of a classifier of others: convert it, compare it with the original, calibrate it on own rows."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.errors import UserError
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Calibration, Card, Score
from sprat_inference.classifier import CALIBRATED, Classifier, Temperatures
from sprat_inference.converters.agreement import (
    Agreement,
    check_agreement,
    compare,
    original_logits,
    sample_texts,
)
from sprat_inference.converters.bert import Quantization
from sprat_inference.converters.hub import Source
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.converters.sequence_classifier import (
    NOT_CALIBRATED_LIMIT,
    Provenance,
    convert_classifier,
)
from sprat_inference.heads import Floats
from sprat_inference.label_calibration import softmax
from sprat_training.config import OnTrainingProgress
from sprat_training.datasets.columns import safe_listing
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.evaluation.metrics import ModelReadings
from sprat_training.figures import TrainingFigures, measure

Doubles = NDArray[np.float64]

LEAST_ROWS: Final = 50
"""Rows with a label to calibrate on. With fewer, a temperature says nothing."""
FOLDS: Final = 5
_TEXTS_PER_BATCH: Final = 100
_STEPS: Final = np.geomspace(0.05, 20.0, 400)
"""Temperatures that are tried, 1.5 % apart: finer ones change no confidence by a hundredth."""


@dataclass(frozen=True, slots=True)
class AddConfig:
    """What the user asked for."""

    task: str
    name: str
    output: Path
    licence: str
    languages: tuple[str, ...]
    outside_label: str | None
    quantization: Quantization
    compare: bool
    """Whether the converted model is compared with the original."""
    force: bool
    """Whether it is added although it differs from the original."""
    accuracy: float
    """Required of the answers that are kept."""
    outside_share: float


@dataclass(frozen=True, slots=True)
class AddedModel:
    """The artefact, and what was measured."""

    card: Card
    agreement: Agreement | None
    figures: TrainingFigures | None
    """Of the rows to calibrate on, each with a temperature that was fitted without it; None where there are none."""


def add_classifier(
    source: Source,
    config: AddConfig,
    texts: Sequence[str] | None,
    rows: LabelledTexts | None,
    progress: OnTrainingProgress,
) -> AddedModel:
    """Write the artefact into `config.output`, which must be missing or empty.

    Args:
        source: the files of the model.
        config: what the user asked for.
        texts: to compare with the original; None for the shipped ones.
        rows: to calibrate on; None leaves the model as it is.
        progress: is called while texts are read.

    Raises:
        UserError: the model cannot be converted, differs from the original, or the rows do not fit it.
    """
    if config.output.exists() and (not config.output.is_dir() or any(config.output.iterdir())):
        raise UserError(f"{config.output}: exists already; name another --output")
    saved = SavedModel.open(source.folder)
    provenance = Provenance(
        name=config.name,
        source=source.where,
        authors=f"the authors of {source.where}; see its README",
        licence=config.licence,
        languages=config.languages,
        outside_label=config.outside_label,
    )
    config.output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=config.output.parent, prefix=".sprat-add-") as temporary:
        folder = Path(temporary) / "artefact"
        folder.mkdir()  # the temporary folder itself is readable by its owner only
        card = convert_classifier(saved, provenance, config.task, folder, quantization=config.quantization)
        classifier = Classifier.load(folder, card)
        classes = (*(card.labels or ()), *([config.outside_label] if config.outside_label else []))
        agreement, versions = None, ""
        if config.compare:
            order = [saved.labels.index(name) for name in classes]
            agreement, versions = _compare(saved, classifier, card, order, texts, progress)
            if not config.force:
                check_agreement(agreement, config.quantization)
        scores: list[Score] = [] if agreement is None else [agreement.score(versions)]
        limits = [*card.limits]
        if agreement is None:
            limits.append("Not compared with the original model after the conversion.")
        figures = None
        if rows is not None:
            calibration, figures = _calibrate(classifier, card, rows, config, progress)
            keep_at, rule = _keep_at(figures, config.accuracy)
            scores += _scores(figures, keep_at)
            limits.remove(NOT_CALIBRATED_LIMIT)
            card = card.model_copy(update={"calibration": calibration, "keep_at": keep_at, "keep_at_rule": rule})
        card = card.model_copy(update={"scores": tuple(scores), "limits": tuple(limits)})
        written = write_artefact(folder, card.model_dump(mode="json"))
        _move(folder, config.output)
    return AddedModel(written, agreement, figures)


def fit_temperature(logits: Floats, gold: NDArray[np.int64]) -> float:
    """Return the temperature at which the right classes are the most likely.

    Args:
        logits: texts × classes.
        gold: index of the right class of each text.
    """
    rows = np.arange(len(gold))
    losses = [-np.log(softmax(logits / step)[rows, gold] + 1e-12).mean() for step in _STEPS]
    return float(_STEPS[int(np.argmin(losses))])


def _compare(
    saved: SavedModel,
    classifier: Classifier,
    card: Card,
    order: Sequence[int],
    texts: Sequence[str] | None,
    progress: OnTrainingProgress,
) -> tuple[Agreement, str]:
    compared = sample_texts() if texts is None else list(texts)
    original, versions = original_logits(saved.folder, compared, card.max_tokens)
    return compare(_read(classifier, compared, progress, "comparing with the original"), original[:, order]), versions


def _read(classifier: Classifier, texts: Sequence[str], progress: OnTrainingProgress, doing: str) -> Floats:
    parts = []
    for start in range(0, len(texts), _TEXTS_PER_BATCH):
        parts.append(classifier.read(texts[start : start + _TEXTS_PER_BATCH]).logits)
        progress(doing, min(start + _TEXTS_PER_BATCH, len(texts)), len(texts))
    return np.concatenate(parts)


def _calibrate(
    classifier: Classifier, card: Card, rows: LabelledTexts, config: AddConfig, progress: OnTrainingProgress
) -> tuple[Calibration, TrainingFigures]:
    """Fit the temperature on the rows, and measure it on folds that it was not fitted on."""
    labels = card.labels or ()
    outside_label = config.outside_label or "oos"
    numbers = {label: number for number, label in enumerate(labels)}
    if unknown := sorted({label for label in rows.labels if label not in numbers and label != outside_label}):
        named = safe_listing(unknown[:8])
        raise UserError(
            f"{rows.path}: {len(unknown)} labels are none of the model's{f': {named}' if named else ''}; rename them "
            "as the model does, or name the label of texts outside all others with --outside-label"
        )
    inside = np.array([label in numbers for label in rows.labels])
    if (count := int(inside.sum())) < LEAST_ROWS:
        raise UserError(
            f"{rows.path}: has {count} rows with a label of the model; {LEAST_ROWS} are needed to calibrate"
        )
    texts = [text for text, use in zip(rows.texts, inside, strict=True) if use]
    outside = [text for text, use in zip(rows.texts, inside, strict=True) if not use]
    gold = np.array([numbers[label] for label in rows.labels if label in numbers], dtype=np.int64)
    logits = _read(classifier, [*texts, *outside], progress, "reading the rows to calibrate on")
    has_class = logits.shape[1] > len(labels)  # a class of its own for texts outside
    fitted = np.concatenate([gold, np.full(len(outside), len(labels))]) if has_class else gold
    fold = np.random.default_rng(0).permutation(len(logits)) % FOLDS
    chances = np.empty((len(logits), logits.shape[1]))
    usable = np.arange(len(logits)) < len(fitted)
    for number in range(FOLDS):
        rest = usable & (fold != number)
        temperature = fit_temperature(logits[rest], fitted[rest[: len(fitted)]])
        chances[fold == number] = softmax(logits[fold == number] / temperature)
    best = logits[:, : len(labels)].argmax(axis=1)
    right = chances[np.arange(len(logits)), best]
    none = chances[:, len(labels)] if has_class else np.zeros(len(logits))
    readings = ModelReadings(
        in_scope=np.arange(len(logits)) < count,
        best_right=np.concatenate([best[:count] == gold, np.zeros(len(outside), bool)]),
        best_logit=logits[:, : len(labels)].max(axis=1).astype(np.float64),
        outside_probability=none,
        is_rejected=none > right,
        confidence=np.maximum(none, right),
    )
    figures = measure(readings, best[:count], gold, labels, config.outside_share)
    temperatures = Temperatures(fit_temperature(logits[: len(fitted)], fitted), {})
    calibration = Calibration(
        method=CALIBRATED,
        fitted_on=f"{len(rows.texts):,} rows of {rows.path.name}",
        outside_share=config.outside_share if outside else 0.0,
        longest_code_points=max(map(len, rows.texts)),
        parameters=dict(temperatures.parameters()),
    )
    return calibration, figures


def _keep_at(figures: TrainingFigures, accuracy: float) -> tuple[float, str]:
    kept = figures.least_keep_at(accuracy)
    share = f"{figures.outside_share:.0%} of them outside every label" if figures.outside_share else "none outside"
    rule = (
        f"the least hundredth at which the answers kept are {accuracy:.1%} right on the rows to calibrate on, {share}"
    )
    if kept is None:
        return 1.0, f"{rule}; there is none, so nothing is kept"
    sure = ", with 95 % confidence" if kept.sure >= accuracy else "; the rows are too few to be sure of it"
    return kept.keep_at, rule + sure


def _scores(figures: TrainingFigures, keep_at: float) -> list[Score]:
    protocol = f"{figures.texts:,} rows to calibrate on, each with a temperature that was fitted without it"
    kept = figures.at(keep_at)
    values: list[tuple[str, float]] = [
        ("accuracy", figures.accuracy.value),
        ("macro_f1", figures.macro_f1),
        ("calibration_error", figures.calibration_error),
        ("kept_share", kept.share),
        ("kept_accuracy", kept.right.value),
    ]
    return [Score(name=f"calibrated_{name}", value=value, protocol=protocol) for name, value in values]


def _move(folder: Path, output: Path) -> None:
    if output.exists():
        output.rmdir()
    folder.rename(output)
