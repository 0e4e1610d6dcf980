"""When a consumer fetches: at once, or later where its records wait."""

import pytest

from sprat.kafka.fetch_pace import APART_S, BEHIND_MS, FetchPace


def polled(pace, wait_ms, times=150, clock_ms=0.0):
    """Let the consumer poll records that have waited so long, while the broker's clock is ahead by `clock_ms`."""
    for number in range(times):
        now_ms = 1e12 + 10 * number
        pace.observe(now_ms - wait_ms + clock_ms, now_ms)


@pytest.fixture
def pace():
    """Return the pace of a consumer whose records have waited 5 ms."""
    pace = FetchPace()
    polled(pace, 5)
    return pace


def test_what_does_not_wait_is_fetched_at_once(pace):
    assert [pace.pause_s(1, now_s) for now_s in (10.0, 10.001, 10.002)] == [0, 0, 0]


def test_a_consumer_that_is_behind_fetches_less_often_from_each_broker(pace):
    polled(pace, 5 + 2 * BEHIND_MS)
    assert pace.pause_s(1, 10.0) == 0
    assert pace.pause_s(1, 10.01) == pytest.approx(APART_S - 0.01)
    assert pace.pause_s(2, 10.01) == 0
    assert pace.pause_s(1, 10.0 + APART_S) == 0


def test_a_pace_that_alone_makes_records_wait_ends_within_seconds(pace):
    polled(pace, 5 + 2 * BEHIND_MS)
    polls = 0
    while pace.pause_s(1, 10.0) or pace.pause_s(1, 10.001):
        polled(pace, 5 + 1000 * APART_S, times=1)
        polls += 1
    assert polls * APART_S < 10


@pytest.mark.parametrize("clock_ms", [-60_000.0, 60_000.0])
def test_clocks_need_not_agree(clock_ms):
    pace = FetchPace()
    polled(pace, 5, clock_ms=clock_ms)
    assert [pace.pause_s(1, now_s) for now_s in (10.0, 10.001)] == [0, 0]
    polled(pace, 5 + 2 * BEHIND_MS, clock_ms=clock_ms)
    assert pace.pause_s(1, 10.002) > 0


def test_a_clock_that_is_set_and_a_time_in_the_future_are_forgotten(pace):
    polled(pace, 5, times=1, clock_ms=10_000.0)
    polled(pace, 5, times=150)
    assert pace.pause_s(1, 10.0) == 0
    assert pace.pause_s(1, 10.001) > 0
    polled(pace, 5, times=7_000)
    assert pace.pause_s(1, 20.0) == 0
    assert pace.pause_s(1, 20.001) == 0


def test_long_waits_are_forgotten_within_a_hundred_polls(pace):
    polled(pace, 3_600_000, times=20)
    polled(pace, 5, times=100)
    assert [pace.pause_s(1, now_s) for now_s in (10.0, 10.001)] == [0, 0]
