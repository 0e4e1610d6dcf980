"""How often a service may fail by its own fault before it stops."""

import pytest

from sprat.base.errors import Fatal
from sprat.processing.loop import FailureBudget


def record(budget: FailureBudget, handled: str) -> None:
    """Count records: `x` is one that failed by the service's own fault."""
    for one in handled:
        budget.record(own_fault=one == "x")


def test_too_many_faults_in_a_row_stop_the_service() -> None:
    budget = FailureBudget(consecutive=3)
    record(budget, "xx")
    with pytest.raises(Fatal, match="3 in a row"):
        record(budget, "x")


def test_a_record_that_works_begins_the_row_again() -> None:
    record(FailureBudget(consecutive=3), "xx." * 20)


def test_bad_input_never_counts() -> None:
    record(FailureBudget(consecutive=1, ratio=0.0, window=2), "." * 50)


def test_too_large_a_share_of_a_full_window_stops_the_service() -> None:
    budget = FailureBudget(consecutive=100, ratio=0.2, window=10)
    record(budget, "xx........")
    record(budget, "x")
    record(budget, "x")
    with pytest.raises(Fatal, match="3 of the last 10"):
        record(budget, "x")


def test_a_window_that_is_not_full_says_nothing_of_the_share() -> None:
    record(FailureBudget(consecutive=100, ratio=0.2, window=10), "x" * 9)


def test_the_limits_of_a_service_are_twenty_in_a_row_and_a_fifth_of_five_hundred() -> None:
    budget = FailureBudget()
    record(budget, "x" * 19 + ".")
    record(budget, "x....." * 80)
    with pytest.raises(Fatal, match="20 in a row"):
        record(budget, "x" * 20)
    budget = FailureBudget()
    with pytest.raises(Fatal, match="of the last 500"):
        record(budget, "x..." * 125)
