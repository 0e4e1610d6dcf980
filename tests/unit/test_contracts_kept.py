"""From which confidence a `keep_at` keeps an answer."""

import numpy as np
import pytest

from sprat_contracts.kept import least_kept
from sprat_training.chance_calibration import measure_chances
from sprat_training.evaluation.metrics import ModelReadings
from sprat_training.figures import curve_of


@pytest.mark.parametrize("keep_at", [0.0, 0.72, 0.99])
def test_a_keep_at_keeps_from_itself_on(keep_at):
    assert least_kept(keep_at) == keep_at


def test_one_keeps_nothing_not_even_what_is_wholly_sure():
    assert not least_kept(1.0) <= 1.0


def test_what_is_counted_at_one_is_what_the_router_keeps():
    sure, none = np.ones(60), np.zeros(60)
    right = np.arange(60) % 2 == 0
    readings = ModelReadings(np.ones(60, bool), right, none, none, np.zeros(60, bool), sure)
    curve = curve_of(readings)
    assert (curve[99].share, curve[100].share) == (1, 0)
    found = measure_chances(None, "right", sure, right, 0.97)
    assert (found.keep_at, found.kept_share) == (1.0, 0.0)
    assert found.rule.endswith("there is none, so nothing is kept")
