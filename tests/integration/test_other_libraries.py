"""What others compute, too: the same comes out. They are no part of a service and take seconds to load."""

import numpy as np
import pytest
from seqeval.metrics import f1_score
from sklearn.linear_model import LogisticRegression

from recipes.ner.quality import ReadSentence
from sprat_training.fitting.regression import fit_multinomial


@pytest.mark.parametrize("weighted", [False, True])
def test_the_regression_finds_what_scikit_learn_finds(weighted):
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 4))
    classes = (rows[:, 0] + random.normal(size=400) > 0).astype(np.int64) + (rows[:, 1] > 1)
    weights = random.uniform(0.5, 2, 400) if weighted else None
    theirs = LogisticRegression(C=10, max_iter=5_000, tol=1e-10).fit(rows, classes, sample_weight=weights)
    ours, bias = fit_multinomial(rows, classes, 3, c=10, weights=weights, tolerance=1e-13)
    assert np.abs(ours.T - theirs.coef_).max() < 2e-3
    assert np.abs(bias - bias.mean() - theirs.intercept_ + theirs.intercept_.mean()).max() < 2e-3


def test_the_f1_of_names_is_seqevals():
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "B-ORG"], ["O"]]
    given = [["B-PER", "O", "O", "B-LOC"], ["B-ORG", "I-ORG"], ["B-PER"]]
    one = ReadSentence(tuple(map(tuple, gold)), tuple(map(tuple, given)), np.zeros(3), np.zeros(0), np.zeros(0, bool))
    assert one.counts.f1 == pytest.approx(f1_score(gold, given))
