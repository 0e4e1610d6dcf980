"""Which alarms follow from the logs of reviews, in their order, and that none is lost or raised twice."""

import random
import tracemalloc

import pytest

from sprat.registry.alarms import alarm_record, cleared
from sprat_cli.commands.alarms import numbers_in_words
from sprat_contracts import AlarmRaised, ReviewCell
from sprat_contracts.reviews import ERRORS, SHIFT, TOO_FEW_REVIEWS
from sprat_guardian.counting import HashSet
from sprat_guardian.processes import ALL_CELLS
from support.review_logs import TOPICS, ReviewLogs, answer_to, drawn
from support.stream import FORGED, SIGNATURES

pytestmark = pytest.mark.unit

SHOP = ReviewCell(tenant="shop", language="en")


@pytest.fixture
def logs() -> ReviewLogs:
    return ReviewLogs()


def reviewed(logs: ReviewLogs, count: int, said: str = "balance", by: str = "agent-1", **fields) -> None:
    """Draw so many answers of `transfer`, and answer each."""
    for number in range(count):
        asked = drawn(id=f"t-{len(logs.records)}-{number}", **fields)
        asked = asked.model_copy(update={"by": by.removeprefix("tier:") if by.startswith("tier:") else "people"})
        logs.draw(asked)
        logs.answer(answer_to(asked, said, by=by))


def of_kind(logs: ReviewLogs, kind: str, cell: ReviewCell | None = None) -> list[AlarmRaised]:
    return [each for each in logs.alarms() if each.kind == kind and cell in (None, each.cell)]


def test_an_alarm_of_a_cell_says_what_raised_it(logs: ReviewLogs) -> None:
    reviewed(logs, 50, "transfer")
    reviewed(logs, 20)
    guardian = logs.guardian().work()
    (alarm,) = of_kind(logs, ERRORS, SHOP)
    last = logs.records[-1]
    assert (alarm.task, alarm.cell, alarm.state, alarm.number, alarm.steps) == ("intent", SHOP, "raised", 1, 1)
    assert (alarm.reviews, alarm.goal, alarm.evidence) == (50 + alarm.errors, 0.97, "estimated")
    assert alarm.allowed is None
    assert 3 < alarm.errors < 12
    assert alarm.e_value >= alarm.needed > 20
    assert alarm.since == logs.closed()[0].drawn_at
    wrong = [each.text_id for each in logs.closed()[: alarm.reviews] if each.verdict == "wrong"]
    assert [each.text_id for each in alarm.texts] == wrong[-5:]
    assert (alarm.model.name, alarm.model.version) == ("en-fast", "v1")
    counted = f"{alarm.errors} of {alarm.reviews}"
    assert alarm.detail == f"{counted} reviewed answers of the cell were wrong; the goal allows 3 %"
    assert alarm.raised_at < last.timestamp
    reviewed(logs, 50)
    guardian.work()
    assert len(of_kind(logs, ERRORS, SHOP)) == 1, "it stands"


def test_an_alarm_names_the_tiers_whose_answers_it_counts(logs: ReviewLogs) -> None:
    reviewed(logs, 50, "transfer")
    reviewed(logs, 20, by="tier:large")
    logs.guardian().work()
    (alarm,) = of_kind(logs, ERRORS, SHOP)
    assert alarm.agreement == ("large",)
    assert alarm.detail.endswith("allows 3 %; by agreement with large, which may be wrong itself")


def test_an_alarm_of_answers_that_were_kept_by_their_names_says_what_share_may_be_wrong(logs: ReviewLogs) -> None:
    names = {"entities": [{"start": 0, "end": 4, "text": "Anna", "label": "PER"}]}
    for number in range(60):
        asked = drawn(id=f"n-{number}", task="ner", output=names, goal=0.95).model_copy(update={"judged": "names"})
        logs.draw(asked)
        logs.answer(answer_to(asked, asked.prediction.output, verdict="wrong"))
    logs.guardian().work()
    alarm = of_kind(logs, ERRORS)[0]
    assert (alarm.goal, alarm.allowed) == (0.95, pytest.approx(0.1))
    assert alarm.detail.endswith("the goal allows 10 %")
    assert "\n".join(numbers_in_words(alarm)).startswith(
        "goal: 0.95 of each name, estimated, so at most 10 % may be wrong\n"
    )


def test_a_cell_of_few_reviews_is_counted_with_the_whole_task_alone(logs: ReviewLogs) -> None:
    for number in range(10):
        reviewed(logs, 4, tenant=f"tenant-{number}")
    logs.guardian().work()
    (alarm,) = logs.alarms()
    assert (alarm.cell, alarm.key) == (ALL_CELLS, b"errors/intent/*/*")


