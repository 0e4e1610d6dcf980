"""`sprat bench`: when texts are due, their latencies, and which rate counts as sustained."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat_local.bench.open_loop import NEVER, LatencyQuantiles, latency_growth, poisson_arrivals, publish_on_time


@given(per_s=st.floats(0.1, 500), seconds=st.floats(1, 10), seed=st.integers(0, 9))
def test_arrivals_are_in_order_within_the_time_and_as_many_as_the_rate_says(per_s, seconds, seed):
    due = poisson_arrivals(per_s, seconds, seed)

    assert due == sorted(due)
    assert 0 <= due[0] <= due[-1] <= seconds
    assert len(due) == max(1, round(per_s * seconds))
    assert due == poisson_arrivals(per_s, seconds, seed)


def test_arrivals_are_irregular_as_a_poisson_process():
    due = poisson_arrivals(100, 100, 7)
    gaps = [later - earlier for earlier, later in pairwise(due)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)

    assert mean == pytest.approx(0.01, rel=0.02)
    assert variance**0.5 == pytest.approx(mean, rel=0.1)  # of an exponential distribution


def test_quantiles_are_latencies_that_occurred():
    latency = LatencyQuantiles.of([number / 1000 for number in range(100, 0, -1)])

    assert (latency.p50, latency.p90, latency.p99, latency.max) == (0.050, 0.090, 0.099, 0.100)
    assert LatencyQuantiles.of([0.5]) == LatencyQuantiles(0.5, 0.5, 0.5, 0.5)


def test_a_text_that_never_ended_is_not_left_out():
    assert LatencyQuantiles.of([0.01] * 95 + [NEVER] * 5) == LatencyQuantiles(0.01, 0.01, NEVER, NEVER)


def served_by(due, capacity_per_s):
    """Return the latencies at a server that handles one text after the other."""
    free, latencies = 0.0, []
    for at in due:
        free = max(free, at) + 1 / capacity_per_s
        latencies.append(free - at)
    return latencies


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("share", "grows"), [(0.1, False), (0.5, False), (0.9, False), (1.1, True), (1.5, True)])
def test_a_backlog_grows_above_saturation_and_not_below(share, grows, seed):
    due = poisson_arrivals(share * 400, 6.0, seed)

    assert (latency_growth(due, served_by(due, 400)) > 0.05) is grows


def test_latency_grows_in_proportion_to_the_excess_rate():
    due = [number / 800 for number in range(8000)]

    assert latency_growth(due, served_by(due, 400)) == pytest.approx(1.0, abs=0.1)


def test_few_texts_show_no_trend_and_lost_ones_do():
    assert latency_growth([1.0, 2.0, 3.0], [0.1, 0.2, 9.0]) == 0.0
    assert latency_growth(list(range(30)), [0.1] * 10 + [NEVER] * 20) == NEVER
    assert latency_growth(list(range(30)), [NEVER] * 30) == NEVER


class ManualClock:
    """A clock that moves only when something sleeps."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


async def test_a_stall_counts_for_every_text_that_was_due_meanwhile():
    """A client that waits for answers would publish one text in the stalled second and see one bad latency."""
    clock = ManualClock()
    due = [number / 100 for number in range(300)]
    ends = {}

    async def publish(index):
        if index == 100:
            clock.now += 1.0  # the client's connection stalls
        ends[index] = clock.now + 0.001

    scheduled = await publish_on_time(due, publish, clock=clock, sleep=clock.sleep)
    latencies = [ends[index] - at for index, at in enumerate(scheduled)]

    assert scheduled == pytest.approx([100 + at for at in due])
    assert sum(latency > 0.1 for latency in latencies) == pytest.approx(90, abs=2)
    assert LatencyQuantiles.of(latencies).p90 > 0.5
    assert LatencyQuantiles.of(latencies).p50 == pytest.approx(0.001, abs=1e-6)


async def test_texts_are_published_by_the_clock_whether_or_not_others_are_answered():
    published = []

    async def publish(index):
        published.append(index)

    scheduled = await publish_on_time([0.0, 0.01, 0.02], publish)

    assert published == [0, 1, 2]
    assert [at - scheduled[0] for at in scheduled] == pytest.approx([0.0, 0.01, 0.02])
