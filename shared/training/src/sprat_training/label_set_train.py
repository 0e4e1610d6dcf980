"""A whole training of several labels a text: read, encode, fit, calibrate, measure, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sprat_inference.card import Calibration, Card, label_set_hash
from sprat_inference.label_sets import CALIBRATED, MULTI_LABEL
from sprat_training.config import OnTrainingProgress, TrainingConfig
from sprat_training.doubles import core_numbers
from sprat_training.encoding import BaseEncoder, encode_texts, load_base_of
from sprat_training.fitting import logits_of, text_folds
from sprat_training.label_set_data import LabelSetData, LabelSetSources, read_label_sets, set_numbers
from sprat_training.label_set_fit import (
    Doubles,
    FittedSets,
    SetFigures,
    fit_sets,
    fold_count,
    keep_at_of_sets,
    measure_sets,
    scores_of_sets,
)
from sprat_training.model_card import NO_VERSION, works_of, write_model
from sprat_training.train import check_languages


@dataclass(frozen=True, slots=True)
class LabelSetTraining:
    """What a training found and wrote."""

    config: TrainingConfig
    card: Card
    sources: LabelSetSources
    figures: SetFigures
    """By heads and calibrations that were not fitted on the texts."""
    test: SetFigures | None
    """On the test file, or on the texts that are held out."""
    truncated: int
    """Number of texts that are longer than the encoder reads."""


def train_label_sets(config: TrainingConfig, progress: OnTrainingProgress) -> LabelSetTraining:
    """Train a model and write its artefact.

    Raises:
        UserError: the files or the output folder cannot be used.
    """
    sources = read_label_sets(config)
    with TemporaryDirectory(prefix="sprat-encoder-") as scratch:
        base = load_base_of(config, Path(scratch))
        check_languages(config, base)
        data = sources.data
        fitted, truncated = fit_label_sets(base, data, progress)
        groups = core_numbers(data.texts)
        figures = measure_sets(data.gold, fitted.chances, fitted.confidence, data.labels, groups)
        test = None if sources.test is None else _tested(sources.test, base, fitted, progress)
        card = _described(config, base, data, fitted, figures, test)
        written = write_model(config, base, fitted.head, card, data.texts)
    return LabelSetTraining(config, written, sources, figures, test, truncated)


def fit_label_sets(base: BaseEncoder, data: LabelSetData, progress: OnTrainingProgress) -> tuple[FittedSets, int]:
    """Return what was fitted, and the number of texts that are longer than the encoder reads."""
    encoded = encode_texts(base.encoder, data.texts, progress)
    numbers, cores = set_numbers(data.gold), core_numbers(data.texts)
    folds = text_folds(encoded.vectors, numbers, fold_count(len(data.texts)), cores=cores)
    return fit_sets(encoded.vectors, data.gold, folds, progress), encoded.truncated


def read_sets(
    fitted: FittedSets, base: BaseEncoder, texts: Sequence[str], progress: OnTrainingProgress
) -> tuple[Doubles, Doubles]:
    """Return what a service would publish of texts: the chance of each label, texts × labels, and of the whole set."""
    vectors = encode_texts(base.encoder, texts, progress, "reading the test").vectors
    chances = fitted.calibration.chances(logits_of(fitted.head, vectors))
    return chances, fitted.calibration.all_right(chances)


def _tested(test: LabelSetData, base: BaseEncoder, fitted: FittedSets, progress: OnTrainingProgress) -> SetFigures:
    chances, confidence = read_sets(fitted, base, test.texts, progress)
    return measure_sets(test.gold, chances, confidence, test.labels, core_numbers(test.texts))


def _described(
    config: TrainingConfig,
    base: BaseEncoder,
    data: LabelSetData,
    fitted: FittedSets,
    figures: SetFigures,
    test: SetFigures | None,
) -> Card:
    keep_at, rule = keep_at_of_sets(figures, config.accuracy)
    protocol = f"{figures.texts:,} texts, each by a head and a calibration that had not seen it ({fitted.folds} folds)"
    scores = scores_of_sets("cross_validated", protocol, figures, keep_at)
    if test is not None:
        scores += scores_of_sets("test", f"{test.texts:,} texts of the test file", test, keep_at)
    limits = [
        f"Reads the first {base.card.max_tokens} tokens of a text.",
        "Its figures hold for traffic like the file that it was trained on, and for no other.",
    ]
    return Card(
        name=config.name,
        version=NO_VERSION,
        task=MULTI_LABEL,
        kind=MULTI_LABEL,
        reader=base.reader,
        built_on=base.built_on,
        labels=data.labels,
        label_set=label_set_hash(data.labels),
        languages=config.languages,
        max_tokens=base.card.max_tokens,
        licence=" AND ".join(dict.fromkeys((*base.licences, config.licence))),
        made_of=(*base.made_of, *works_of(config)),
        scores=tuple(scores),
        calibration=Calibration(
            method=CALIBRATED,
            fitted_on=f"{len(data.texts):,} texts of {config.source}, each by a head that had not seen it",
            outside_share=float((~data.gold.any(axis=1)).mean()),
            longest_code_points=max(map(len, data.texts)),
            parameters=dict(fitted.calibration.parameters()),
        ),
        keep_at=keep_at,
        keep_at_rule=rule,
        limits=tuple(limits),
        files={},
    )
