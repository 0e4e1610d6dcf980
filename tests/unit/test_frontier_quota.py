"""How many escalations a section of the policy may cause in a minute, over all replicas."""

import asyncio
from dataclasses import dataclass

import pytest

from sprat_frontier.errors import QuotaReachedError
from sprat_frontier.quota import SectionQuota
from sprat_policy import Policy
from support.frontier_parts import FakeClock, keyed_hash

MINUTE_MS = 60_000
MOST = 3
POLICY = Policy.model_validate(
    {"tenants": {"acme": {"max_escalations_per_min": MOST}, "open": {}, "*": {"max_escalations_per_min": 1}}}
)


class Replicas:
    """What each replica has counted under each key."""

    def __init__(self):
        self.counts = {}
        self.ttls = set()
        self.away = False


@dataclass
class Counter:
    """The counter of one replica."""

    replicas: Replicas
    name: str

    async def share_count(self, key, count, ttl_s):
        if self.replicas.away:
            return None
        self.replicas.ttls.add(ttl_s)
        counts = self.replicas.counts.setdefault(key, {})
        counts[self.name] = count
        await asyncio.sleep(0)
        return sum(each for name, each in counts.items() if name != self.name)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def replicas():
    return Replicas()


def quota(clock, counter=None):
    return SectionQuota(POLICY, counter, keyed_hash, clock)


async def spent(quota, times, section="acme"):
    """Return how many of so many escalations are within the quota."""
    within = 0
    for _ in range(times):
        try:
            await quota.spend(section)
        except QuotaReachedError:
            continue
        within += 1
    return within


async def test_as_many_as_the_policy_says_and_no_more(clock):
    alone = quota(clock)
    assert await spent(alone, MOST + 2) == MOST
    with pytest.raises(QuotaReachedError, match=f"the {MOST} escalations a minute of this tenant's section"):
        await alone.spend("acme")


async def test_a_section_without_a_quota_has_no_limit_and_is_not_counted(clock, replicas):
    assert await spent(quota(clock, Counter(replicas, "one")), 100, "open") == 100
    assert replicas.counts == {}


async def test_each_section_has_a_quota_of_its_own(clock):
    alone = quota(clock)
    assert await spent(alone, 5, "*") == 1
    assert await spent(alone, 5) == MOST


async def test_a_new_minute_begins_anew(clock, replicas):
    one, two = quota(clock, Counter(replicas, "one")), quota(clock, Counter(replicas, "two"))
    assert (await spent(one, 5), await spent(two, 5)) == (MOST, 0)
    clock.ms += MINUTE_MS
    one.check("acme")
    assert (await spent(two, 5), await spent(one, 5)) == (MOST, 0)


async def test_a_minute_of_the_clock_counts_not_sixty_seconds_from_the_first(clock):
    clock.ms += MINUTE_MS - clock.ms % MINUTE_MS - 1
    alone = quota(clock)
    assert await spent(alone, 5) == MOST
    clock.ms += 1
    assert await spent(alone, 5) == MOST


async def test_all_replicas_together_keep_the_quota(clock, replicas):
    one, two = quota(clock, Counter(replicas, "one")), quota(clock, Counter(replicas, "two"))
    within = [await spent(each, 1) for each in (one, two, one, two, one)]
    assert within == [1, 1, 1, 0, 0]
    assert replicas.ttls == {120}, "a count is kept until its minute is over on every clock"


async def test_before_a_case_waits_it_is_checked_what_was_seen(clock, replicas):
    one, two = quota(clock, Counter(replicas, "one")), quota(clock, Counter(replicas, "two"))
    await spent(one, MOST - 1)
    one.check("acme")
    await spent(two, 1)
    two_knows, one_does_not = two, one
    one_does_not.check("acme")
    with pytest.raises(QuotaReachedError):
        two_knows.check("acme")
    two_knows.check("open")


async def test_a_check_counts_nothing(clock):
    alone = quota(clock)
    for _ in range(10):
        alone.check("acme")
    assert await spent(alone, 5) == MOST


async def test_without_redis_the_limit_is_each_replicas_own(clock, replicas):
    replicas.away = True
    one, two = quota(clock, Counter(replicas, "one")), quota(clock, Counter(replicas, "two"))
    assert (await spent(one, 5), await spent(two, 5)) == (MOST, MOST)


async def test_what_was_seen_of_the_others_is_not_forgotten_where_redis_is_away(clock, replicas):
    one, two = quota(clock, Counter(replicas, "one")), quota(clock, Counter(replicas, "two"))
    await spent(one, MOST - 1)
    assert await spent(two, 2) == 1
    replicas.away = True
    assert await spent(two, 1) == 0


async def test_a_count_that_comes_after_its_minute_says_nothing_of_the_next(clock):
    """The answer of Redis is late: the minute has changed, and another escalation has begun the new one."""
    asked, answered = asyncio.Event(), asyncio.Event()

    class Late:
        async def share_count(self, key, count, ttl_s):
            if not asked.is_set():
                asked.set()
                await answered.wait()
                return 1_000
            return 0

    one = quota(clock, Late())
    late = asyncio.create_task(spent(one, 1))
    await asked.wait()
    clock.ms += MINUTE_MS
    assert await spent(one, 1) == 1
    answered.set()
    assert await late == 0
    one.check("acme")
    assert await spent(one, 5) == MOST - 1
