"""False alarms, and reviews until an alarm, as Markdown."""

from collections.abc import Mapping
from typing import Final

from tests.bench.guard_simulation import A_DAY, BOUNDED, DELTA, MARGIN, TESTS
from tests.bench.table import Figures, lines, percent

TITLES: Final[Mapping[str, str]] = {
    "anchor": "one test at δ 0.05",
    "task": "the task as a whole, its first test",
    "last_cell": "the twentieth cell",
}
"""Test → the title of its column."""


def false_alarms(figures: Figures) -> str:
    """Return in how many streams an alarm was raised, and the bound where there is one."""
    head = ["chance of an error", "allowed, %", "cells", "streams", "with an alarm, %", "95 % interval up to", "bound"]
    rows = (
        [
            one["stream"],
            f"{100 * one['allowed']:.0f}",
            f"{one['cells']}",
            f"{one['streams']:,}",
            percent(one["raised"] / one["streams"]),
            percent(one["upper"]),
            percent(DELTA + MARGIN) if one["stream"] in BOUNDED else "none",
        ]
        for one in figures["false_alarms"]
    )
    return lines(head, rows)


def until_alarm(figures: Figures) -> str:
    """Return reviews and days until the alarm."""
    head = ["good reviews before", "allowed, %", "wrong, %", *(f"{TITLES[name]}: reviews, days" for name in TESTS)]
    rows = (
        [
            f"{one['good']:,}",
            f"{100 * one['allowed']:.0f}",
            f"{100 * one['allowed'] * one['times']:.0f}",
            *(_reviews_and_days(one[name]) for name in TESTS),
        ]
        for one in figures["until_alarm"]
    )
    return lines(head, rows)


def quoted(figures: Figures) -> dict[str, str]:
    """Return the reviews until a task's first test alarms, where three times the allowed 2 % are wrong."""
    found = {one["good"]: one for one in figures["until_alarm"] if (one["allowed"], one["times"]) == (0.02, 3)}
    at_first, later = (f"{found[good]['task']['median']:,}" for good in sorted(found))
    return {"alarm-at-first": at_first, "alarm-later": later}


def _reviews_and_days(numbers: Mapping[str, int]) -> str:
    median, most = numbers["median"], numbers["p90"]
    return f"{median:,} ({most:,}); {median / A_DAY:.1f} ({most / A_DAY:.1f})"


def streams(figures: Figures) -> str:
    """Return of each change in a real stream whether and when its errors were found."""
    head = ["data", "change", "wrong before, % (reviews)", "wrong after, %", "reviews until the alarm"]
    rows = (
        [
            one["data"],
            one["change"],
            f"{_wrong(one['before'])} ({one['before']['reviews']:,})",
            _wrong(one["then"]),
            _found(one),
            _warned(one),
        ]
        for one in figures["streams"]
    )
    return lines([*head, "warned of a shift"], rows)


def _wrong(counted: Mapping[str, int]) -> str:
    return percent(counted["errors"] / counted["reviews"] if counted["reviews"] else None)


def _found(one: Figures) -> str:
    if one["alarm_after"] is not None:
        return f"{one['alarm_after']:,}"
    return f"none in {one['then']['reviews']:,}" if one["then"]["reviews"] else "nothing is kept"


def _warned(one: Figures) -> str:
    return "before it" if one["warned_before"] else "yes" if one["warned"] else "no"
