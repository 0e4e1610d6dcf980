"""What `sprat retrain` says of two versions."""

import numpy as np

from sprat_cli.retrain.corrections import AskedModel
from sprat_cli.retrain.summary import comparison_sentence
from sprat_training.evaluation.comparison import VersionAnswers, compare

MODEL = AskedModel("intent", "fm")


def version(right, kept, texts=67):
    """Return a version that gets the first `right` texts right and keeps the first `kept`."""
    rights, keeps = np.arange(texts) < right, np.arange(texts) < kept
    return VersionAnswers(rights, keeps, rights & keeps, np.zeros(texts, bool))


def test_a_version_that_is_as_often_right_but_keeps_clearly_less_is_called_worse():
    said = comparison_sentence(MODEL, compare(version(56, 24), version(54, 14)))
    assert said.startswith(
        "The new version of intent/fm is worse on 67 texts: right: no difference shown (-3.0 points ("
    )
    assert "the new one keeps clearly less: -14.9 points (" in said
    assert "kept and right, +14.9 points (" in said


def test_no_difference_is_said_of_each_share_of_its_own():
    said = comparison_sentence(MODEL, compare(version(56, 24), version(55, 24)))
    assert said.startswith("On 67 texts, right: no difference shown (-1.5 points (")
    assert "; kept and right: no difference shown (+0.0 points (+0.0 to +0.0)); more corrections" in said


def test_of_the_better_version_too_it_is_said_how_much_it_keeps():
    said = comparison_sentence(MODEL, compare(version(40, 24), version(56, 14)))
    assert said.startswith("The new version of intent/fm is better: right: +23.9 points (")
    assert "the new one keeps clearly less: -14.9 points (" in said
    said = comparison_sentence(MODEL, compare(version(56, 14), version(40, 24)))
    assert said.startswith("The served version of intent/fm is better: keep it. Right: -23.9 points (")
    assert "the new one keeps clearly more" in said
