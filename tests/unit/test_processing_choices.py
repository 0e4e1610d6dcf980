"""The choices of the batch loop: what is answered, looked up, published and committed next."""

import pytest

from sprat.base.errors import Rejected
from sprat.processing import batch_choices as choices
from sprat.processing.batch_choices import BATCH_TOKENS
from sprat.processing.handler import Emit, Outcome
from sprat.processing.records import WorkItem
from sprat_contracts import TextSubmitted, Topics
from support.wire_records import plain

EVENT = Emit(Topics().feedback, b"k", "id", TextSubmitted.model_validate({"text": "hi", "tasks": {"ner": {}}}))
STATES = {
    "?": {},
    "missed": {"cache_s": 0.1},
    "decided": {"outcome": Outcome((EVENT,))},
    "published": {"outcome": Outcome((EVENT,)), "acknowledged_s": 1.0},
    "skipped": {"outcome": Outcome(skipped="older"), "acknowledged_s": 1.0},
    "rejected": {"outcome": Outcome(rejected=Rejected("invalid_text", "text: empty")), "acknowledged_s": 1.0},
}


def items(*described, tokens=1):
    """Return items as described: the partition, the key (`-`: none) and the state of each."""
    found = []
    for offset, line in enumerate(described):
        partition, key, state = line.split()
        record = plain(partition=int(partition), offset=offset, key=None if key == "-" else key.encode())
        found.append(WorkItem(record, tokens=tokens, **STATES[state]))
    return found


def places(chosen):
    return [item.record.offset for item in chosen]


@pytest.mark.parametrize(
    ("described", "is_open", "published"),
    [
        (["1 a ?", "1 a decided", "1 b decided"], True, [2]),
        (["1 a ?", "2 a decided"], True, [1]),
        (["1 - ?", "1 - decided"], True, [1]),
        (["1 a published", "1 a decided", "1 a missed", "1 a decided"], True, [1]),
        (["1 a decided", "1 b ?", "1 c decided", "2 a decided"], False, [0, 3]),
        (["1 - ?", "1 - decided"], False, []),
    ],
    ids=[
        "a key keeps its order",
        "keys of partitions are their own",
        "records without a key have no order",
        "what is published is not published again",
        "closed: nothing of a partition overtakes",
        "closed: nor without a key",
    ],
)
def test_what_is_decided_is_published_unless_it_would_overtake(described, is_open, published):
    assert places(choices.to_publish(items(*described), is_open=is_open)) == published


@pytest.mark.parametrize(
    ("described", "committed"),
    [
        (["1 a published", "1 b decided", "1 c published", "2 a published"], [0, 3]),
        (["1 a ?", "1 b published"], []),
        (["1 a skipped", "1 b published", "1 c missed"], [0, 1]),
    ],
    ids=["up to what is not acknowledged", "nothing behind a gap", "what is skipped is done"],
)
def test_of_each_partition_what_precedes_the_first_unacknowledged_record_is_committed(described, committed):
    assert places(choices.committable(items(*described))) == committed


@pytest.mark.parametrize(
    ("described", "is_open", "answered"),
    [
        (["1 a ?", "1 b published", "1 c missed"], True, [0, 2]),
        (["1 a ?", "1 b missed", "1 c published", "1 d ?", "2 a ?"], False, [0, 1]),
        (["1 a ?", "1 b rejected"], False, [0]),
        (["1 a ?", "1 b skipped"], False, []),
        (["1 a ?", "1 b decided"], False, []),
    ],
    ids=[
        "open: all",
        "closed: what was overtaken",
        "by a dead letter, too",
        "what emits nothing overtakes nothing",
        "only published ones do",
    ],
)
def test_after_admission_has_closed_only_what_was_overtaken_is_answered(described, is_open, answered):
    assert places(choices.to_answer(items(*described), is_open=is_open)) == answered


def test_after_admission_has_closed_nothing_is_answered_that_takes_more_than_one_part():
    late = ["1 a ?", "1 b ?", "1 c published"]
    assert places(choices.to_answer(items(*late, tokens=BATCH_TOKENS // 2), is_open=False)) == [0, 1]
    assert choices.to_answer(items(*late, tokens=BATCH_TOKENS // 2 + 1), is_open=False) == []


def test_one_part_is_with_the_model_and_one_is_looked_up_beside_it():
    half = BATCH_TOKENS // 2
    undecided = items("1 a missed", "1 b ?", "1 c ?", "1 d ?", tokens=half)
    assert places(choices.to_infer(undecided)) == [0]
    assert places(choices.to_look_up(undecided)) == [1, 2]
    full = items("1 a missed", "1 b missed", "1 c missed", "1 d ?", tokens=half)
    assert places(choices.to_infer(full)) == [0, 1]
    assert choices.to_look_up(full) == [], "two parts wait for the model"


def test_a_part_has_one_item_at_least():
    large = items("1 a missed", "1 b missed", tokens=BATCH_TOKENS + 1)
    assert places(choices.to_infer(large)) == [0]
    assert choices.to_infer([]) == []
