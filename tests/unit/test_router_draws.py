"""Draws: a share of what is kept, within a number a day, no tenant's more than half, and each says what applied."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import count
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sprat.base.review_tokens import is_drawn
from sprat_contracts import Prediction
from sprat_policy import KeepRule, ReviewPolicy
from sprat_router.draws import HOUR_S, DrawnAnswer, Draws, fair_parts, next_shares
from support.router_records import TOKENS, prediction, text

COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.001, 1e7), min_size=1)
ANY_PART = st.floats(0.01, 1e4)
MOST = st.sampled_from((0.5, 1.0))
"""How much of the part one tenant may get."""


@given(COUNTS, ANY_PART, MOST)
def test_a_part_is_shared_as_evenly_as_it_is_needed(wanted: dict[str, float], part: float, of_one: float) -> None:
    most = part * of_one
    given_ = fair_parts(wanted, part, most)
    assert sum(given_.values()) <= part * (1 + 1e-9)
    assert all(given_[name] <= min(most, wanted[name]) * (1 + 1e-9) for name in wanted)
    # Whoever gets less than it wants gets no less than anybody else; then nothing that it may have is left.
    short = [name for name in wanted if given_[name] < min(most, wanted[name]) * (1 - 1e-9)]
    if short:
        assert min(given_[name] for name in short) >= max(given_.values()) * (1 - 1e-9)
        assert sum(given_.values()) == pytest.approx(part)


@given(COUNTS, ANY_PART, st.floats(0.0001, 1), MOST)
def test_the_next_hour_draws_the_part_at_most_and_the_share_of_the_policy_where_that_is_less(
    kept: dict[str, float], part: float, share: float, of_one: float
) -> None:
    most = part * of_one
    shares = next_shares(ReviewPolicy(share=share), kept, part, most)
    assert all(0 < each <= share for each in shares.values())
    assert sum(kept[tenant] * shares[tenant] for tenant in kept) <= part * (1 + 1e-9)
    if share * sum(kept.values()) <= most:
        assert [*shares.values()] == [pytest.approx(share)] * len(kept)


@cache
def _of_tenant(tenant: str) -> Prediction:
    return prediction(submitted=text(tenant=tenant))


class Traffic:
    """Texts of tenants, one hour after another, through the draws of one router."""

    def __init__(self, *tenants: str, share: float = 0.05, per_day: int = 1_200, own: float = 1.0) -> None:
        self.now = 1_000 * HOUR_S + 0.0
        self.rule = KeepRule(review=ReviewPolicy(share=share, per_day=per_day))
        self.draws = Draws(TOKENS, tenants, lambda task: own, lambda: self.now)
        self.ids = map(str, count())

    def take(self, tenant: str, id: str, task: str = "intent") -> DrawnAnswer | None:
        """Take one text that is kept."""
        of = _of_tenant(tenant).model_copy(update={"text_id": id, "task": task})
        return self.draws.take(of, self.rule)

    def send(self, hour: int = 0, task: str = "intent", **kept: int) -> list[tuple[str, DrawnAnswer]]:
        """Send an hour of texts, tenants in turns; return what is drawn, with its tenant."""
        start = (1_000 + hour) * HOUR_S
        turns = sorted((place / number, tenant) for tenant, number in kept.items() for place in range(number))
        drawn: list[tuple[str, DrawnAnswer]] = []
        for passed, tenant in turns:
            self.now = start + passed * HOUR_S
            draw = self.take(tenant, next(self.ids), task)
            drawn += [] if draw is None else [(tenant, draw)]
        return drawn

    def hours(self, number: int, **kept: int) -> Iterator[list[tuple[str, DrawnAnswer]]]:
        yield from (self.send(hour, **kept) for hour in range(number))


def shares_of(drawn: list[tuple[str, DrawnAnswer]]) -> dict[str, set[float]]:
    """Return which shares were applied, by tenant."""
    applied: dict[str, set[float]] = {}
    for tenant, draw in drawn:
        applied.setdefault(tenant, set()).add(round(draw.share, 9))
    return applied


def test_the_share_is_lowered_for_the_next_hour_and_returns() -> None:
    traffic = Traffic()  # 50 an hour
    few, many, lowered, again = (traffic.send(hour, a=n) for hour, n in enumerate((800, 4_000, 4_000, 800)))
    assert shares_of(few + many) == {"a": {0.05}}
    assert len(few) == pytest.approx(40, abs=25)
    assert [draw.full for _, draw in many] == [False] * 99 + [True]  # 200 would be drawn; the hour ends at twice 50
    assert shares_of(lowered) == {"a": {0.0125}}
    assert len(lowered) == pytest.approx(50, abs=28)
    assert not any(draw.full for _, draw in lowered)
    assert shares_of(again) == {"a": {0.0125}}
    assert shares_of(traffic.send(4, a=800)) == {"a": {0.05}}


def test_a_router_has_the_part_of_its_partitions() -> None:
    *_, lowered = Traffic(own=0.5).hours(2, a=2_000)
    assert shares_of(lowered) == {"a": {0.0125}}


def test_an_hour_that_a_router_began_late_counts_as_a_whole_one() -> None:
    traffic = Traffic()
    traffic.now += HOUR_S - 600
    for number in range(1_000):  # in ten minutes
        traffic.take("a", f"early {number}")
    assert shares_of(traffic.send(1, a=300)) == {"a": {round(50 / 6_000, 9)}}


def test_an_hour_that_a_router_began_late_ends_with_the_part_of_what_is_left_of_it() -> None:
    drawn = 0
    for minute in range(0, 60, 5):
        started = Traffic(share=1.0)  # 50 an hour; it was started again
        started.now += 60 * minute
        draws = [started.take("a", f"{minute} {number}") for number in range(200)]
        taken = [draw for draw in draws if draw is not None]
        assert len(taken) == (100 if minute == 0 else max(ceil(50 * (60 - minute) / 60), 3))
        assert [draw.full for draw in taken] == [False] * (len(taken) - 1) + [True]
        drawn += len(taken)
    assert drawn < 400, "each time at twice the part, it would be 1,200"
    of_one = Traffic("bank", share=1.0)
    of_one.now += HOUR_S / 2
    assert sum(of_one.take("bank", str(number)) is not None for number in range(200)) == ceil(25 / 2)


def test_a_flood_of_one_tenant_keeps_to_half_and_takes_nothing_from_the_others() -> None:
    traffic = Traffic("bank", "shop")
    calm, flood, after = (
        traffic.send(hour, bank=n, shop=200, x=100, y=100) for hour, n in enumerate((200, 9_000, 9_000))
    )
    assert {*shares_of(calm)} == {"bank", "shop", "x", "y"}
    sent = Counter(tenant for tenant, _ in flood)
    assert sent["bank"] == 50  # twice its half of the part
    assert [draw.full for tenant, draw in flood if tenant == "bank"] == [False] * 49 + [True]
    others = {"shop": {0.05}, "x": {0.05}, "y": {0.05}}
    assert shares_of(after) == others | {"bank": {round(25 / 9_000, 9)}}
    assert Counter(tenant for tenant, _ in after)["bank"] == pytest.approx(25, abs=20)


def test_tenants_that_the_policy_does_not_name_are_one() -> None:
    invented = {f"t{number}": 200 for number in range(20)}
    *_, lowered = Traffic("bank").hours(2, bank=400, **invented)
    applied = shares_of(lowered)
    assert applied.pop("bank") == {0.05}
    assert set.union(*applied.values()) == {round(25 / 4_000, 9)}


def test_a_small_part_does_not_end_the_hour_by_chance() -> None:
    drawn = Traffic(share=1.0, per_day=1, own=0.1).send(a=50)
    assert [draw.full for _, draw in drawn] == [False, False, True]


def test_the_least_share_is_that_since_the_hour_of_the_draw_before() -> None:
    traffic = Traffic("bank", share=0.5, per_day=2_400)
    traffic.send(0, bank=10_000, shop=20)  # so the bank's share is lowered to 50 of 10,000
    lowered = traffic.send(1, bank=1_000, shop=20)
    assert shares_of(lowered) == {"bank": {0.005}, "shop": {0.5}}
    assert {draw.least_share for _, draw in lowered[1:]} == {0.005}, "also that of another tenant"
    after = traffic.send(2, bank=500, shop=20)
    assert shares_of(after) == {"bank": {0.05}, "shop": {0.5}}
    assert {draw.least_share for _, draw in after} == {0.005}, "also of the whole hour before"
    assert traffic.send(3, shop=20)[-1][1].least_share == 0.05


def test_the_least_share_names_one_that_was_applied_after_the_last_draw_of_its_hour() -> None:
    traffic = Traffic("bank", share=0.5, per_day=2_400)
    traffic.send(0, bank=10_000, shop=20)
    low = next(id for id in map(str, count()) if is_drawn(TOKENS.hash("/app", id, "intent"), 0.005))
    high = next(id for id in map(str, count()) if not is_drawn(TOKENS.hash("/app", id, "intent"), 0.5))
    traffic.now = 1_001.0 * HOUR_S
    told = traffic.take("shop", low)
    assert told is not None
    assert told.least_share == 0.5
    assert traffic.take("bank", high) is None  # at 0.005, and nothing is drawn after it
    after = traffic.send(2, shop=20)
    assert {draw.least_share for _, draw in after} == {0.005}


def test_the_least_share_also_names_hours_in_which_nothing_was_drawn() -> None:
    traffic = Traffic(share=0.05, per_day=24)  # one an hour
    undrawn = (id for id in map(str, count()) if not is_drawn(TOKENS.hash("/app", id, "intent"), 0.05))
    for hour, kept in enumerate((10_000, 10)):
        traffic.now = (1_000.0 + hour) * HOUR_S
        assert not any(traffic.take("a", next(undrawn)) for _ in range(kept))
    drawn = traffic.send(2, a=400)
    assert shares_of(drawn) == {"a": {0.05}}
    assert {draw.least_share for _, draw in drawn} == {1 / 10_000}


def test_tasks_and_models_with_a_review_of_their_own_have_parts_of_their_own() -> None:
    traffic = Traffic()
    traffic.send(0, task="ner", a=4_000)
    assert not any(draw.full for _, draw in traffic.send(0, a=800))
    traffic.rule = KeepRule(review=traffic.rule.review, review_model="hr")
    assert not any(draw.full for _, draw in traffic.send(0, task="ner", a=800))


def test_the_same_text_has_the_same_draw_and_without_a_share_there_is_none() -> None:
    one, other = Traffic(), Traffic("bank")
    assert [draw.hash for _, draw in one.send(a=500)] == [draw.hash for _, draw in other.send(bank=500)] != []
    one.rule = KeepRule(review=ReviewPolicy(share=0))
    assert one.send(a=100) == []


def test_a_text_that_comes_again_is_drawn_again_and_takes_nothing_from_the_others() -> None:
    traffic = Traffic(share=1.0)
    draws = [traffic.take("a", "the same") for _ in range(500)]
    assert {draw and (draw.hash, draw.full) for draw in draws} == {(TOKENS.hash("/app", "the same", "intent"), False)}
    assert len(traffic.send(a=200)) == 99


def test_a_clock_set_back_over_the_end_of_an_hour_does_not_begin_it_again() -> None:
    traffic = Traffic(share=1.0)
    assert len(traffic.send(1, a=200)) == 100
    traffic.now = 1_001 * HOUR_S - 1
    assert traffic.take("a", "x") is None
