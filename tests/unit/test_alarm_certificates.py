"""Which certificate clears an alarm."""

import pytest

from sprat.base.errors import UserError
from sprat_contracts import AlarmRaised, ModelAnnounced, ReviewCell
from sprat_contracts.reviews import ERRORS
from sprat_operations.alarms import check_certificate_after, without_all
from sprat_training.thresholds import Purpose, Rows
from support.measured import thresholds_of

AT_MS = 1_796_100_000_000


def alarm(**changes):
    return AlarmRaised(**{"kind": ERRORS, "task": "intent", "number": 1, "goal": 0.97, "raised_at": AT_MS} | changes)


def certified(at_ms=AT_MS + 1, goal=0.97, **changes):
    rows = Rows.of([0.9] * 400, [True] * 400, certifies=[True] * 400, outside=[number < 5 for number in range(400)])
    return thresholds_of(rows, Purpose((goal,), "file"), at_ms=at_ms, **changes)


def reviewed(drawn_since):
    rows = Rows.of([0.9] * 400, [True] * 400, certifies=[True] * 400)
    purpose = Purpose((0.97,), "reviews", can_be_outside=False, drawn_since=drawn_since)
    return thresholds_of(rows, purpose, at_ms=AT_MS + 1_000)


def serving(thresholds):
    return (ModelAnnounced(task="intent", version="v1", thresholds=thresholds.announced()),)


def test_a_certificate_that_was_measured_after_it_and_is_served_clears_an_alarm():
    found = certified()
    assert check_certificate_after(alarm(), found, serving(found)) == found.thresholds_version


@pytest.mark.parametrize(
    ("found", "of", "said"),
    [
        (None, alarm(), "no certificate"),
        (certified(AT_MS - 1), alarm(), "measured before the alarm"),
        (certified(goal=0.9), alarm(), "the certificate is of 0.9, the goal that is not kept is 0.97"),
        (certified(), alarm(task="ner"), "the certificate is of the task intent"),
    ],
    ids=["none", "before", "a lower goal", "another task"],
)
def test_another_one_does_not(found, of, said):
    with pytest.raises(UserError, match=said):
        check_certificate_after(of, found, serving(found or certified()))


def test_nor_one_by_which_no_service_judges():
    with pytest.raises(UserError, match="no service of intent judges by the thresholds"):
        check_certificate_after(alarm(), certified(), serving(certified(AT_MS + 2)))


def test_reviews_clear_an_alarm_of_the_whole_task_where_all_were_drawn_after_it():
    after = reviewed(AT_MS)
    assert check_certificate_after(alarm(), after, serving(after)) == after.thresholds_version
    for before in (reviewed(AT_MS - 1), reviewed(None)):
        with pytest.raises(UserError, match="may have been drawn before the alarm"):
            check_certificate_after(alarm(), before, serving(before))


@pytest.mark.parametrize("cell", [{"tenant": "acme"}, {"language": "de"}, {"tenant": "acme", "language": "de"}])
def test_the_alarm_of_a_cell_is_cleared_by_rows_that_people_chose_and_not_by_reviews_of_other_cells(cell):
    of, after, file = alarm(cell=ReviewCell(**cell)), reviewed(AT_MS), certified()
    with pytest.raises(UserError, match="rows of these, labelled by people, with sprat evaluate FILE"):
        check_certificate_after(of, after, serving(after))
    assert check_certificate_after(of, file, serving(file)) == file.thresholds_version


def test_of_an_earlier_version_the_day_decides_and_one_of_the_same_day_came_before():
    found = certified()
    (measurement,) = found.measurements
    for day, is_after in (("2026-11-30", False), (measurement.at, False), ("2026-12-02", True)):
        old = found.model_copy(update={"measurements": (measurement.model_copy(update={"at": day, "at_ms": None}),)})
        if is_after:
            check_certificate_after(alarm(), old, serving(old))
            continue
        with pytest.raises(UserError, match="measured before the alarm, on"):
            check_certificate_after(alarm(), old, serving(old))


def test_a_name_leaves_out_what_stands_for_all_at_its_end():
    assert [without_all(each) for each in ("errors/intent/*/*", "shift/ner/*/de")] == [
        "errors/intent",
        "shift/ner/*/de",
    ]
