"""The tables of the benchmarks: a template for each column."""

import pytest

from tests.bench.table import table


def test_a_share_is_in_per_cent_and_a_figure_that_may_be_missing_is_a_dash() -> None:
    columns = {"what": "{what}", "share": "{scores[kept][value]:%}", "rival": "{?rival[f1]:%}", "none": "{none:.1f}"}
    row = {"what": "a", "scores": {"kept": {"value": 0.1234}}, "none": None}
    assert table(columns, [row]).splitlines()[2] == "| a | 12.3 | – | – |"


def test_a_figure_that_a_row_lacks_is_an_error() -> None:
    with pytest.raises(KeyError):
        table({"share": "{share:%}"}, [{"shares": 1.0}])
