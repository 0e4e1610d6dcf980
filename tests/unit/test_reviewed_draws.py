"""Which draws certify, and what they certify: each text had the same chance, and what has no answer counts as wrong."""

from collections import Counter

import pytest

from sprat.base.errors import UserError
from sprat_contracts import ModelRef, ReviewCell, ReviewClosed
from sprat_contracts.reviews import CANNOT_TELL, RIGHT, UNANSWERED, WRONG
from sprat_contracts.thresholds import Certificate
from sprat_operations.review_draws import take
from sprat_training.evaluation.reviewed import HOUR_MS, DrawsOfTask, Period, select
from sprat_training.thresholds import Purpose, Rows
from sprat_training.thresholds.certified import spend_of
from support.measured import MODEL_VERSION, thresholds, thresholds_of
from support.review_logs import TOPICS, ReviewLogs, asked_record, drawn
from support.stream import FORGED, SIGNATURES

HOUR = 500_000
START = HOUR * HOUR_MS
ALL = Period(START, START + 24 * HOUR_MS)
REVIEWS = Purpose((0.97,), "reviews", can_be_outside=False)
MS = HOUR_MS // 100


def closed(number=0, verdict=RIGHT, *, at=START + HOUR_MS // 2, share=1.0, hash="0" * 16, **changes):
    fields = {
        "text_id": f"t-{number}",
        "text_source": "/crm",
        "task": "intent",
        "cell": ReviewCell(tenant="default", language="en"),
        "model": ModelRef(name="hr", version=MODEL_VERSION),
        "says": "some",
        "confidence": 0.9,
        "goal": 0.97,
        "evidence": "estimated",
        "least_share": share,
        "drawn_at": at,
    }
    return ReviewClosed(**(fields | {"verdict": verdict, "share": share, "hash": hash} | changes))


def draws_of(*records):
    found = DrawsOfTask("intent")
    for each in records:
        found.close(each)
    return found


def selected(*records, period=ALL, file=None):
    return select(draws_of(*records), MODEL_VERSION, file or thresholds(estimated=0.6), period)


def test_the_first_record_of_a_draw_counts_and_what_has_no_answer_or_two_is_wrong():
    found = selected(
        closed(0),
        closed(0, WRONG),
        closed(1, UNANSWERED),
        closed(2, CANNOT_TELL),
        closed(3),
        closed(3, disputed=True),
        closed(4, task="ner"),
        closed(5, model=ModelRef(name="hr", version="b" * 16)),
        closed(6, at=ALL.until),
    )
    assert found.verdicts == Counter({RIGHT: 1, UNANSWERED: 1, CANNOT_TELL: 1, "disputed": 1})
    assert found.rows.right.tolist() == [True, False, False, False]


def test_each_text_had_the_same_chance_so_the_smallest_share_of_the_period_decides():
    low, high = "1" + "0" * 15, "9" + "0" * 15  # below 1/8, above 1/2
    found = selected(closed(0, hash=low), closed(1, hash=high), closed(2, hash=low, share=0.5))
    assert (len(found.rows), found.above, found.share) == (2, 1, 0.5)
    hidden = closed(2, hash=low, share=0.5, least_share=0.05)
    assert selected(closed(1, hash=low), hidden, closed(3, hash="0" * 16)).above == 2
    later = closed(9, at=ALL.until + HOUR_MS, share=0.5, hash=low)
    assert selected(closed(0, hash=low), closed(1, hash=high), later).share == 0.5, "it says what applied before"


def test_an_hour_in_which_a_router_drew_no_more_is_left_out_whole():
    first, last = closed(0, at=START + 1), closed(1, at=START + HOUR_MS - 1, full=True)
    after = closed(2, at=START + HOUR_MS)
    assert (len(selected(first, last, after).rows), selected(first, last, after).full) == (1, 2)
    late = closed(1, at=START + HOUR_MS, full=True)  # drawn before the hour ended, written after it
    with_late = selected(first, late, closed(2, at=START + 2 * HOUR_MS))
    assert with_late.full == 2


def test_only_answers_at_or_above_the_highest_served_threshold_certify():
    file = thresholds(estimated=0.6, german=0.92, certified=0.99)
    german = ReviewCell(tenant="default", language="de")
    found = selected(closed(0), closed(1, confidence=0.95), closed(2, confidence=0.93, cell=german), file=file)
    assert found.served == 0.92
    assert found.rows.certifies.tolist() == [False, True, True]
    fixed = [closed(number, goal=None, evidence=None, confidence=0.7 + number / 100) for number in range(3)]
    assert selected(*fixed).served == 0.7, "of a keep_at, the least confidence that was drawn"


def test_what_was_kept_by_earlier_thresholds_does_not_count():
    rows = Rows.of([0.9] * 300, [True] * 300, certifies=[True] * 300)
    file = thresholds_of(rows, None, at_ms=START + HOUR_MS)
    assert len(selected(closed(0), closed(1, at=START + 2 * HOUR_MS), file=file).rows) == 1
    trained = thresholds_of(rows, None, by="train", at_ms=START + HOUR_MS)
    assert len(selected(closed(0), closed(1), file=trained).rows) == 2, "no version served before it was trained"
    looked = thresholds_of(rows.where(rows.right), REVIEWS, None, by="reviews", at_ms=START + HOUR_MS)
    assert looked.certified_by is not None
    assert len(selected(closed(0), closed(1, at=START + 2 * HOUR_MS), file=looked).rows) == 1


def test_what_a_tier_says_is_agreement_and_certifies_nothing():
    with pytest.raises(UserError, match="agreement with large: 1 of 2"):
        selected(closed(0), closed(1, by="tier:large"), closed(2, WRONG, by="tier:large"))


def test_without_a_draw_there_is_nothing_to_certify_from():
    with pytest.raises(UserError, match="no review of version"):
        selected(closed(0, at=START - 1))


def test_reviews_certify_and_what_is_estimated_stays_as_it_is():
    before = thresholds_of(Rows.of([0.9, 0.8] * 40, [True, False] * 40), None, at_ms=START)
    reviews = Rows.of([0.9] * 400, [True] * 400, certifies=[True] * 400)
    found = thresholds_of(reviews, REVIEWS, before, by="reviews", at_ms=START + 1)
    assert [each.estimated for each in found.cells] == [each.estimated for each in before.cells]
    assert found.cell(None, "some").certified[-1].accuracy == 0.97
    assert (found.certificate.drawn, found.certificate.rows, found.certificate.attempt) == ("reviews", 400, 1)
    assert found.measurements[-1].by == "reviews"


def test_a_look_that_certifies_nothing_is_an_attempt_and_keeps_the_certificate():
    before = thresholds_of(Rows.of([0.9] * 400, [True] * 400, certifies=[True] * 400), REVIEWS, None, by="reviews")
    assert isinstance(before.certificate, Certificate)
    bad = Rows.of([0.9] * 400, [number > 60 for number in range(400)], certifies=[True] * 400)
    after = thresholds_of(bad, REVIEWS, before, by="reviews")
    assert (after.certificate, after.cells) == (before.certificate, before.cells)
    assert [each.attempt for each in after.measurements] == [1, 2]
    third = thresholds_of(bad.where(bad.right), REVIEWS, after, by="reviews")
    assert (third.certificate.attempt, third.certificate.spent) == (3, spend_of(3))


def test_an_old_draw_that_somebody_writes_once_more_counts_for_nothing():
    """Each hour would be full, or a draw be open for ever: then nothing could be certified."""
    logs = ReviewLogs()
    logs.draw(drawn(id="new"))
    logs.append(asked_record(drawn(id="old"), TOPICS, at=logs.now - 9 * 86_400_000))
    logs.append(asked_record(drawn(id="forged"), TOPICS, FORGED, at=logs.now))
    found = DrawsOfTask("intent")
    for record in logs.records:
        take(record, TOPICS, SIGNATURES, found)
    assert [text_id for _, text_id, _ in found.asked] == ["new"]


def test_what_was_kept_by_its_names_certifies_no_whole_text():
    found = selected(closed(0), closed(1, judged="names", promises=3), closed(2, WRONG, judged="sure_names"))
    assert (len(found.rows), found.verdicts) == (1, Counter({RIGHT: 1}))
