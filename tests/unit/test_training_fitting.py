"""Fitting heads and cross-validation, on made-up vectors: no encoder."""

import numpy as np

from sprat_training.datasets.config import no_progress
from sprat_training.fitting import regression
from sprat_training.fitting.heads import cross_validate, features_of, fit_head, logits_of, text_folds
from sprat_training.fitting.regression import fit_multinomial
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
    folds = text_folds(np.random.default_rng(0).normal(size=(35, 16)).astype(np.float32), gold, 5)
    assert all(len(set(folds[gold == label])) == 5 for label in range(7))
    assert np.bincount(folds).tolist() == [7] * 5


def test_texts_from_one_template_are_held_out_together():
    random = np.random.default_rng(0)
    templates = random.normal(size=(12, 16))
    of_template = np.repeat(np.arange(12), 6)
    vectors = (templates[of_template] + 0.05 * random.normal(size=(72, 16))).astype(np.float32)
    folds = text_folds(vectors, of_template // 4, 10)
    assert all(len(set(folds[of_template == template])) == 1 for template in range(12))
    same = np.repeat(vectors[:1], 30, axis=0)
    assert len(set(text_folds(same, np.zeros(30, np.int64), 10))) == 3  # else a head would not know the label at all


def test_held_out_logits_are_by_heads_that_were_not_fitted_on_the_text():
    vectors, gold = clusters()
    shuffled = np.random.default_rng(1).permutation(gold)  # random labels cannot be learnt
    validation = cross_validate(vectors, shuffled, 6, NO_VECTORS, no_progress)
    assert (validation.logits.argmax(axis=1) == shuffled).mean() < 0.35


def test_hidden_labels_read_as_by_a_head_that_knows_all_labels():
    """Fewer labels give lower logits; without the correction an unknown text would seem easier to recognise."""
    vectors, gold = clusters(labels=4, each=60, spread=1.2)
    validation = cross_validate(vectors, gold, 4, NO_VECTORS, no_progress)
    assert sorted(np.unique(validation.outside_groups)) == [0, 1, 2, 3]
    near, _ = clusters(labels=14, each=60, spread=1.2)
    new = features_of(validation.head, near[4 * 60 :])[:, 0].mean()
    stood_in = validation.outside[:, 0].mean()
    assert abs(stood_in - new) < 0.5 * (validation.inside[:, 0].mean() - new)
