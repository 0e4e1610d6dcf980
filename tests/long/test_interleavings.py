"""Many interleavings of the loops with faults, each three times as long as those of `make test`."""

from collections import Counter

import pytest

from support.interleavings import run
from support.kafka_model import FAULTS

RUNS = 40
STEPS = 60
NEVER = {"direct": {"model slow"}, "model": set(), "concurrent": set()}
"""Faults that a kind of loop cannot have."""


@pytest.mark.parametrize("kind", NEVER)
@pytest.mark.parametrize("first", range(1_000, 1_120, RUNS))
def test_nothing_is_committed_early_or_lost_whatever_goes_wrong(kind, first):
    struck: Counter[str] = Counter()
    for seed in range(first, first + RUNS):
        interleaving = run(kind, seed, STEPS)
        interleaving.check_outcome(ordered=kind != "concurrent")
        struck += interleaving.kafka.struck
    assert FAULTS.keys() - struck.keys() == NEVER[kind]
