"""False alarms, and reviews until an alarm, of made-up streams of reviews: by the guardian's own evidence."""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from sprat_guardian.evidence import Evidence
from sprat_guardian.processes import DELTA, LEAST_REVIEWS, share_of_delta

STREAMS: Final = 1_000
REVIEWS: Final = 10_000
"""Of one stream; of twenty cells, each has so many."""
CELLS: Final = 20
MARGIN: Final = 0.015
"""The upper 95 % end of the share with an alarm may be δ and this."""
ALLOWED: Final = (0.01, 0.02, 0.05)
TIMES: Final = (2, 3, 5)
A_DAY: Final = 100
"""Reviews: 1 % of 10,000 texts."""
GOOD: Final = 5_000
"""Reviews at half the allowed chance, before more is wrong than allowed."""
WATCHED: Final = 40_000
"""Reviews after which an alarm that did not come is no longer waited for."""

Errors = NDArray[np.bool_]
"""Which reviews are wrong: a row for each review, a column for each stream."""
Stream = Callable[[np.random.Generator, float, int, int], Errors]
"""Random numbers, the allowed chance, reviews and streams → the errors."""
Test = tuple[Any, int]
"""The evidence that it needs, of all streams or of each, and after how many reviews it opens."""


def first_alarms(errors: Iterable[Errors], allowed: float, streams: int, *tests: Test) -> list[NDArray[np.int64]]:
    """Return of each test after how many reviews each stream's alarm is raised; 0 for never."""
    evidence = {after: Evidence(allowed) for _, after in tests}
    found = [np.zeros(streams, np.int64) for _ in tests]
    with np.errstate(over="ignore"):
        for number, wrong in enumerate(errors, 1):
            for after, each in evidence.items():
                if number > after:
                    each.add(wrong)  # type: ignore[arg-type]  # of all streams at once
            for alarms, (needed, after) in zip(found, tests, strict=True):
                alarms[(alarms == 0) & (evidence[after].unbounded >= needed)] = number
            if number % 100 == 0 and all(each.all() for each in found):
                break
    return found


def always(random: np.random.Generator, allowed: float, reviews: int, streams: int) -> Errors:
    """Return streams in which each answer has the allowed chance of an error."""
    return random.random((reviews, streams)) < allowed


def in_turns(random: np.random.Generator, allowed: float, reviews: int, streams: int) -> Errors:
    """Return streams of 500 reviews at half the allowed chance, then 500 at the allowed one, and so on."""
    chances = np.where(np.arange(reviews) // 500 % 2, allowed, allowed / 2)
    return random.random((reviews, streams)) < chances[:, None]


def after_errors(random: np.random.Generator, allowed: float, reviews: int, streams: int) -> Errors:
    """Return streams with the allowed chance in the 50 reviews after an error, else half of it."""
    errors, until = np.zeros((reviews, streams), bool), np.zeros(streams, np.int64)
    for number, wrong in enumerate(errors):
        wrong[:] = random.random(streams) < np.where(number < until, allowed, allowed / 2)
        until[wrong] = number + 51
    return errors


def bursts(random: np.random.Generator, allowed: float, reviews: int, streams: int) -> Errors:
    """Return streams of which every tenth hundred has five times the allowed chance, and the others five ninths of it.

    On average that is the allowed one. They break the hypothesis: in a burst, the chance given the past exceeds it.
    """
    chances = np.where(np.arange(reviews) // 100 % 10, allowed * 5 / 9, allowed * 5)
    return random.random((reviews, streams)) < chances[:, None]


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
        for name, stream in (BOUNDED | UNBOUNDED).items():
            (alarms,) = first_alarms(stream(random, allowed, reviews, streams), allowed, streams, (1 / DELTA, 0))
            about = {"stream": name, "cells": 1, "allowed": allowed}
            found.append(about | _share(np.count_nonzero(alarms), streams))
    for name, stream in (BOUNDED | UNBOUNDED).items():
        about = {"stream": name, "cells": CELLS, "allowed": 0.02}
        found.append(about | _share(_of_many_cells(random, stream, 0.02, reviews, streams), streams))
    return found


def _of_many_cells(random: np.random.Generator, stream: Stream, allowed: float, reviews: int, streams: int) -> int:
    """Return in how many streams a cell has an alarm, or the whole task; the reviews of cells come by turns."""
    errors = stream(random, allowed, reviews, CELLS * streams)
    needed = np.repeat([1 / share_of_delta(place) for place in range(1, CELLS + 1)], streams)
    (of_cells,) = first_alarms(errors, allowed, CELLS * streams, (needed, LEAST_REVIEWS))
    by_turns = errors.reshape(reviews * CELLS, streams)
    (of_task,) = first_alarms(by_turns, allowed, streams, (1 / share_of_delta(1), 0))
    return int(np.count_nonzero(of_cells.reshape(CELLS, streams).any(0) | (of_task > 0)))


def _share(raised: int | np.integer[Any], streams: int) -> dict[str, Any]:
    upper = float(binomtest(int(raised), streams).proportion_ci(0.95).high)
    return {"streams": streams, "raised": int(raised), "upper": round(upper, 4)}


def too_often(found: list[dict[str, Any]]) -> list[str]:
    """Return one line for each kind of stream whose false alarms are not shown to be as rare as promised."""
    return [
        f"{one['stream']}, {one['cells']} cells, allowed {one['allowed']:.0%}: up to {one['upper']:.1%} have an alarm"
        for one in found
        if one["stream"] in BOUNDED and one["upper"] > DELTA + MARGIN
    ]


TESTS: Final[Mapping[str, Test]] = {
    "anchor": (1 / DELTA, 0),
    "task": (1 / share_of_delta(1), 0),
    "last_cell": (1 / share_of_delta(CELLS), LEAST_REVIEWS),
}
"""One cell at δ, the task as a whole, the twentieth cell."""


def until_alarm(streams: int = STREAMS) -> list[dict[str, Any]]:
    """Return after how many reviews the alarm is raised where too much is wrong: median and 90 % of streams."""
    return [
        {"allowed": allowed, "times": times, "good": good, "streams": streams}
        | _until_alarm(allowed, allowed * times, good, streams)
        for good in (0, GOOD)
        for allowed in ALLOWED
        for times in TIMES
    ]


def _until_alarm(allowed: float, chance: float, good: int, streams: int) -> dict[str, dict[str, int]]:
    random = np.random.default_rng(39)
    before = (random.random(streams) < allowed / 2 for _ in range(good))
    then = (random.random(streams) < chance for _ in range(WATCHED))
    found = first_alarms(chain(before, then), allowed, streams, *TESTS.values())
    return {
        name: _quantiles(alarms[(alarms == 0) | (alarms > good)], good)
        for name, alarms in zip(TESTS, found, strict=True)
    }


def _quantiles(alarms: NDArray[np.int64], good: int) -> dict[str, int]:
    """Return median and 90 % point of the reviews after the good ones, as numbers that occur.

    Raises:
        ValueError: more than a tenth of the streams has no alarm.
    """
    numbers = np.where(alarms > 0, alarms - good, np.inf)
    found = np.quantile(numbers, [0.5, 0.9], method="higher")
    if not np.isfinite(found).all():
        raise ValueError(f"more than a tenth of the streams has no alarm after {WATCHED} reviews: watch longer")
    return {"median": int(found[0]), "p90": int(found[1])}
