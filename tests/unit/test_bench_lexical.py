"""The measurement of models with and without their lexical stage: what is a miss."""

import pytest

from tests.bench.lexical_quality import MARGIN, missed

SAME = {
    "accuracy": 0.95,
    "kept_share": 0.9,
    "kept_right": 0.97,
    "ece": 0.01,
    "near_kept": 0.1,
    "far_kept": 0.0,
    "keep_at": 0.7,
}


def compared(**changes):
    ratios = {"cpu_ratio": changes.pop("cpu_ratio", 0.4), "cpu_ratio_many": 0.4}
    return {"a": {"on": SAME | changes, "off": SAME, **ratios}}


@pytest.mark.parametrize(
    ("what", "worse"),
    [("accuracy", -1), ("kept_share", -1), ("kept_right", -1), ("ece", 1), ("near_kept", 1), ("far_kept", 1)],
)
def test_a_figure_that_is_worse_by_more_than_the_margin_is_a_miss(what, worse):
    assert missed("a", compared(**{what: SAME[what] + worse * MARGIN / 2}), 0.45) == []
    assert missed("a", compared(**{what: SAME[what] - worse * MARGIN * 2}), 0.45) == []
    (line,) = missed("a", compared(**{what: SAME[what] + worse * MARGIN * 2}), 0.45)
    assert line.startswith(f"a: {what} is 0.40 points worse")


def test_too_much_cpu_is_a_miss():
    assert missed("a", compared(cpu_ratio=0.46), 0.45) == ["a: 0.46 times the CPU in batches of 64, above 0.45"]
