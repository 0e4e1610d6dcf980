"""The exact upper bound on the chance of an error."""

import pytest

from sprat.base.binomial import at_most, upper_bound


@pytest.mark.parametrize(
    ("errors", "rows", "bound"),
    # 1 - 0.05^(1/n) without an error; the others are quantiles of the beta distribution, as scipy gives them.
    [(0, 59, 1 - 0.05 ** (1 / 59)), (1, 10, 0.3941633), (5, 100, 0.1022532), (10, 10, 1.0), (0, 0, 1.0)],
)
def test_a_bound_is_that_of_clopper_and_pearson(errors, rows, bound):
    assert upper_bound(errors, rows, 0.95) == pytest.approx(bound, abs=1e-6)


def test_a_bound_of_many_rows_is_exact_and_no_term_underflows():
    bound = upper_bound(400, 20_000, 0.95)
    assert at_most(400, 20_000, bound) == pytest.approx(0.05, rel=1e-6)
