"""The comparison of `make bench-check`: what is worse, what is better, and what must not pass unseen."""

import pytest

from tests.bench.check import BASELINE, TITLES, Allowed, Verdict, better_of, compare, read_baseline, table, updated

BASE = {"service": Allowed(1.2, 0.1), "router": Allowed(10.0, 0.5)}


def test_a_ratio_within_its_tolerance_is_neither_worse_nor_better():
    service, router = compare({"service": 1.31, "router": 5.1}, BASE)

    assert not service.is_worse
    assert not service.is_better
    assert not router.is_better


def test_a_ratio_beyond_its_own_tolerance_is_worse_and_its_neighbour_is_not():
    service, router = compare({"service": 1.33, "router": 14.9}, BASE)

    assert service.is_worse
    assert service.change == pytest.approx(0.108, abs=0.001)
    assert not router.is_worse


def test_a_ratio_that_has_become_much_better_asks_for_an_update_and_does_not_fail():
    service, _ = compare({"service": 1.0, "router": 10.0}, BASE)

    assert service.is_better
    assert not service.is_worse


@pytest.mark.parametrize("measured", [{"service": 1.2}, {"service": 1.2, "router": 10.0, "new": 1.0}])
def test_a_ratio_that_one_side_lacks_is_an_error(measured):
    with pytest.raises(ValueError, match=r"alone: (router|new)"):
        compare(measured, BASE)


@pytest.mark.parametrize("broken", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_positive_number_never_passes(broken):
    with pytest.raises(ValueError, match="not a positive number: router"):
        compare({"service": 1.2, "router": broken}, BASE)


def test_of_two_measurements_the_better_one_counts_for_each_ratio():
    assert better_of({"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 2.0}) == {"a": 1.0, "b": 2.0}


def test_the_table_names_what_is_worse_and_by_how_much():
    lines = table([Verdict("service", 1.8, 1.2, 0.25), Verdict("router", 10.0, 10.0, 0.25)]).splitlines()

    assert TITLES["service"] in lines[1]
    assert "+50%" in lines[1]
    assert lines[1].endswith("WORSE")
    assert lines[2].endswith("ok")


def test_an_update_keeps_tolerances_and_drops_ratios_that_are_no_longer_measured():
    assert updated(BASE, {"service": 1.1, "new": 2.0}) == {
        "service": {"value": 1.1, "tolerance": 0.1},
        "new": {"value": 2.0, "tolerance": 0.25},
    }


def test_the_committed_ratios_are_those_that_are_measured():
    assert read_baseline(BASELINE).keys() == TITLES.keys()
