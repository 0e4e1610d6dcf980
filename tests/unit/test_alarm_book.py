"""`AlarmBook`: which record of an alarm counts."""

from sprat.registry.alarms import AlarmBook, alarm_record, cleared
from sprat_contracts import AlarmRaised, Record, ReviewCell, Topics
from sprat_contracts.reviews import CLEARED, ERRORS
from support.stream import FORGED, SIGNATURES

TOPICS = Topics("test")
CELL = ReviewCell(tenant="acme", language="de")


def alarm(number=1, **changes):
    return AlarmRaised(kind=ERRORS, task="intent", cell=CELL, number=number, raised_at=1_000, steps=1, **changes)


def record(alarm, signatures=SIGNATURES, offset=0, key=None):
    out = alarm_record(TOPICS, alarm, "/test/guardian", signatures)
    return Record(out.topic, 0, offset, 1_000 + offset, key or out.key, out.value, tuple(out.headers))


def book_of(*records, signatures=SIGNATURES):
    book = AlarmBook(signatures)
    for each in records:
        book.take(each)
    return book


def test_a_record_with_a_number_below_the_last_is_out_of_date_and_is_written_over():
    first, end = alarm(), cleared(alarm(), "lee", "a holiday", None)
    book = book_of(record(first), record(end, offset=1), record(first, offset=2))
    assert [each.state for each in book.all()] == [CLEARED]
    assert list(book.standing()) == []
    assert list(book.hidden()) == [end]
    book.take(record(end, offset=3))
    assert list(book.hidden()) == []


def test_what_is_forged_or_under_another_key_does_not_count():
    book = book_of(record(alarm(), FORGED), record(alarm(), key=b"errors/intent/*/*"))
    assert book.all() == ()
    assert book_of(record(alarm(), FORGED), signatures=None).all() == (alarm(),)


def test_an_alarm_that_follows_a_clear_begins_with_the_first_step_and_keeps_the_count_of_clears():
    book = book_of(record(alarm()))
    again = book.following(alarm())
    assert (again.number, again.clears, again.steps) == (2, 0, 2)
    book.take(record(again, offset=1))
    book.take(record(cleared(again, "lee", "a holiday", None), offset=2))
    assert book.clears("intent", CELL, 10**15) == 1
    after = book.following(alarm())
    assert (after.number, after.clears, after.steps) == (4, 1, 1)
