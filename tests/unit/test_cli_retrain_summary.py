"""What `sprat retrain` says of two versions."""

from pathlib import Path

import numpy as np
import pytest

from sprat.errors import SpratError
from sprat_cli.retrain.command import check_replaces
from sprat_cli.retrain.corrections import AskedModel
from sprat_cli.retrain.keep_at import KeepAtAdvice
from sprat_cli.retrain.summary import advise, comparison_sentence
from sprat_training.evaluation.comparison import VersionAnswers, compare
from sprat_training.verdict import Verdict

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


def test_a_worse_version_replaces_the_served_one_only_where_the_user_is_asked():
    fair = Verdict("fair", "", None, (), keep_at_holds=True)
    worse, alike = compare(version(56, 24), version(54, 14)), compare(version(56, 24), version(55, 24))
    check_replaces(Path("fm"), fair, alike, unasked=True)
    check_replaces(Path("fm"), fair, worse, unasked=False)
    with pytest.raises(SpratError, match="the new version is worse, so fm stays as it is; without --yes you are asked"):
        check_replaces(Path("fm"), fair, worse, unasked=True)
    poor = Verdict("poor", "", None, (), keep_at_holds=True)
    with pytest.raises(SpratError, match="the new version keeps nothing, so fm stays as it is"):
        check_replaces(Path("fm"), poor, alike, unasked=False)


@pytest.mark.parametrize(
    ("served", "new", "line"),
    [
        ((40, 24), (56, 24), "replace: yes, because the new version gets clearly more texts right: +23.9 points ("),
        ((56, 24), (40, 24), "replace: no, because the new version gets clearly fewer texts right: -23.9 points ("),
        ((56, 14), (55, 24), "replace: yes, because it keeps clearly more that is right: +14.9 points ("),
        ((56, 24), (54, 14), "replace: no, because it keeps clearly less that is right: -14.9 points ("),
        ((56, 24), (55, 24), "replace: no, because no difference is shown on 67 texts"),
    ],
)
def test_one_line_says_whether_to_replace_the_served_version_and_why(served, new, line):
    verdict = Verdict("fair", "", None, (), keep_at_holds=True)
    keep_at = KeepAtAdvice("write in policy.yaml: keep_at: 0.60 (now 0.50)", writes=True)
    advice = advise(verdict, compare(version(*served), version(*new)), keep_at)
    assert advice.lines[0].startswith(line)
    more = ["  then write in policy.yaml: keep_at: 0.60 (now 0.50)"] if advice.replace else []
    assert advice.lines[1:] == more


def test_a_version_that_keeps_nothing_is_not_advised_and_a_keep_at_that_holds_is_not_written():
    poor = Verdict("poor", "", None, (), keep_at_holds=True)
    better = compare(version(40, 24), version(56, 24))
    assert advise(poor, better, None).lines == ["replace: no, because the new version keeps nothing"]
    good = Verdict("good", "", None, (), keep_at_holds=True)
    assert len(advise(good, better, None).lines) == 1
