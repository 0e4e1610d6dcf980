"""From which confidence a `keep_at` keeps an answer."""

import pytest

from sprat_contracts.kept import least_kept


@pytest.mark.parametrize("keep_at", [0.0, 0.72, 0.99])
def test_a_keep_at_keeps_from_itself_on(keep_at):
    assert least_kept(keep_at) == keep_at


def test_one_keeps_nothing_not_even_what_is_wholly_sure():
    assert not least_kept(1.0) <= 1.0
