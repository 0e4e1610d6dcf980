"""The simulations of the guardian's alarms, in few streams."""

import math

import numpy as np
import pytest

from sprat_contracts import ModelRef, ReviewCell, ReviewClosed
from sprat_guardian import evidence as evidence_module
from sprat_guardian.evidence import evidence
from sprat_guardian.processes import DELTA, LEAST_REVIEWS, Processes, share_of_delta
from tests.bench import guard_simulation
from tests.bench.guard_simulation import BOUNDED, UNBOUNDED, alarms, always, false_alarms, limits, too_often

CELL = ReviewCell(tenant="shop", language="en")


def closed(number: int, *, wrong: bool) -> ReviewClosed:
    return ReviewClosed(
        text_id=f"{number}",
        text_source="/shop",
        task="intent",
        cell=CELL,
        model=ModelRef(name="m", version="1"),
        says="some",
        confidence=0.9,
        goal=0.95,
        hash="0" * 16,
        share=0.01,
        least_share=0.01,
        drawn_at=1_780_000_000_000 + number,
        verdict="wrong" if wrong else "right",
    )


def test_a_simulated_alarm_comes_after_the_same_review_as_the_guardians() -> None:
    errors = np.random.default_rng(1).random(400) < 0.15
    needed, allowed = 1 / share_of_delta(1), 1 - 0.95
    processes, raised = Processes(), {}
    for number, wrong in enumerate(errors, 1):
        for process in processes.count(closed(number, wrong=bool(wrong))):
            raised[process.key.is_pooled] = number

    assert raised == {
        True: alarms(errors, limits(400, allowed, needed)),
        False: alarms(errors, limits(400, allowed, needed, LEAST_REVIEWS)),
    }


@pytest.mark.parametrize("allowed", [0.01, 0.05])
def test_an_alarm_needs_the_evidence_and_one_error_less_does_not_have_it(allowed: float) -> None:
    for number, errors in enumerate(limits(500, allowed, 20), 1):
        assert evidence(number, errors - 1, allowed) < 20 <= evidence(number, errors, allowed)


def test_false_alarms_are_rare_and_evidence_that_is_too_large_is_found_out(monkeypatch) -> None:
    monkeypatch.setattr(guard_simulation, "ALLOWED", (0.02,))
    monkeypatch.setattr(guard_simulation, "CELLS", 3)
    assert {one["stream"] for one in false_alarms(20, 500)} == BOUNDED.keys() | UNBOUNDED.keys()

    def raised() -> int:
        errors = always(np.random.default_rng(2), 0.02, 400, 2_000)
        return int(np.count_nonzero(alarms(errors, limits(2_000, 0.02, 1 / DELTA))))

    def share(count: int) -> list[str]:
        return too_often([{"stream": "always the allowed chance", "cells": 1, "allowed": 0.02, **upper(count)}])

    def upper(count: int) -> dict[str, float]:
        return guard_simulation._share(count, 400)

    assert share(raised()) == []
    # Bets that may be chosen after the answers: the evidence is that of the best one.
    best = dict.fromkeys(evidence_module.BETS, 1.0)
    monkeypatch.setattr(evidence_module, "BETS", best)
    assert len(share(raised())) == 1


def test_what_breaks_the_hypothesis_has_no_bound() -> None:
    (burst,) = UNBOUNDED
    assert too_often([{"stream": burst, "cells": 1, "allowed": 0.02, "upper": 1.0}]) == []
    assert math.isclose(0.9 * 5 / 9 + 0.1 * 5, 1)
