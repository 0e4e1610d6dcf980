import asyncio
import itertools

import pytest

from sprat_frontier.breaker import NotAdmittedError, ProviderBreaker
from sprat_frontier.errors import ProviderError
from sprat_frontier.settings import BreakerSettings

UNAVAILABLE = ProviderError("server_error", "HTTP status 503", retryable=True)
LIMITED = ProviderError("rate_limited", "HTTP status 429", retryable=True, retry_after_s=2)
NUMBERS = itertools.count()


class Time:
    """A clock that moves only when a test moves it."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def breaker(time):
    return ProviderBreaker(BreakerSettings(failures=3, cooldown_s=5, max_cooldown_s=15), "simulated", time)


def soon():
    return 0.01


async def admitted(breaker, remaining_s=soon, tenant="acme", question=None):
    """Return a permit once there is one; each is for another question, unless one is given."""
    while True:
        await breaker.ready(tenant, remaining_s)
        permit = breaker.admit(tenant, question or f"question {next(NUMBERS)}")
        if permit is not None:
            return permit


async def fail(breaker, times=3, **of):
    permits = [await admitted(breaker, **of) for _ in range(times)]
    for permit in permits:
        breaker.record_error(permit, UNAVAILABLE)


async def test_failures_in_a_row_open_the_breaker_and_a_success_resets_the_count(breaker):
    await fail(breaker, 2)
    breaker.record_success(await admitted(breaker))
    await fail(breaker, 2)
    assert breaker.state == "closed"
    await fail(breaker, 1)
    assert breaker.state == "open"


async def test_the_log_names_the_cause_and_no_probe_that_is_only_begun(breaker, time, caplog):
    error = UNAVAILABLE
    for _ in range(3):
        breaker.record_error(await admitted(breaker), error)
    time.now += 5
    breaker.record_error(await admitted(breaker), error)
    time.now += 10
    breaker.record_success(await admitted(breaker))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "the circuit breaker of the provider: closed → open: server_error: HTTP status 503",
        "the circuit breaker of the provider: half_open → open: server_error: HTTP status 503",
        "the circuit breaker of the provider: half_open → closed",
    ]


async def test_a_caller_that_cannot_wait_for_the_next_probe_is_refused_at_once(breaker):
    await fail(breaker)
    with pytest.raises(NotAdmittedError):
        async with asyncio.timeout(0.005):
            await admitted(breaker, lambda: 4.9)


async def test_after_the_pause_one_call_probes_and_the_others_wait_for_it(breaker, time):
    await fail(breaker)
    time.now += 5
    probe = await admitted(breaker)
    assert (probe.probe, breaker.state) == (True, "half_open")
    waiting = [asyncio.create_task(admitted(breaker, lambda: 60)) for _ in range(20)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    breaker.record_success(probe)
    permits = await asyncio.gather(*waiting)
    assert breaker.state == "closed"
    assert not any(permit.probe for permit in permits)


async def test_each_failed_probe_doubles_the_pause_up_to_its_limit_and_success_resets_it(breaker, time):
    await fail(breaker)
    for pause in (5, 10, 15, 15):
        with pytest.raises(NotAdmittedError):
            await admitted(breaker, lambda pause=pause: pause - 0.1)
        time.now += pause
        breaker.record_error(await admitted(breaker), UNAVAILABLE)
    time.now += 15
    breaker.record_success(await admitted(breaker))
    await fail(breaker)
    time.now += 5
    assert (await admitted(breaker)).probe


async def test_a_released_probe_lets_another_call_probe(breaker, time):
    await fail(breaker)
    time.now += 5
    probe = await admitted(breaker)
    waiting = asyncio.create_task(admitted(breaker, lambda: 60))
    await asyncio.sleep(0)
    breaker.release(probe)
    assert (await waiting).probe


async def test_waiters_give_up_at_their_deadline_while_a_probe_hangs(breaker, time):
    await fail(breaker)
    time.now += 5
    await admitted(breaker)
    left = iter([0.01, 0])
    with pytest.raises(NotAdmittedError):
        await admitted(breaker, lambda: next(left))


async def test_a_retry_after_opens_the_breaker_at_once_for_that_time(breaker, time):
    breaker.record_error(await admitted(breaker), LIMITED)
    with pytest.raises(NotAdmittedError):
        await admitted(breaker, lambda: 1.9)
    time.now += 2
    breaker.record_success(await admitted(breaker))
    assert breaker.state == "closed"


async def test_late_results_of_earlier_calls_are_ignored(breaker, time):
    old = [await admitted(breaker) for _ in range(6)]
    for permit in old[:3]:
        breaker.record_error(permit, UNAVAILABLE)
    time.now += 5
    probe = await admitted(breaker)
    breaker.record_error(old[3], UNAVAILABLE)
    breaker.record_success(old[4])
    breaker.release(old[5])
    assert breaker.state == "half_open"
    breaker.record_success(probe)
    breaker.record_error(probe, UNAVAILABLE)
    assert breaker.state == "closed"


async def test_a_late_success_of_an_earlier_state_does_not_reset_the_count(breaker, time):
    old = await admitted(breaker)
    await fail(breaker)
    time.now += 5
    breaker.record_success(await admitted(breaker))
    await fail(breaker, 2)
    breaker.record_success(old)
    await fail(breaker, 1)
    assert breaker.state == "open"


async def test_its_state_is_a_gauge_from_the_start(metrics, time):
    def shown():
        states = ("closed", "half_open", "open")
        return tuple(metrics.value("sprat.breaker", provider="simulated", state=state) for state in states)

    breaker = ProviderBreaker(BreakerSettings(failures=3, cooldown_s=5), "simulated", time)
    assert shown() == (1, 0, 0)
    await fail(breaker)
    assert shown() == (0, 0, 1)
    time.now += 5
    probe = await admitted(breaker)
    assert shown() == (0, 1, 0)
    breaker.record_success(probe)
    assert shown() == (1, 0, 0)
