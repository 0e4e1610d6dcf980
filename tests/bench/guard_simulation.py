"""False alarms, and reviews until an alarm, of made-up streams of reviews: by the guardian's own evidence."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from sprat_guardian.evidence import evidence
from sprat_guardian.processes import DELTA, LEAST_REVIEWS, share_of_delta

STREAMS: Final = 1_000
REVIEWS: Final = 10_000
"""Of one stream; of twenty cells, each has so many."""
CELLS: Final = 20
AT_ONCE: Final = 20
"""Streams of twenty cells that are held in memory together."""
MARGIN: Final = 0.015
"""The upper 95 % end of the share with an alarm may be δ and this."""
ALLOWED: Final = (0.01, 0.02, 0.05)
TIMES: Final = (2, 3, 5)
A_DAY: Final = 100
"""Reviews: 1 % of 10,000 texts."""
WATCHED: Final = 40_000
"""Reviews after which an alarm that did not come is no longer waited for."""

Errors = NDArray[np.bool_]
Limits = NDArray[np.int64]
Stream = Callable[[np.random.Generator, float, int, int], Errors]
"""Random numbers, the allowed chance, streams and reviews → which reviews are wrong."""


def limits(reviews: int, allowed: float, needed: float, least: int = 1) -> Limits:
    """Return from how many errors on the alarm is raised, after 1, 2, … reviews; before the `least`, never."""
    found, errors = np.zeros(reviews, np.int64), 0
    for number in range(1, reviews + 1):
        while evidence(number, errors, allowed) < needed:
            errors += 1
        found[number - 1] = errors if number >= least else number + 1
    return found


def alarms(errors: Errors, limit: Limits) -> NDArray[np.int64]:
    """Return of each stream after how many reviews its alarm is raised; 0 for never."""
    over = np.cumsum(errors, axis=-1, dtype=np.int32) >= limit
    return np.where(over.any(-1), over.argmax(-1) + 1, 0)


def always(random: np.random.Generator, allowed: float, streams: int, reviews: int) -> Errors:
    """Return streams in which each answer has the allowed chance of an error."""
    return random.random((streams, reviews)) < allowed


def in_turns(random: np.random.Generator, allowed: float, streams: int, reviews: int) -> Errors:
    """Return streams of 500 reviews at half the allowed chance, then 500 at the allowed one, and so on."""
    chances = np.where(np.arange(reviews) // 500 % 2, allowed, allowed / 2)
    return random.random((streams, reviews)) < chances


def after_errors(random: np.random.Generator, allowed: float, streams: int, reviews: int) -> Errors:
    """Return streams with the allowed chance in the 50 reviews after an error, else half of it."""
    errors, until = np.zeros((streams, reviews), bool), np.zeros(streams, np.int64)
    for number in range(reviews):
        errors[:, number] = random.random(streams) < np.where(number < until, allowed, allowed / 2)
        until[errors[:, number]] = number + 51
    return errors


def bursts(random: np.random.Generator, allowed: float, streams: int, reviews: int) -> Errors:
    """Return streams of which every tenth hundred has five times the allowed chance, and the others five ninths of it.

    On average that is the allowed one. They break the hypothesis: in a burst, the chance given the past exceeds it.
    """
    chances = np.where(np.arange(reviews) // 100 % 10, allowed * 5 / 9, allowed * 5)
    return random.random((streams, reviews)) < chances


BOUNDED: Final[Mapping[str, Stream]] = {
    "always the allowed chance": always,
    "half of it and all of it, in turns of 500": in_turns,
    "all of it in the 50 reviews after an error, else half of it": after_errors,
}
UNBOUNDED: Final[Mapping[str, Stream]] = {
    "bursts of five times the allowed chance, the average is the allowed one": bursts
}


def false_alarms(streams: int = STREAMS, reviews: int = REVIEWS) -> list[dict[str, Any]]:
    """Return how many streams have an alarm: of one cell at δ, and of twenty cells and their task at their shares."""
    random = np.random.default_rng(39)
    found = []
    for allowed in ALLOWED:
        limit = limits(reviews, allowed, 1 / DELTA)
        for name, stream in (BOUNDED | UNBOUNDED).items():
            raised = int(np.count_nonzero(alarms(stream(random, allowed, streams, reviews), limit)))
            found.append({"stream": name, "cells": 1, "allowed": allowed, **_share(raised, streams)})
    for name, stream in (BOUNDED | UNBOUNDED).items():
        raised = _of_many_cells(random, stream, 0.02, streams, reviews)
        found.append({"stream": name, "cells": CELLS, "allowed": 0.02, **_share(raised, streams)})
    return found


def _of_many_cells(random: np.random.Generator, stream: Stream, allowed: float, streams: int, reviews: int) -> int:
    """Return in how many streams a cell has an alarm, or the whole task; the reviews of cells come by turns."""
    of_cells = np.stack(
        [limits(reviews, allowed, 1 / share_of_delta(place), LEAST_REVIEWS) for place in range(1, CELLS + 1)]
    )
    of_task = limits(reviews * CELLS, allowed, 1 / share_of_delta(1))
    raised = 0
    for _ in range(streams // AT_ONCE):
        errors = stream(random, allowed, AT_ONCE * CELLS, reviews).reshape(AT_ONCE, CELLS, reviews)
        in_a_cell = alarms(errors, of_cells).any(-1)
        raised += int(np.count_nonzero(in_a_cell | (alarms(errors.swapaxes(1, 2).reshape(AT_ONCE, -1), of_task) > 0)))
    return raised


def _share(raised: int, streams: int) -> dict[str, Any]:
    upper = float(binomtest(raised, streams).proportion_ci(0.95).high)
    return {"streams": streams, "raised": raised, "upper": round(upper, 4)}


def too_often(found: list[dict[str, Any]]) -> list[str]:
    """Return one line for each kind of stream whose false alarms are not shown to be as rare as promised."""
    return [
        f"{one['stream']}, {one['cells']} cells, allowed {one['allowed']:.0%}: up to {one['upper']:.1%} have an alarm"
        for one in found
        if one["stream"] in BOUNDED and one["upper"] > DELTA + MARGIN
    ]


TESTS: Final[Mapping[str, tuple[float, int]]] = {
    "anchor": (1 / DELTA, 1),
    "task": (1 / share_of_delta(1), 1),
    "last_cell": (1 / share_of_delta(CELLS), LEAST_REVIEWS),
}
"""Test → the evidence that it needs, and the least reviews: one cell at δ, the task as a whole, the twentieth cell."""


def until_alarm(streams: int = STREAMS) -> list[dict[str, Any]]:
    """Return after how many reviews the alarm is raised where too much is wrong: median and 90 % of streams."""
    random = np.random.default_rng(39)
    found = []
    for allowed in ALLOWED:
        limit = {name: limits(WATCHED, allowed, *test) for name, test in TESTS.items()}
        for times in TIMES:
            numbers = _first_alarms(random, allowed * times, limit, streams)
            medians = {name: _quantiles(each) for name, each in numbers.items()}
            found.append({"allowed": allowed, "times": times, "streams": streams, **medians})
    return found


def _first_alarms(
    random: np.random.Generator, chance: float, limit: Mapping[str, Limits], streams: int
) -> dict[str, list[float]]:
    numbers: dict[str, list[float]] = {name: [] for name in limit}
    for _ in range(streams):
        errors = random.random(WATCHED) < chance
        for name, each in limit.items():
            numbers[name].append(float(alarms(errors, each)) or np.inf)
    return numbers


def _quantiles(numbers: list[float]) -> dict[str, int]:
    """Return median and 90 % point, as numbers that occur.

    Raises:
        ValueError: more than a tenth of the streams has no alarm.
    """
    found = np.quantile(numbers, [0.5, 0.9], method="higher")
    if not np.isfinite(found).all():
        raise ValueError(f"more than a tenth of the streams has no alarm after {WATCHED} reviews: watch longer")
    return {"median": int(found[0]), "p90": int(found[1])}
