"""Make an artefact, `default` or `en-fast`: fit, calibrate, measure, write. Takes minutes on one core.

    python -m recipes.intent.build default --data DIR      (or SPRAT_DATA=DIR)

DIR holds `intent/clinc150/tsv`. The README in this folder states how exactly it reproduces.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recipes.common import options_of, replace_artefact, say
from recipes.intent import metrics
from recipes.intent.cards import KEEP_AT_RULE, KEPT_RIGHT, KINDS, MAX_TOKENS, OUTSIDE_SHARE, ArtefactKind
from recipes.intent.clinc150 import Split, read_queries, read_split
from recipes.intent.fit import fit_calibrator, fit_head, fit_near, mean_of
from recipes.intent.noise import copies, with_few_copies
from recipes.intent.scores import measure
from recipes.intent.thresholds import ARTEFACTS, QUERIES, outside_texts, rows_of
from recipes.intent.words import calibrate_stage, fit_stage
from sprat_encoder import identify, load
from sprat_encoder.label_model import LabellingModel
from sprat_encoder.networks import EncoderWithHead
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Calibration, Card, PartRef, label_set_hash
from sprat_inference.heads import LABEL_READER, Floats, LabelHead
from sprat_inference.label_calibration import BASE_LANGUAGE, METHOD, CalibratorsByLanguage, LabelCalibrator
from sprat_inference.lexical import LexicalStage
from sprat_training.evaluation.metrics import ModelReadings
from sprat_training.fitting.doubt_fit import fit_doubts
from sprat_training.fitting.noise import copies_to_train
from sprat_training.thresholds.levels import write_levels


@dataclass(frozen=True, slots=True)
class Sources:
    """The folders of the inputs."""

    data: Path
    queries: Path


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and build."""
    parser = options_of(__doc__)
    parser.add_argument("artefact", choices=sorted(KINDS), help="which one to make")
    parser.add_argument(
        "--queries", type=Path, default=QUERIES, help="queries in other languages (default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, help="the artefact to write (default: the committed one)")
    options = parser.parse_args(argv)
    output = options.output or ARTEFACTS / options.artefact
    sources = Sources(options.data, options.queries)
    replace_artefact(output, lambda folder: build(KINDS[options.artefact], sources, folder))


def build(kind: ArtefactKind, sources: Sources, folder: Path) -> Card:
    """Write the artefact into `folder`, which must be empty, and return its card."""
    say("encoder")
    shared = identify(kind.encoder)
    encoder = load(shared, max_tokens=MAX_TOKENS)
    say("vectors of 15,000 training texts")
    train = read_split(sources.data, "train")
    gold, labels = np.array(train.labels), tuple(sorted(set(train.labels)))
    training_vectors = encoder.encode(train.texts).vectors
    untidy = copies_to_train(train.texts, [train.language] * len(train.texts))
    copied_vectors = encoder.encode(untidy).vectors
    say("head")
    head = fit_head(np.concatenate([training_vectors, copied_vectors]), np.tile(gold, 2), labels)
    say("calibration")
    indexes = {label: place for place, label in enumerate(labels)}
    inside, outside = read_split(sources.data, "val"), outside_texts(sources.data)
    splits = {language: read_queries(sources.queries, language)[0] for language in kind.calibrated}
    vectors = {language: encoder.encode(split.texts).vectors for language, split in splits.items()}
    head = replace(head, means={language: mean_of(each) for language, each in vectors.items()})
    head.save(folder)
    fitted_on, outside_fitted_on = (with_few_copies(each) for each in (inside, outside))
    vectors[BASE_LANGUAGE] = encoder.encode(fitted_on.texts).vectors
    outside_vectors = encoder.encode(outside_fitted_on.texts).vectors
    outside_logits = head.logits(outside_vectors, [BASE_LANGUAGE] * len(outside_vectors))
    calibrators = calibrate(head, labels, {BASE_LANGUAGE: fitted_on, **splits}, vectors, outside_logits)
    longest = max(len(text) for text in inside.texts + outside.texts)
    draft = describe(kind, shared, labels, calibrators, longest)
    network = EncoderWithHead(encoder, head)
    alone = LabellingModel(draft, network, calibrators)
    doubts = fit_doubts(
        train.texts,
        np.array([indexes[label] for label in train.labels]),
        labels,
        lambda parts: alone.labelled(parts, [BASE_LANGUAGE] * len(parts)),
    )
    draft = draft.model_copy(update={"doubts": doubts})
    keep_at = lowest_threshold(metrics.read_splits(LabellingModel(draft, network, calibrators), inside, outside))
    say("lexical stage")
    fitted = fit_stage(
        train,
        np.array([indexes[label] for label in train.labels]),
        len(labels),
        training_vectors,
        copied_vectors,
        outside,
        outside_vectors[: len(outside.texts)],
        keep_at,
    )
    words, lexical = calibrate_stage(
        fitted,
        fitted_on,
        np.array([indexes[label] for label in fitted_on.labels]),
        head.logits(vectors[BASE_LANGUAGE], [BASE_LANGUAGE] * len(fitted_on.texts)),
        outside_fitted_on,
        outside_logits,
    )
    words.save(folder)
    draft = draft.model_copy(update={"lexical": lexical})
    model = LabellingModel(draft, network, calibrators, LexicalStage.of(words, draft))
    keep_at = max(keep_at, lowest_threshold(metrics.read_splits(model, inside, outside)))
    say("copies with typing errors, in capitals, in mails and letters")
    draft = draft.model_copy(
        update={"keep_at": keep_at, "keep_at_outside": lowest_outside(model, inside, outside, keep_at)}
    )
    say("scores on the test set")
    scores, _ = measure(
        LabellingModel(draft, network, calibrators, LexicalStage.of(words, draft)), sources.data, sources.queries
    )
    write_artefact(folder, draft.model_copy(update={"scores": scores}).model_dump())
    say("levels")
    written = LabellingModel.load(folder)
    write_levels(folder, written.card, rows_of(written, sources.data, sources.queries))
    return written.card


def calibrate(
    head: LabelHead,
    labels: tuple[str, ...],
    splits: dict[str, Split],
    vectors: dict[str, Floats],
    outside_logits: Floats,
) -> CalibratorsByLanguage:
    """Fit the calibration of each language on texts that the head was not fitted on; English comes first.

    Args:
        head: computes the logits.
        labels: in the order of the logits.
        splits: language → texts in scope.
        vectors: language → vectors of these texts, float32, texts × width.
        outside_logits: logits of English texts out of scope, float32, texts × labels; used for every language.
    """
    fitted: dict[str, LabelCalibrator] = {}
    for language, split in splits.items():
        logits = head.logits(vectors[language], [language] * len(split.texts))
        right = np.array(labels)[logits.argmax(axis=1)] == np.array(split.labels)
        fitted[language] = (
            fit_near(fitted[BASE_LANGUAGE], logits, right, outside_logits, OUTSIDE_SHARE)
            if fitted
            else fit_calibrator(logits, right, outside_logits, OUTSIDE_SHARE)
        )
    return CalibratorsByLanguage(fitted)


def describe(
    kind: ArtefactKind,
    shared: PartRef,
    labels: tuple[str, ...],
    calibrators: CalibratorsByLanguage,
    longest: int,
) -> Card:
    """Return the card without scores, files, version and keep_at."""
    return Card(
        name=kind.name,
        version="0" * 16,
        task="intent",
        reader=LABEL_READER,
        built_on=shared,
        labels=labels,
        label_set=label_set_hash(labels),
        languages=kind.languages,
        max_tokens=MAX_TOKENS,
        licence=kind.licence,
        made_of=kind.made_of,
        scores=(),
        calibration=Calibration(
            method=METHOD,
            fitted_on=kind.fitted_on,
            outside_share=OUTSIDE_SHARE,
            longest_code_points=longest,
            parameters=dict(calibrators.parameters()),
        ),
        keep_at=1.0,
        keep_at_rule=KEEP_AT_RULE,
        limits=kind.limits,
        files={},
    )


def lowest_threshold(readings: ModelReadings) -> float:
    """Return the lowest threshold, in hundredths, at which the answers kept are right often enough."""
    hundredths = (step / 100 for step in range(100))
    return next(at for at in hundredths if _right_enough(readings, at))


def lowest_outside(model: LabellingModel, inside: Split, outside: Split, keep_at: float) -> float:
    """Return the lowest threshold for answers without a label, in hundredths from `keep_at` on; 1: none is kept.

    At it, the answers kept of the texts and of one copy of each are right often enough.
    """
    kinds = zip(copies(inside, "to_fit").values(), copies(outside, "to_fit").values(), strict=True)
    read = [metrics.read_splits(model, *splits) for splits in ((inside, outside), *kinds)]
    together = metrics.joined(read)
    hundredths = (step / 100 for step in range(round(keep_at * 100), 100))
    return next((at for at in hundredths if _right_enough(together, keep_at, at)), 1.0)


def _right_enough(readings: ModelReadings, keep_at: float, keep_at_outside: float | None = None) -> bool:
    """Return whether the answers kept are right often enough, and a standard error more often.

    The share on a few thousand texts is an estimate: without the standard error, it is too high for half of all models.
    """
    kept, right = metrics.kept_share(readings, keep_at, OUTSIDE_SHARE, keep_at_outside)
    error = math.sqrt(right * (1 - right) / (kept * len(readings.right)))
    return right - error >= KEPT_RIGHT


if __name__ == "__main__":
    main()
