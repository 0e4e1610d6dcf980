"""The pace of a group between two measurements."""

import pytest
from aiokafka import TopicPartition

from sprat.kafka.lag import PartitionLag, topics_read_by
from sprat_cli.traffic import format_drain_time, format_rate, keeps_up
from sprat_contracts import Topics
from sprat_operations.lag import Pace, pace_between

TEXTS = TopicPartition("sprat.texts.v1", 0)


def at(end, committed, partition=TEXTS):
    return PartitionLag(partition, end, committed, 0 if committed is None else committed)


def test_the_pace_is_what_came_and_went_a_second():
    measured = pace_between([at(100, 60)], [at(120, 100)], 2.0)
    assert measured == Pace(arriving=10.0, committed=20.0, lag=20)
    assert measured.drained_in_s == 2.0


def test_a_group_without_an_offset_has_all_of_the_partition_before_it():
    assert at(7, None).lag == 7
    assert at(7, 9).lag == 0


def test_a_partition_that_is_new_in_the_second_measurement_counts_as_standing_still():
    assert pace_between([], [at(50, 40)], 2.0) == Pace(0.0, 0.0, 10)


@pytest.mark.parametrize(
    ("measured", "members", "said", "fine"),
    [
        (Pace(3, 3, 0), 0, "", True),
        (Pace(0, 10, 50), 1, "5 s", True),
        (Pace(0, 10, 50), 0, "never", False),
        (Pace(10, 10, 40), 1, "steady", True),
        (Pace(10, 10, 400), 1, "never", False),
        (Pace(20, 10, 400), 1, "never", False),
        (Pace(0, 0, 1), 1, "never", False),
        (Pace(0, 1, 600), 1, "10 min", True),
        (Pace(0, 1, 36_000), 1, "10.0 h", True),
    ],
)
def test_whether_it_keeps_up_and_when_nothing_is_left(measured, members, said, fine):
    assert (format_drain_time(measured, members), keeps_up(measured, members)) == (said, fine)


def test_rates_are_short():
    assert [format_rate(value) for value in (0, 0.25, 9.96, 10, 12_345.6)] == [
        "0/s",
        "0.2/s",
        "10.0/s",
        "10/s",
        "12,346/s",
    ]


def test_what_a_service_reads_is_known_by_its_groups_name():
    topics = Topics("here")
    assert topics_read_by("intent.default", topics) == topics_read_by("ner.mine", topics) == ("here.texts.v1",)
    assert topics_read_by("frontier", topics) == ("here.frontier.requests.v1",)
    assert len(topics_read_by("router", topics)) == 5
    assert (
        topics_read_by("crm", topics) == topics_read_by("intent", topics) == topics_read_by("frontier.x", topics) == ()
    )
