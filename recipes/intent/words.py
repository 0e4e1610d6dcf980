"""Fit the lexical stage before the encoder, from which chance on it answers, and its weight beside the encoder.

The gate is found on the training texts by cross-validation of both, for the 3,000 validation texts are too few to show
a difference of 0.2 %. The calibrations, and the weight of the stage's logits beside the encoder's, are fitted on the
validation texts, as those of the encoder alone are: neither stage was fitted on them.
"""

import numpy as np

from recipes.intent.cards import LEXICAL_RULE, OUTSIDE_SHARE
from recipes.intent.clinc150 import Split
from sprat_inference.card import LexicalCard
from sprat_inference.heads import Floats
from sprat_inference.label_calibration import BASE_LANGUAGE, RIGHT, features
from sprat_inference.lexical import LexicalModel
from sprat_training.datasets.config import no_progress
from sprat_training.fitting.heads import cross_validate, fit_calibrator, text_folds
from sprat_training.fitting.lexical_gate import (
    FOLDS,
    LexicalFit,
    PassedOn,
    fit_evidence,
    fit_lexical_stage,
    passed_on_share,
)
from sprat_training.thresholds.rows import Integers


def fit_stage(
    train: Split,
    gold: Integers,
    labels: int,
    vectors: Floats,
    copies: Floats,
    outside: Split,
    outside_vectors: Floats,
    keep_at: float,
) -> LexicalFit:
    """Fit the stage on the training texts, and its gate by cross-validation.

    Args:
        train: the training texts.
        gold: index of each one's label.
        labels: how many labels there are.
        vectors: of the training texts.
        copies: vectors of an untidy copy of each.
        outside: texts outside every label.
        outside_vectors: of these.
        keep_at: from which confidence on an answer of the encoder alone is kept.
    """
    heads = cross_validate(vectors, gold, labels, outside_vectors, no_progress, copies=copies)
    calibrator = fit_calibrator(heads.inside, heads.logits.argmax(axis=1) == gold, heads.outside, OUTSIDE_SHARE)
    found = fit_lexical_stage(
        train.texts,
        gold,
        labels,
        outside.texts,
        text_folds(vectors, gold, FOLDS),
        heads,
        calibrator,
        keep_at,
        OUTSIDE_SHARE,
        (BASE_LANGUAGE,),
        no_progress,
    )
    assert found is not None, "no gate keeps the margin"  # noqa: S101 - a recipe, stopped by it
    return found


def calibrate_stage(
    fitted: LexicalFit, inside: Split, gold: Integers, encoder: Floats, outside: Split, encoder_outside: Floats
) -> tuple[LexicalModel, LexicalCard]:
    """Return the stage with its card, calibrated on texts that neither it nor the head was fitted on.

    Args:
        fitted: on the training texts.
        inside: validation texts with a label.
        gold: index of each one's label.
        encoder: the encoder's logits of them, texts × labels.
        outside: texts outside every label.
        encoder_outside: the encoder's logits of them.
    """
    words, words_outside = fitted.model.logits(inside.texts), fitted.model.logits(outside.texts)
    raw, raw_outside = features(words), features(words_outside)
    own = fit_calibrator(raw, words.argmax(axis=1) == gold, raw_outside, OUTSIDE_SHARE)
    answered = own.chances(raw)[:, RIGHT] >= fitted.gate.answers_from
    outside_answered = own.chances(raw_outside)[:, RIGHT] >= fitted.gate.answers_from
    left, outside_left = np.flatnonzero(~answered), np.flatnonzero(~outside_answered)
    evidence, passed_on = fit_evidence(
        PassedOn(
            encoder[left],
            words[left],
            gold[left],
            encoder_outside[outside_left],
            words_outside[outside_left],
            passed_on_share(answered, outside_answered, OUTSIDE_SHARE),
        )
    )
    changes = {
        "rule": LEXICAL_RULE,
        "calibration": own.parameters(),
        "evidence": evidence,
        "passed_on": passed_on.parameters(),
    }
    return fitted.model, fitted.card.model_copy(update=changes)