def test_texts_that_are_sent_again_count_once_however_much_later(logs: ReviewLogs) -> None:
    """They have the same draws; an error that is known would be counted again with each batch."""
    batch = [drawn(id=f"t-{number}") for number in range(30)]
    guardian = logs.guardian()
    for _ in range(10):
        reviewed(logs, 1, "transfer")
        guardian.work()
        logs.draw(*batch)
        logs.answer(*(answer_to(each, "balance" if each is batch[0] else "transfer") for each in batch))
        guardian.work()
        logs.wait(9 * 86_400_000)
    assert len(logs.closed()) == 310, "each time they are asked and closed"
    for reader in (guardian, logs.guardian().work()):
        assert {(each.reviews, each.errors) for each in reader.state.counting.processes} == {(40, 1)}
    assert logs.alarms() == []


def test_a_year_of_hashes_is_remembered_in_little_memory() -> None:
    hashes = random.Random(1)
    tracemalloc.start()
    seen = HashSet()
    drawn_hashes = [f"{hashes.getrandbits(64):016x}" for _ in range(1_000)]
    before, _ = tracemalloc.get_traced_memory()
    assert all(seen.add(each) for each in drawn_hashes)
    assert all(seen.add(f"{hashes.getrandbits(64):016x}") for _ in range(79_000))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 1_500_000, "200 draws a day, for 400 days"
    assert not any(seen.add(each) for each in drawn_hashes)


def test_what_was_kept_without_a_goal_is_closed_and_raises_nothing(logs: ReviewLogs) -> None:
    reviewed(logs, 60, goal=None)
    logs.guardian().work()
    assert (len(logs.closed()), logs.alarms()) == (60, [])


def test_a_clear_opens_a_new_test_and_the_next_alarm_of_the_place_has_the_next_number(logs: ReviewLogs) -> None:
    reviewed(logs, 70)
    guardian = logs.guardian().work()
    (first,) = of_kind(logs, ERRORS, SHOP)
    clear(logs, first)
    reviewed(logs, 70)
    guardian.work()
    assert {each.clears for each in logs.closed()[70:]} == {1}
    assert {each.pooled_clears for each in logs.closed()} == {0}
    numbers = [(each.state, each.number, each.clears, each.steps) for each in of_kind(logs, ERRORS, SHOP)]
    assert numbers == [("raised", 1, 0, 1), ("cleared", 2, 1, 0), ("raised", 3, 1, 1)]


def test_a_draw_is_of_the_test_of_its_time_whenever_it_is_answered(logs: ReviewLogs) -> None:
    """Who clears an alarm may know the answers of open draws: the test that counts them is decided before."""
    reviewed(logs, 100)
    guardian = logs.guardian().work()
    before, after = drawn(id="before"), drawn(id="after")
    logs.draw(before)
    for alarm in logs.alarms():
        clear(logs, alarm)
    logs.draw(after)
    logs.answer(answer_to(before), answer_to(after))
    guardian.work()
    tests = [(each.text_id, each.clears, each.pooled_clears) for each in logs.closed()[100:]]
    assert tests == [("before", 0, 0), ("after", 1, 1)]


def test_a_tightened_goal_opens_a_new_test_whose_alarm_is_the_next_step(logs: ReviewLogs) -> None:
    guardian = logs.guardian()
    for goal in (0.97, 0.98, 0.985):
        reviewed(logs, 70, goal=goal)
        guardian.work()
    assert [(each.goal, each.steps) for each in of_kind(logs, ERRORS, SHOP)] == [(0.97, 1), (0.98, 2), (0.985, 3)]


def test_an_alarm_that_was_not_written_is_written_by_the_next_guardian(logs: ReviewLogs) -> None:
    steady = ReviewLogs()
    for each in (logs, steady):
        reviewed(each, 70)
        reviewed(each, 70, goal=0.98)
    steady.guardian().work()
    deaths = 0
    while due := (guardian := logs.guardian()).due():
        logs.append(*due[: 1 if due[0].topic == TOPICS.alarms else 9])  # it dies after a part of what it has to write
        deaths += 1
    assert deaths > 12
    told = [[(each.key, each.number, each.goal, each.reviews) for each in one.alarms()] for one in (logs, steady)]
    assert sorted(told[0]) == sorted(told[1])
    assert len(told[0]) == 4
    assert list(guardian.state.book.standing())


def clear(logs: ReviewLogs, alarm: AlarmRaised) -> None:
    logs.append(alarm_record(TOPICS, cleared(alarm, "lee", "looked into it", None), "/test/cli", SIGNATURES))


