"""The pace of a group between two measurements."""

import pytest
from aiokafka import TopicPartition

from sprat.kafka.cluster import ConsumerGroup, GroupMember
from sprat.kafka.lag import GroupLag, PartitionLag, topics_read_by
from sprat_cli.traffic import format_drain_time, format_rate
from sprat_contracts import TASKS, Topics
from sprat_operations.group_lag import LagRow
from sprat_operations.lag import Pace, keeps_up, pace_between, stalled_members

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


OTHER = TopicPartition("sprat.texts.v1", 1)
ONE, TWO, NEITHER = GroupMember("a", "h", (TEXTS,)), GroupMember("b", "h", (OTHER,)), GroupMember("c", "h", ())


@pytest.mark.parametrize(
    ("members", "before", "after", "stalled"),
    [
        pytest.param((ONE,), [at(9, 2)], [at(9, 2)], (ONE,), id="it stands still"),
        pytest.param((ONE,), [at(9, 2)], [at(9, 3)], (), id="it goes on"),
        pytest.param((ONE,), [at(9, 9)], [at(12, 9)], (), id="they have only just come"),
        pytest.param((ONE,), [at(9, None)], [at(9, 9)], (), id="all done"),
        pytest.param((), [at(9, 2)], [at(9, 2)], (), id="nobody"),
        pytest.param(
            (ONE, TWO), [at(9, 2), at(9, 2, OTHER)], [at(9, 2), at(9, 5, OTHER)], (ONE,), id="one of two stands still"
        ),
        pytest.param((NEITHER,), [at(9, 2)], [at(9, 2)], (NEITHER,), id="nobody reads the partition"),
        pytest.param((NEITHER, TWO), [at(9, 2)], [at(9, 4)], (), id="it is handed over"),
    ],
)
def test_a_member_has_stalled_where_records_wait_for_it_and_it_commits_none(members, before, after, stalled):
    def group(partitions):
        return GroupLag(ConsumerGroup("ner.default", "Stable", members, {}), tuple(partitions))

    assert stalled_members(group(before), group(after)) == stalled


@pytest.mark.parametrize(
    ("name", "committed", "members", "said"),
    [
        ("ner.default", 0, (ONE,), "ner.default has committed nothing between the two measurements: look at its log"),
        ("ner.default", 1, (ONE,), "ner.default commits less than arrives: start more instances"),
        ("frontier", 0, (ONE,), "the frontier may well be at work"),
        ("ner.default", 9, (ONE,), None),
        ("ner.default", 0, (), None),
    ],
)
def test_a_group_that_does_not_keep_up_has_a_next_step(name, committed, members, said):
    measured = GroupLag(ConsumerGroup(name, "Stable", members, {}), (at(60, 0),))
    advice = LagRow(measured, Pace(3, committed, 60), whole=True).advice
    assert (advice or "").startswith(said) if said else advice is None


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
    assert topics_read_by("frontier", topics) == ("here.frontier.requests.v1", "here.reviews.v1")
    assert topics_read_by("guardian", topics) == ("here.reviews.v1",)
    assert len(topics_read_by("router", topics)) == 2 + len(TASKS)
    assert (
        topics_read_by("crm", topics) == topics_read_by("intent", topics) == topics_read_by("frontier.x", topics) == ()
    )
