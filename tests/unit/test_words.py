"""Counts in messages agree with their nouns."""

import pytest

from sprat.base.words import counted
from sprat.kafka.publisher import NotAcknowledged, TooLarge
from sprat_operations.dead_letter_payload import hex_dump
from sprat_operations.doctor.groups import _counted
from sprat_operations.record_summary import short_answer


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 records"), (1, "1 record"), (2, "2 records"), (1200, "1,200 records")]
)
def test_a_count_agrees_with_its_noun(count: int, said: str) -> None:
    assert counted(count, "record") == said


def test_messages_of_one_are_in_the_singular() -> None:
    assert str(NotAcknowledged((0,), "timeout")) == "1 record not acknowledged: timeout"
    assert str(TooLarge([0])).startswith("1 record above the size")
    assert _counted("router", 1, 1) == "router: 1 member, 1 record behind"
    assert list(hex_dump(b"x" * 17, 16))[-1] == "… 1 more byte"
    assert short_answer({"entities": [{}]}, "ner") == "1 name"
