"""The loops of the chassis, whatever goes wrong and whenever: nothing is committed early, and nothing is lost."""

import pytest

from support.interleavings import run


@pytest.mark.parametrize("kind", ["direct", "model", "concurrent"])
@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_committed_early_or_lost_whatever_goes_wrong(kind, seed):
    run(kind, seed).check_outcome(ordered=kind != "concurrent")
