"""What a tombstone says of the texts that stay a withdrawn model's own."""

import pytest

from sprat.withdrawal import OWNED_UNTIL, owned_until, owned_until_header


def test_what_is_written_is_read() -> None:
    header = owned_until_header({1: 0, 0: 12})
    assert header == (OWNED_UNTIL, b'{"0": 12, "1": 0}')
    assert owned_until([("other", b"x"), header]) == {0: 12, 1: 0}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(OWNED_UNTIL, None)],
        [(OWNED_UNTIL, b"\xff")],
        [(OWNED_UNTIL, b"[1]")],
        [(OWNED_UNTIL, b'{"x": 1}')],
        [(OWNED_UNTIL, b'{"0": "1"}')],
    ],
)
def test_a_tombstone_that_does_not_say_it_leaves_all_to_the_model(headers) -> None:
    assert owned_until(headers) is None
