"""From which chance on the lexical stage answers: never where it would be wrong more often than the encoder."""

import numpy as np
import pytest

from sprat_inference.label_calibration import RIGHT, features
from sprat_training.datasets.config import no_progress
from sprat_training.fitting.heads import HeldOut, fit_calibrator
from sprat_training.fitting.lexical_gate import (
    LEAST_SHARE,
    MARGIN,
    Compared,
    PassedOn,
    find_gate,
    fit_evidence,
    fit_lexical_stage,
    passed_on_share,
)

NONE = Compared(np.zeros(0), np.zeros(0, bool), np.zeros(0), np.zeros(0))
NO_GROUPS = np.zeros(0, np.int64)


def compared(chance, wrong, encoder_wrong):
    return Compared(
        np.asarray(chance), np.asarray(wrong, bool), np.asarray(encoder_wrong, float), np.asarray(encoder_wrong, float)
    )


def test_it_answers_down_to_where_it_is_wrong_more_often_than_the_encoder():
    chance = np.linspace(1, 0, 10_000)
    wrong = chance < 0.7
    gate = find_gate(compared(chance, wrong, np.zeros(10_000)), NONE, NO_GROUPS, 0.0)
    assert gate is not None
    assert 0.69 < gate.answers_from <= 0.701
    assert gate.share == pytest.approx(0.3, abs=0.01)
    assert gate.sure <= MARGIN


def test_errors_that_the_encoder_makes_too_do_not_count():
    chance = np.linspace(1, 0, 10_000)
    wrong = np.arange(10_000) % 20 == 0
    assert find_gate(compared(chance, wrong, np.zeros(10_000)), NONE, NO_GROUPS, 0.0) is None
    gate = find_gate(compared(chance, wrong, wrong), NONE, NO_GROUPS, 0.0)
    assert gate is not None
    assert gate.error == gate.encoder_error == pytest.approx(0.05, abs=0.001)


def test_the_first_chance_that_fails_ends_the_search():
    """Of many chances that are tried one may pass by luck: here below those that are wrong, where the encoder errs."""
    chance = np.repeat([0.95, 0.8, 0.1], [200, 5_000, 4_800])
    gate = find_gate(compared(chance, chance == 0.95, chance == 0.8), NONE, NO_GROUPS, 0.0)
    assert gate is None
    assert find_gate(compared(chance, chance == 0.1, chance == 0.8), NONE, NO_GROUPS, 0.0) is not None


def test_few_texts_prove_nothing():
    assert find_gate(compared(np.ones(300), np.zeros(300), np.zeros(300)), NONE, NO_GROUPS, 0.0) is None
    assert find_gate(compared(np.ones(3_000), np.zeros(3_000), np.zeros(3_000)), NONE, NO_GROUPS, 0.0) is not None


def test_a_stage_that_answers_texts_outside_is_closed_unless_the_encoder_keeps_them_too():
    inside = compared(np.linspace(1, 0.9, 5_000), np.zeros(5_000), np.zeros(5_000))
    chance, groups = np.linspace(1, 0.9, 1_000), np.arange(1_000) % 50
    assert find_gate(inside, compared(chance, np.ones(1_000), np.zeros(1_000)), groups, 0.1) is None
    assert find_gate(inside, compared(chance, np.ones(1_000), np.ones(1_000)), groups, 0.1) is not None


def test_texts_outside_of_one_label_are_one_case():
    """All texts that pass are of one of ten labels: another new label may be like it."""
    inside = compared(np.full(20_000, 0.99), np.zeros(20_000), np.zeros(20_000))
    groups = np.arange(1_000) // 100
    chance = np.where((groups == 0) & (np.arange(1_000) % 100 < 12), 0.99, 0.0)
    outside = compared(chance, np.ones(1_000), np.zeros(1_000))
    assert find_gate(inside, outside, groups, 0.1) is None
    assert find_gate(inside, outside, np.random.default_rng(0).permutation(groups), 0.1) is not None


def test_a_stage_that_answers_few_texts_is_left_out():
    chance = np.where(np.arange(10_000) < 10_000 * LEAST_SHARE * 0.9, 0.99, 0.1)
    assert find_gate(compared(chance, np.zeros(10_000), np.zeros(10_000)), NONE, NO_GROUPS, 0.0) is None