def test_where_an_older_alarm_is_written_once_more_the_one_that_counts_is_written_again(logs: ReviewLogs) -> None:
    reviewed(logs, 70)
    guardian = logs.guardian().work()
    old = next(each for each in logs.records if each.key == b"errors/intent/shop/en")
    (alarm,) = of_kind(logs, ERRORS, SHOP)
    clear(logs, alarm)
    guardian.work()
    for record in (old, alarm_record(TOPICS, alarm, "/x", FORGED)):
        logs.append(record)
        guardian.work()
        last = of_kind(logs, ERRORS, SHOP)[-1]
        assert (last.state, last.number) == ("cleared", 2)
    assert len(of_kind(logs, ERRORS, SHOP)) == 6


def test_a_cleared_alarm_does_not_come_back_where_the_topic_of_alarms_has_lost_it(logs: ReviewLogs) -> None:
    """It was created again; or, while no guardian ran, forged records took their places and it was compacted."""
    reviewed(logs, 70)
    guardian = logs.guardian().work()
    for alarm in logs.alarms():
        clear(logs, alarm)
    reviewed(logs, 10, "transfer")
    guardian.work()
    logs.records = [each for each in logs.records if each.topic != TOPICS.alarms]
    guardian = logs.guardian().work()
    assert logs.alarms() == []
    reviewed(logs, 70)
    guardian.work()
    assert {(each.clears, each.pooled_clears) for each in logs.closed()[80:]} == {(1, 1)}
    told = [(each.state, each.number, each.clears, each.steps) for each in logs.alarms()]
    assert told == [("raised", 3, 1, 1)] * 2, "running routers know number 2"


def test_too_few_answers_in_a_week_raise_an_alarm_until_it_is_cleared(logs: ReviewLogs) -> None:
    guardian = logs.guardian()
    reviewed(logs, 17, "transfer")
    judged(logs, "cannot_tell", 2)
    guardian.work()
    assert logs.alarms() == [], "of 19 draws nothing is said"
    reviewed(logs, 1, "transfer")
    guardian.work()
    assert logs.alarms() == [], "2 of 20 are a tenth"
    judged(logs, "cannot_tell", 1)
    guardian.work()
    (alarm,) = logs.alarms()
    assert (alarm.kind, alarm.cell, alarm.number, alarm.reviews) == (TOO_FEW_REVIEWS, ALL_CELLS, 1, 18)
    assert "3 of 21 draws" in alarm.detail
    assert "stands until it is cleared" in alarm.detail
    judged(logs, "cannot_tell", 20)
    guardian.work()
    logs.guardian().work()
    assert logs.alarms() == [alarm], "it stands"
    clear(logs, alarm)
    guardian.work()
    reviewed(logs, 17, "transfer")
    judged(logs, "cannot_tell", 3)
    guardian.work()
    assert [(each.state, each.number) for each in logs.alarms()] == [("raised", 1), ("cleared", 2), ("raised", 3)]


def test_draws_that_nobody_answers_are_too_few_reviews(logs: ReviewLogs) -> None:
    logs.draw(*(drawn(id=f"t-{number}") for number in range(20)))
    logs.wait()
    logs.guardian().work()
    assert [each.kind for each in logs.alarms()] == [TOO_FEW_REVIEWS]


def test_what_was_closed_more_than_a_week_ago_no_longer_counts_as_missing(logs: ReviewLogs) -> None:
    judged(logs, "cannot_tell", 3)
    guardian = logs.guardian().work()
    logs.wait(7 * 86_400_000)
    reviewed(logs, 20, "transfer")
    guardian.work()
    assert logs.alarms() == []


def judged(logs: ReviewLogs, verdict: str, count: int) -> None:
    for number in range(count):
        asked = drawn(id=f"j-{len(logs.records)}-{number}")
        logs.draw(asked)
        logs.answer(answer_to(asked, verdict=verdict))


def test_a_warning_is_raised_once_for_a_version_of_a_model(logs: ReviewLogs) -> None:
    guardian = logs.guardian()

    def warn(version: str) -> None:
        model = {"name": "m", "version": version}
        guardian.state.warn(
            AlarmRaised.model_validate(
                {"kind": SHIFT, "task": "intent", "model": model, "number": 1, "raised_at": logs.now}, strict=False
            )
        )
        guardian.work()

    for version in ("1", "1", "2", "2"):
        warn(version)
    assert [(each.model.version, each.number) for each in logs.alarms()] == [("1", 1), ("2", 2)]
