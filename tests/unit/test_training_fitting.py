"""Fitting heads and cross-validation, on made-up vectors: no encoder."""

import numpy as np

from sprat_training import regression
from sprat_training.config import no_progress
from sprat_training.fitting import cross_validate, fit_head, logits_of, text_folds
from sprat_training.regression import fit_multinomial
from support.training_data import NO_VECTORS, clusters


def test_classes_share_no_component_so_that_the_logits_of_several_heads_compare():
    vectors, gold = clusters(labels=12)
    weights, bias = fit_multinomial(vectors, gold, 12, c=10)
    assert np.abs(weights.mean(axis=1)).max() < 1e-5
    assert abs(bias.mean()) < 1e-5


def test_a_fit_needs_few_evaluations(monkeypatch):
    minimise, points = regression.minimise, []

    def counting(function, *rest, **more):
        return minimise(lambda point: points.append(point) or function(point), *rest, **more)

    monkeypatch.setattr(regression, "minimise", counting)
    fit_multinomial(*clusters(labels=40), 40, c=10)
    assert len(points) < 24  # 28 without the preconditioner


def test_a_head_separates_its_labels_and_is_the_same_every_time():
    vectors, gold = clusters()
    head, again = fit_head(vectors, gold, 6), fit_head(vectors, gold, 6)
    assert (logits_of(head, vectors).argmax(axis=1) == gold).all()
    assert head.weights.tobytes() == again.weights.tobytes()
    assert head.weights.dtype == np.float32


def test_every_label_is_spread_over_the_folds():
    gold = np.repeat(np.arange(7), 5)
    folds = text_folds(gold, 5)
    assert all(len(set(folds[gold == label])) == 5 for label in range(7))
    assert np.bincount(folds).tolist() == [7] * 5


def test_held_out_logits_are_by_heads_that_were_not_fitted_on_the_text():
    vectors, gold = clusters()
    shuffled = np.random.default_rng(1).permutation(gold)  # random labels cannot be learnt
    validation = cross_validate(vectors, shuffled, 6, NO_VECTORS, no_progress)
    assert (validation.logits.argmax(axis=1) == shuffled).mean() < 0.35