WORDS = ("card lost key", "leave days off", "pay late month", "laptop broken screen", "room book floor")


def written(count=1_500):
    """Return texts of five labels, each with words of its own among words that all share, and the labels."""
    random = np.random.default_rng(0)
    shared = [f"w{number}x" for number in range(60)]
    gold = np.arange(count) % len(WORDS)
    texts = []
    for label in gold:
        own = random.choice(WORDS[label].split(), 2)
        words = [*own, *random.choice(shared, 4)]
        texts.append(" ".join(random.permutation(words)))
    return tuple(texts), gold


def by_encoder(gold, strength):
    """Return what held-out heads would say: right for all but a few texts, and unsure of texts outside."""
    random = np.random.default_rng(1)
    logits = random.normal(size=(len(gold), len(WORDS))).astype(np.float32)
    logits[np.arange(len(gold)), gold] += strength
    outside = features(random.normal(size=(100, len(WORDS))))
    inside = features(logits)
    numbers = np.arange(100)
    held_out = HeldOut(logits, inside, outside, numbers, numbers, labels_held_out=False, folds=3)
    return held_out, fit_calibrator(inside, logits.argmax(axis=1) == gold, outside, 0.1)


def fitted(texts, gold, outside, strength=6.0):
    encoder, calibrator = by_encoder(gold, strength)
    folds = np.arange(len(gold)) // len(WORDS) % 3
    return fit_lexical_stage(
        texts, gold, len(WORDS), outside, folds, encoder, calibrator, 0.9, 0.1, ("en",), no_progress
    )


def test_a_stage_on_plain_words_is_found_and_its_card_says_what_it_does():
    texts, gold = written()
    outside = tuple(f"w{number}x strange talk of q{number}" for number in range(100))
    stage = fitted(texts, gold, outside)
    assert stage is not None
    assert stage.gate.share > 0.5
    assert (stage.best[stage.answered] == gold[stage.answered]).all()
    assert not stage.outside_answered.any()
    assert stage.card.answers_from == stage.gate.answers_from
    assert (stage.chances[stage.answered, RIGHT] >= stage.gate.answers_from).all()
    assert stage.model.logits(texts[:5]).argmax(axis=1).tolist() == gold[:5].tolist()


def test_labels_that_no_word_tells_apart_get_no_stage():
    texts, gold = written()
    assert fitted(texts, np.random.default_rng(2).permutation(gold), tuple(["strange talk"] * 100)) is None


def judged(gold, strength, seed):
    """Return logits that lean to the right label, by so much, and logits of texts outside, which lean to none."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(len(gold), len(WORDS))).astype(np.float32)
    logits[np.arange(len(gold)), gold] += strength
    return logits, random.normal(size=(300, len(WORDS))).astype(np.float32)


def test_evidence_that_the_encoder_lacks_gets_a_weight_and_noise_gets_none():
    gold = np.arange(3_000) % len(WORDS)
    encoder, encoder_outside = judged(gold, 3.0, 0)
    words, words_outside = judged(gold, 2.0, 1)
    evidence, calibrator = fit_evidence(PassedOn(encoder, words, gold, encoder_outside, words_outside, 0.1))
    assert 0.4 <= evidence <= 0.95  # of two normal voices each counts by its strength: 2 / 3
    both = encoder + np.float32(evidence) * words
    right = both.argmax(axis=1) == gold
    assert right.mean() > (encoder.argmax(axis=1) == gold).mean() + 0.02
    assert calibrator.chances(features(both))[:, RIGHT].mean() == pytest.approx(right.mean(), abs=0.03)
    noise, noise_outside = judged(gold, 0.0, 2)
    assert fit_evidence(PassedOn(encoder, noise, gold, encoder_outside, noise_outside, 0.1))[0] <= 0.05


def test_of_what_is_passed_on_more_is_outside():
    answered, outside = np.arange(10) < 5, np.arange(10) < 1
    assert passed_on_share(answered, outside, 0.1) == pytest.approx(0.09 / (0.45 + 0.09))
    assert passed_on_share(answered, outside[:0], 0.1) == 0
