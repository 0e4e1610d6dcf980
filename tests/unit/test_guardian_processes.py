"""The evidence against a goal, and the tests that a draw counts for."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from itertools import count, pairwise, product

import pytest

from sprat_contracts import ModelRef, ReviewCell, ReviewClosed
from sprat_contracts.reviews import CANNOT_TELL, RIGHT, UNANSWERED, WRONG
from sprat_guardian.evidence import BETS, Evidence, unused_stake
from sprat_guardian.processes import ALL_CELLS, DELTA, LEAST_REVIEWS, Process, Processes, keys_of, share_of_delta

pytestmark = pytest.mark.unit

SHOP_EN = ReviewCell(tenant="shop", language="en")
SHOP_DE = ReviewCell(tenant="shop", language="de")
JUNE = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)
NEW_YEAR = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000)
TEXTS = count()
STREAMS = list(product([0, 1], repeat=8))
"""All streams of eight reviews."""


def closed(verdict: str = RIGHT, cell: ReviewCell = SHOP_EN, version: str = "1", **changed) -> ReviewClosed:
    given = {
        "text_id": f"text-{next(TEXTS)}",
        "text_source": "/shop",
        "task": "intent",
        "cell": cell,
        "model": ModelRef(name="m", version=version),
        "says": "some",
        "confidence": 0.9,
        "goal": 0.98,
        "hash": "0" * 16,
        "share": 0.01,
        "least_share": 0.01,
        "drawn_at": JUNE,
        "verdict": verdict,
    }
    return ReviewClosed(**given | changed)


wrong = partial(closed, WRONG)


def until_alarm(processes: Processes, of=wrong, most: int = 1000) -> tuple[int, list[Process]]:
    """Count draws until an alarm; return after how many, and what raises it."""
    for number in range(1, most + 1):
        if raised := processes.count(of()):
            return number, raised
    raise AssertionError("no alarm")


def evidence(answers: Iterable[int], allowed: float) -> float:
    found = Evidence(allowed)
    for wrong in answers:
        found.add(wrong)
    return found.value


@pytest.mark.parametrize("allowed", [0.005, 0.02, 0.2])
def test_at_the_allowed_chance_of_an_error_the_evidence_is_one_on_average_and_below_it_less(allowed: float) -> None:
    def average(of_an_error: float) -> float:
        chances = ((of_an_error if wrong else 1 - of_an_error for wrong in each) for each in STREAMS)
        return sum(math.prod(chance) * evidence(each, allowed) for chance, each in zip(chances, STREAMS, strict=True))

    assert average(allowed) == pytest.approx(1)
    assert average(allowed * 0.9) < 1 < average(allowed * 1.1)


def test_the_evidence_is_the_stake_of_bets_each_from_its_review_on() -> None:
    allowed, answers = 0.02, [0, 0, 1, 0, 1, 1, 0]

    def won(odds: float, first: int) -> float:
        bet = (odds - 1) / (1 + (odds - 1) * allowed)
        return math.prod(1 + bet * (wrong - allowed) for wrong in answers[first:])

    unused = [unused_stake(reviews) for reviews in range(len(answers) + 1)]
    begun = [before - after for before, after in pairwise(unused)]
    stakes = [part * stake * won(odds, first) for first, stake in enumerate(begun) for odds, part in BETS.items()]
    assert math.isclose(sum(BETS.values()), 1)
    assert begun[0] == 0.5
    assert min(begun) > 0
    assert evidence(answers, allowed) == pytest.approx(sum(stakes) + unused[-1])


def test_errors_after_many_good_reviews_are_found_nearly_as_soon_as_at_the_start() -> None:
    def errors_until_an_alarm(good: int) -> int:
        answers = [0] * good
        while evidence(answers, 0.02) < 20:
            answers += [1, 0, 0, 0, 0]
        return sum(answers)

    assert errors_until_an_alarm(0) == 4
    assert errors_until_an_alarm(5_000) <= 13  # 154, were all bets made from the first review on


def test_the_evidence_of_very_many_reviews_is_a_number() -> None:
    assert evidence([1] * 1_000, 0.005) == 1e300
    assert 0 < evidence([0] * 20_000, 0.2) < 0.1


def test_the_shares_of_all_tests_of_a_task_and_year_are_no_more_than_delta() -> None:
    shares = [share_of_delta(place) for place in range(1, 10_000)]

    assert shares[0] == pytest.approx(0.025 * 6 / math.pi**2)
    assert shares[3] == pytest.approx(shares[0] / 16)
    assert 0.999 * DELTA < 2 * sum(shares) < DELTA


def test_the_whole_task_alarms_before_a_cell_with_fewer_than_fifty_reviews() -> None:
    processes = Processes()

    first, (pooled,) = until_alarm(processes)
    more, (cell,) = until_alarm(processes)

    assert (pooled.key.cell, cell.key.cell) == (ALL_CELLS, SHOP_EN)
    assert first < 10
    assert evidence([1] * (first - 1), 0.02) < 1 / share_of_delta(1) <= evidence([1] * first, 0.02)
    assert evidence([1] * (first + more - LEAST_REVIEWS - 1), 0.02) < 1 / share_of_delta(1)
    assert evidence([1] * (first + more - LEAST_REVIEWS), 0.02) >= 1 / share_of_delta(1)


def test_an_alarm_is_raised_once_and_names_the_latest_five_texts_with_a_wrong_answer() -> None:
    processes = Processes()
    given = [closed(drawn_at=JUNE + 1), *(wrong() for _ in range(9))]
    raised = [process for each in given for process in processes.count(each)]

    (alarm,) = raised
    assert alarm.is_raised
    assert alarm.since_ms == JUNE + 1
    assert [each.text_id for each in alarm.wrong] == [each.text_id for each in given[-5:]]
    assert (alarm.reviews, alarm.errors) == (10, 9)


def test_a_version_a_goal_a_clear_and_a_year_open_tests_and_a_returned_version_continues_its_own() -> None:
    processes = Processes()
    for each in (
        closed(),
        closed(version="2"),
        closed(goal=0.97),
        closed(clears=1),
        closed(pooled_clears=1),
        closed(),
        closed(drawn_at=NEW_YEAR - 1),
        closed(drawn_at=NEW_YEAR),
        closed(task="ner"),
    ):
        assert processes.count(each) == []

    def places(*, pooled: bool) -> list[tuple[str, int, int | None, int]]:
        keyed = [(each.key, each) for each in processes if each.key.is_pooled is pooled]
        return [(key.task, key.year, each.place, each.reviews) for key, each in keyed]

    first_pooled, first_cell = 4, 4  # of the first version: three in June and one in December, less what a clear opened
    assert places(pooled=True) == [
        ("intent", 2026, 1, first_pooled),
        ("intent", 2026, 2, 1),
        ("intent", 2026, 3, 1),
        ("intent", 2026, 4, 1),
        ("intent", 2027, 1, 1),
        ("ner", 2026, 1, 1),
    ]
    assert places(pooled=False) == [
        ("intent", 2026, None, first_cell),
        ("intent", 2026, None, 1),
        ("intent", 2026, None, 1),
        ("intent", 2026, None, 1),
        ("intent", 2027, None, 1),
        ("ner", 2026, None, 1),
    ]


def test_a_cell_opens_after_its_fiftieth_review_so_that_invented_languages_use_up_nothing() -> None:
    def needed(*before: ReviewClosed) -> float:
        processes = Processes()
        for each in before:
            processes.count(each)
        raised = [until_alarm(processes)[1] for _ in range(2)]
        return raised[-1][0].needed

    invented = [
        closed(cell=ReviewCell(tenant="default", language=f"x{letter}"))
        for letter in "abcdefgh"
        for _ in range(LEAST_REVIEWS)
    ]
    alone = needed()
    assert needed(*invented) == alone
    opened = [closed(cell=cell) for cell in (SHOP_DE, invented[0].cell) for _ in range(LEAST_REVIEWS + 1)]
    assert needed(*opened) == pytest.approx(9 * alone)
    assert needed(*opened[:-1]) == pytest.approx(4 * alone)


def test_draws_without_an_answer_or_a_goal_and_disputed_records_count_for_no_test() -> None:
    processes = Processes()

    for each in (
        closed(UNANSWERED),
        closed(CANNOT_TELL),
        closed("what a later version says"),
        wrong(disputed=True),
        wrong(goal=None),
        wrong(goal=1.0),
    ):
        assert processes.count(each) == []

    assert list(processes) == []


@pytest.mark.parametrize("promises", [1, 2, 5])
def test_an_answer_of_several_statements_may_be_wrong_so_many_times_as_often(promises: int) -> None:
    def average(of_an_error: float) -> float:
        total = 0.0
        for each in STREAMS:
            found = Evidence(0.02)
            for place, wrong in enumerate(each):
                found.add(wrong, promises if place % 2 else 1)
            chances = (of_an_error * (promises if place % 2 else 1) for place in range(len(each)))
            total += math.prod(p if wrong else 1 - p for p, wrong in zip(chances, each, strict=True)) * found.value
        return total

    assert average(0.02) == pytest.approx(1)
    assert average(0.018) < 1 < average(0.022)


def test_where_every_answer_may_be_wrong_a_review_says_nothing() -> None:
    found = Evidence(0.25)
    found.add(1, 4)
    assert found.value == 1
    found.add(1, 3)
    assert found.value > 1


def test_an_alarm_allows_each_name_its_share() -> None:
    def alarms(promises: int) -> list[Process]:
        processes = Processes()
        answers = [WRONG if number % 7 == 0 else RIGHT for number in range(140)]  # 14 of 100 are wrong
        return [each for one in answers for each in processes.count(closed(one, goal=0.95, promises=promises))]

    assert alarms(3) == [], "each of three names may be wrong in 5 of 100"
    assert [each.allowed for each in alarms(1)] == [pytest.approx(0.05)] * 2
    mixed = Process(keys_of(closed(goal=0.95))[0])
    mixed.count(closed(goal=0.95))
    mixed.count(closed(goal=0.95, promises=3))
    assert mixed.allowed == pytest.approx(0.1)
