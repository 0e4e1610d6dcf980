"""Overlapping detections become one."""

import pytest

from sprat_privacy import Detection, NameDetector, resolve
from sprat_privacy.detection import ReadNames


def detection(start, end, type="PERSON", score=1.0, detector="one"):
    return Detection(start=start, end=end, type=type, score=score, detector=detector)


def spans(*detections):
    return [(each.start, each.end, each.type) for each in resolve(detections)]


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([detection(0, 4), detection(4, 8, "EMAIL")], [(0, 4, "PERSON"), (4, 8, "EMAIL")]),
        ([detection(0, 4), detection(3, 9, "EMAIL")], [(0, 9, "EMAIL")]),
        ([detection(0, 6), detection(4, 9, "EMAIL")], [(0, 9, "PERSON")]),
        ([detection(0, 9), detection(2, 4, "EMAIL"), detection(8, 12, "IBAN")], [(0, 12, "PERSON")]),
        ([detection(0, 9), detection(2, 4, "EMAIL"), detection(5, 7, "IBAN")], [(0, 9, "PERSON")]),
        ([detection(0, 4, score=0.2), detection(0, 4, "EMAIL", score=0.9)], [(0, 4, "EMAIL")]),
        ([detection(6, 8), detection(0, 2)], [(0, 2, "PERSON"), (6, 8, "PERSON")]),
    ],
    ids=["touching", "longer second", "longer first", "inside and beyond", "inside", "surer", "unordered"],
)
def test_overlapping_detections_become_one_that_covers_all_with_the_type_of_the_longest(detections, expected):
    assert spans(*detections) == spans(*reversed(detections)) == expected


@pytest.mark.parametrize(
    ("detections", "winner"),
    [
        ([Detection(0, 4, "PHONE", "a"), Detection(0, 4, "IBAN", "b")], "IBAN"),
        ([Detection(0, 4, "PHONE", "a", 0.9), Detection(0, 4, "IBAN", "b", 0.5)], "PHONE"),
        ([Detection(0, 4, "ZZZ", "a"), Detection(0, 4, "AAA", "b")], "AAA"),
        ([Detection(2, 6, "AAA", "a"), Detection(0, 4, "AAA", "b")], "AAA"),
        ([Detection(0, 5, "AAA", "a", 0.1), Detection(1, 5, "IBAN", "b")], "AAA"),
    ],
)
def test_ties_are_decided_by_score_then_type_then_position(detections: list[Detection], winner: str) -> None:
    (merged,) = resolve(detections)
    assert merged.type == winner
    assert resolve(reversed(detections)) == [merged]


def test_detections_that_only_touch_stay_separate() -> None:
    assert [(each.start, each.end) for each in resolve([Detection(0, 2, "A", "a"), Detection(2, 4, "B", "a")])] == [
        (0, 2),
        (2, 4),
    ]


def test_names_that_were_read_in_one_text_are_those_of_no_other() -> None:
    """As of what a browser shows of the text."""

    class Tagger:
        def find_many(self, texts: list[str]) -> list[list[Detection]]:
            return [[detection(0, len(text))] for text in texts]

    read = ReadNames(NameDetector(Tagger(), ["en"]), "Anna", [detection(0, 4)])
    assert (read.find("Anna", "en"), read.find("Anna B.", "en")) == ([detection(0, 4)], [detection(0, 7)])
