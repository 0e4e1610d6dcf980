"""The scores of the card, each with its protocol. The recipe writes them; `tests/bench` measures them again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from recipes.intent import metrics
from recipes.intent.clinc150 import Split, read_outside, read_queries, read_split
from recipes.intent.noise import copies
from sprat_encoder.label_model import LabellingModel
from sprat_inference.card import Score
from sprat_inference.label_calibration import BASE_LANGUAGE
from sprat_training.evaluation.metrics import ModelReadings

SHARES = (0.03, 0.1, 0.2)
"""Out-of-scope shares of the traffic at which the calibration error is measured."""

TEST = "CLINC150 test, 4,500 in scope and 1,000 out of scope"
VALIDATION_SHARE = 100 / 3100
"""The out-of-scope share of the validation set."""

KEPT = "answers with confidence ≥ keep_at, those without a label ≥ keep_at_outside"

ESCALATED = 0.1
"""Share of the in-scope texts that is escalated where the out-of-scope recall is measured."""


def measure(model: LabellingModel, data: Path, queries: Path) -> tuple[tuple[Score, ...], ModelReadings]:
    """Measure `model`; return the scores, and its readings of the test set for the diagram.

    Args:
        model: the model to measure.
        data: the folder of open data, with CLINC150.
        queries: the folder of queries in other languages; not read for a model with English only.

    Raises:
        FileNotFoundError: when a file is missing from either folder.
    """
    inside, outside = read_split(data, "test"), read_split(data, "oos_test")
    readings = metrics.read_splits(model, inside, outside)
    validation = metrics.read_splits(model, read_split(data, "val"), read_split(data, "oos_val"))
    scores = [*_english(model, readings, validation), *_of_copies(model, inside, outside), *_by_words(model, data)]
    for language in model.calibrated:
        if language != BASE_LANGUAGE:
            scores += _other_language(model, queries, language, readings)
    return tuple(scores), readings


def _english(model: LabellingModel, readings: ModelReadings, validation: ModelReadings) -> Iterator[Score]:
    assumed = model.card.calibration.outside_share
    raw, auroc = metrics.raw_accuracy(readings), metrics.auroc(readings)
    recall = metrics.recall_at_rejected(readings, ESCALATED)
    share, right = _kept(model, readings, 0.0)
    by = "by the calibrated chance of being out of scope"
    yield _score("in_scope_accuracy_raw", raw, f"{TEST}: the best label, nothing sent out")
    yield _score("auroc_out_of_scope", auroc, f"{TEST}: {by}")
    rule = f"{TEST}: out-of-scope recall where {ESCALATED:.0%} of the texts in scope are sent out, {by}"
    yield _score("recall_at_10_escalated", recall, rule)
    yield _score("kept_share_en", share, f"{TEST}, those in scope: {KEPT}")
    yield _score("kept_right_en", right, f"{TEST}, those in scope: of those kept, right as published")
    # The logits of the two stages have different scales; their calibrated chances do not.
    tested, tuned_on = (replace(each, best_logit=1 - each.outside_probability) for each in (readings, validation))
    for name, share in (("tuned", assumed), ("tuned_unweighted", VALIDATION_SHARE)):
        inside, outside = metrics.accuracy_at(tested, metrics.tuned_threshold(tuned_on, share))
        rule = (
            f"{TEST}: threshold on the calibrated chance of being in scope, with the best accuracy on validation "
            f"(3,000 and 100), where {share:.1%} is out of scope; an in-scope text sent out counts as wrong"
        )
        yield _score(f"{name}_in_scope_accuracy", inside, rule)
        yield _score(f"{name}_out_of_scope_recall", outside, rule)
    inside, outside = metrics.served_accuracy(readings)
    rule = f"{TEST}: label or null as published, calibrated for {assumed:.0%} out of scope"
    yield _score("served_in_scope_accuracy", inside, rule)
    yield _score("served_out_of_scope_recall", outside, rule)
    for share in SHARES:
        at = f"{TEST}, weighted so that {share:.0%} is out of scope"
        error = metrics.expected_calibration_error(metrics.reliability_bins(readings, share))
        part, right = _kept(model, readings, share)
        name = f"{share * 100:.0f}"
        yield _score(f"ece_at_{name}", error, f"{at}: expected calibration error of the confidence, 15 equal bins")
        yield _score(f"kept_share_at_{name}", part, f"{at}: {KEPT}")
        yield _score(f"kept_right_at_{name}", right, f"{at}: of those kept, right as published")


def _of_copies(model: LabellingModel, inside: Split, outside: Split) -> Iterator[Score]:
    """Yield what is kept of untidy copies of the test texts, and how much of that is right."""
    assumed = model.card.calibration.outside_share
    both = zip(copies(inside, "to_measure").items(), copies(outside, "to_measure").values(), strict=True)
    for (kind, texts), strange in both:
        readings = metrics.read_splits(model, texts, strange)
        share, right = _kept(model, readings, assumed)
        what = (
            f"CLINC150 test, every fifth text, {len(texts.texts)} in scope and {len(strange.texts)} out of scope, "
            f"changed ({kind}) with other phrases than keep_at_outside was found on; weighted so that {assumed:.0%} is "
            "out of scope"
        )
        yield _score(f"kept_share_{kind}", share, f"{what}: {KEPT}")
        yield _score(f"kept_right_{kind}", right, f"{what}: of those kept, right as published")


def _kept(model: LabellingModel, readings: ModelReadings, outside_share: float) -> tuple[float, float]:
    return metrics.kept_share(readings, model.card.keep_at, outside_share, model.card.keep_at_outside)


def _by_words(model: LabellingModel, data: Path) -> Iterator[Score]:
    """Yield what the lexical stage answers, beside what the encoder says of the same texts."""
    if model.card.lexical is None:
        return
    inside, outside = read_split(data, "test"), read_split(data, "oos_test")
    found, beyond = (model.classify(split.texts, [BASE_LANGUAGE] * len(split.texts)) for split in (inside, outside))
    places = np.flatnonzero(found.by_words)
    alone = model.encoder_alone().classify([inside.texts[place] for place in places], [BASE_LANGUAGE] * len(places))
    labels, gold = np.array(model.card.labels), np.array(inside.labels)[places]
    yield _score("lexical_share", float(found.by_words.mean()), f"{TEST}: in scope, answered by the lexical stage")
    yield _score(
        "lexical_error", float((labels[found.best[places]] != gold).mean()), f"{TEST}: of these, the label is wrong"
    )
    yield _score(
        "lexical_encoder_error",
        float((labels[alone.best] != gold).mean()),
        f"{TEST}: of the same texts, the best label of the encoder alone is wrong",
    )
    yield _score(
        "lexical_outside_share", float(beyond.by_words.mean()), f"{TEST}: out of scope, answered by the lexical stage"
    )


def _other_language(model: LabellingModel, queries: Path, language: str, english: ModelReadings) -> Iterator[Score]:
    """Yield the scores of a language that is not the language of the training texts."""
    keep_at = model.card.keep_at
    _, reported = read_queries(queries, language)
    readings = metrics.read_splits(model, reported, read_outside(queries, language))
    what = f"{len(reported.texts)} {language} queries of tests/data, one an intent, not calibrated by"
    strange = (
        f"{int((~readings.in_scope).sum())} {language} texts of tests/data outside every intent, fitted to nothing"
    )
    share, right = _kept(model, readings, 0.0)
    _, wanted = _kept(model, english, 0.0)
    yield _score(f"top1_{language}", metrics.raw_accuracy(readings), f"{what}: the best label, nothing sent out")
    yield _score(f"kept_share_{language}", share, f"{what}: {KEPT}")
    yield _score(f"kept_right_{language}", right, f"{what}: of those kept, right as published")
    yield _score(
        f"mean_confidence_{language}", float(readings.confidence[readings.in_scope].mean()), f"{what}: mean confidence"
    )
    yield _score(
        f"served_accuracy_{language}", metrics.served_accuracy(readings)[0], f"{what}: label or null as published"
    )
    least = metrics.least_escalated(metrics.in_scope_only(readings), wanted)
    rule = f"{what}: least share to escalate so that {wanted:.1%} of those kept are right, as at keep_at in English"
    yield _score(f"escalated_as_right_as_en_{language}", least, rule)
    taken = float((~readings.is_rejected & (readings.confidence >= keep_at))[~readings.in_scope].mean())
    yield _score(
        f"outside_null_{language}", metrics.served_accuracy(readings)[1], f"{strange}: published without a label"
    )
    yield _score(f"outside_kept_as_label_{language}", taken, f"{strange}: published with a label and kept")


def _score(name: str, value: float, protocol: str) -> Score:
    return Score(name=name, value=round(value, 4), protocol=protocol)
