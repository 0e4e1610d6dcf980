"""The simulations of the guardian's alarms, in few streams."""

import math

import numpy as np

from sprat_contracts import ModelRef, ReviewCell, ReviewClosed
from sprat_guardian import evidence
from sprat_guardian.processes import DELTA, LEAST_REVIEWS, Processes, share_of_delta
from tests.bench import guard_simulation
from tests.bench.guard_simulation import BOUNDED, UNBOUNDED, always, false_alarms, first_alarms, too_often

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
    errors = np.random.default_rng(1).random((400, 1)) < 0.15
    needed, allowed = 1 / share_of_delta(1), 1 - 0.95
    processes, raised = Processes(), {}
    for number, wrong in enumerate(errors[:, 0], 1):
        for process in processes.count(closed(number, wrong=bool(wrong))):
            raised[process.key.is_pooled] = number

    of_task, of_cell = first_alarms(errors, allowed, 1, (needed, 0), (needed, LEAST_REVIEWS))
    assert raised == {True: of_task[0], False: of_cell[0]}


def test_false_alarms_are_rare_and_evidence_that_is_too_large_is_found_out(monkeypatch) -> None:
    monkeypatch.setattr(guard_simulation, "ALLOWED", (0.02,))
    monkeypatch.setattr(guard_simulation, "CELLS", 3)
    assert {one["stream"] for one in false_alarms(20, 200)} == BOUNDED.keys() | UNBOUNDED.keys()

    def complaints() -> list[str]:
        errors = always(np.random.default_rng(2), 0.02, 2_000, 400)
        (alarms,) = first_alarms(errors, 0.02, 400, (1 / DELTA, 0))
        share = guard_simulation._share(np.count_nonzero(alarms), 400)
        return too_often([{"stream": "always the allowed chance", "cells": 1, "allowed": 0.02} | share])

    assert complaints() == []
    # As if the best bet could be chosen after the answers.
    monkeypatch.setattr(evidence, "BETS", dict.fromkeys(evidence.BETS, 1.0))
    assert len(complaints()) == 1


def test_what_breaks_the_hypothesis_has_no_bound() -> None:
    (burst,) = UNBOUNDED
    assert too_often([{"stream": burst, "cells": 1, "allowed": 0.02, "upper": 1.0}]) == []
    assert math.isclose(0.9 * 5 / 9 + 0.1 * 5, 1)
