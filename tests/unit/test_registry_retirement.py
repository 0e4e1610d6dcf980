"""What the records under a model's key say of the texts that stay its own when it is withdrawn."""

import pytest

from sprat.registry.retirement import OWNED_UNTIL, WITHDRAWS, Retirement, owned_until, owned_until_header


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


ANNOUNCED, TOMBSTONE = True, False


def folded(*records) -> Retirement:
    """Fold records: whether it is an announcement, and what it says."""
    found = Retirement()
    for announced, said in records:
        found = found.after_announcement(said) if announced else found.after_tombstone(said)
    return found


@pytest.mark.parametrize("before", [[], [(TOMBSTONE, None)], [(ANNOUNCED, None), (TOMBSTONE, None)]])
def test_the_second_tombstone_holds_also_where_compaction_took_the_first(before) -> None:
    found = folded(*before, (TOMBSTONE, {0: 5}))
    assert (found.until, found.left) == ({0: 5}, {0: 5})


def test_what_a_tombstone_says_holds_no_more_where_the_model_was_announced_just_before() -> None:
    raced = [(ANNOUNCED, None), (TOMBSTONE, None), (ANNOUNCED, None), (TOMBSTONE, {0: 5})]
    assert folded(*raced) == Retirement()
    assert folded(*raced, (TOMBSTONE, {0: 7})).until == {0: 7}


def test_a_retirement_that_is_done_again_and_cut_short_leaves_what_was_known_and_can_be_finished() -> None:
    done = [(TOMBSTONE, None), (TOMBSTONE, {0: 5})]
    assert folded(*done, (TOMBSTONE, None)) == Retirement(until=None, left={0: 5})


def test_an_announcement_keeps_what_was_left_and_one_that_had_not_read_it_takes_nothing_away() -> None:
    found = folded((TOMBSTONE, {0: 5, 1: 2}), (ANNOUNCED, {0: 3, 2: 1}))
    assert found == Retirement(announced=True, until=None, left={0: 5, 1: 2, 2: 1})
    assert folded((ANNOUNCED, {0: 5})).left == {0: 5}, "compaction took the tombstone"
    assert folded((TOMBSTONE, {0: 5}), (ANNOUNCED, None)).left == {0: 5}
    assert folded((ANNOUNCED, {0: 5}), (TOMBSTONE, None)) == Retirement(left={0: 5})


def test_a_later_withdrawal_says_anew_what_is_left_and_an_old_one_written_again_takes_nothing_away() -> None:
    later = [(TOMBSTONE, None), (TOMBSTONE, {0: 5}), (ANNOUNCED, None), (TOMBSTONE, None), (TOMBSTONE, {0: 9})]
    assert folded(*later).left == {0: 9}
    assert folded(*later, (TOMBSTONE, {0: 5})).until == {0: 9}
    assert folded(*later, *later[:2]).until == {0: 9}


@pytest.mark.parametrize(
    ("announced", "named", "ignored"),
    [
        (7, b"7", False),
        (7, b"6", True),
        (7, b"null", True),
        (None, b"null", False),
        (None, b"7", True),
        (7, None, False),
    ],
    ids=["its own", "an earlier", "of a failed start", "a failed start", "one that starts", "of an earlier version"],
)
def test_a_tombstone_withdraws_the_announcement_that_it_names(announced, named, ignored) -> None:
    headers = [] if named is None else [(WITHDRAWS, named)]
    state = Retirement().after_announcement(None, announced)
    assert state.outdates(headers) is ignored
    assert not state.after_tombstone(None).outdates(headers), "nothing is announced"
