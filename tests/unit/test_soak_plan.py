"""The plan of a soak: a seed gives it, faults come every 15 to 30 s, and each kind comes."""

from collections import Counter
from itertools import pairwise

import pytest

from tests.soak.plan import GAP_S, plan
from tests.soak.texts import DENY, TENANTS, Texts

FIFTY_MINUTES = 3_000.0


def test_a_seed_gives_the_same_plan_and_another_seed_another():
    assert plan(7, FIFTY_MINUTES, 3) == plan(7, FIFTY_MINUTES, 3)
    assert plan(7, FIFTY_MINUTES, 3) != plan(8, FIFTY_MINUTES, 3)


def test_a_shorter_run_has_the_beginning_of_the_plan():
    long = plan(7, FIFTY_MINUTES, 3)
    short = plan(7, 120.0, 3)
    assert long[: len(short)] == short
    assert all(fault.at_s < 120 for fault in short)


@pytest.mark.parametrize("seed", range(20))
def test_a_fault_comes_every_15_to_30_seconds_and_is_over_before_the_next(seed):
    faults = plan(seed, FIFTY_MINUTES, 3)
    least, most = GAP_S
    assert least <= faults[0].at_s <= most
    for fault, following in pairwise(faults):
        assert least <= following.at_s - fault.at_s <= most
        assert fault.lasts_s <= least


@pytest.mark.parametrize("seed", range(20))
def test_each_kind_comes_in_ten_minutes_and_each_process_is_struck_in_fifty(seed):
    kinds = {fault.kind for fault in plan(seed, 600, 3)}
    assert kinds == {
        *("kill", "freeze", "flush", "provider", "cut", "slow", "promote", "policy", "rebalances", "clock"),
    }
    struck = {fault.target for fault in plan(seed, FIFTY_MINUTES, 3) if fault.kind in {"kill", "freeze"}}
    assert struck >= {"router", "intent", "language-id", "frontier", "kafka#1", "kafka#2", "kafka#3", "redis"}


def test_the_n_th_record_is_always_the_same():
    one, other = Texts(3), Texts(3)
    assert [one.plain(number) for number in range(200)] == [other.plain(number) for number in range(200)]
    assert one.in_transaction(4, 2) == other.in_transaction(4, 2)
    assert one.plain(5) != Texts(4).plain(5)


def test_one_of_a_hundred_records_is_broken_and_tenants_share_the_rest():
    records = [Texts(3).plain(number) for number in range(20_000)]
    broken = sum(record.broken for record in records)
    assert 150 <= broken <= 250
    tenants = Counter(record.tenant for record in records if not record.broken)
    assert set(tenants) == set(TENANTS)
    assert min(tenants.values()) > 6_000


def test_no_text_of_a_tenant_that_denies_is_anybody_elses():
    """So that one at the provider is a leak."""
    records = [Texts(3).plain(number) for number in range(20_000)]
    records += [Texts(3).in_transaction(number, each) for number in range(500) for each in range(20)]
    denied, others = set(), set()
    for record in records:
        if not record.broken:
            (denied if record.tenant == DENY else others).add(record.value.partition(b'"language"')[0])
    assert not denied & others
