"""Commits past transaction markers: only where everything that the polls returned is committed."""

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from sprat.base.lifecycle import AdmissionControl
from sprat.kafka.offsets import TrailingOffsets

ONE, TWO = TopicPartition("texts", 0), TopicPartition("texts", 1)


class Consumer:
    """Returns what a test puts into `batches`; a poll moves the positions to `after`."""

    def __init__(self):
        self.positions = {ONE: 0, TWO: 0}
        self.batches = {}
        self.after = {}
        self.commits = []

    def assignment(self):
        return set(self.positions)

    async def position(self, partition):
        if self.positions[partition] is None:
            raise IllegalStateError("not assigned any more")
        return self.positions[partition]

    async def getmany(self, *_, **__):
        batches, self.batches = self.batches, {}
        self.positions |= self.after
        return batches

    async def commit(self, offsets):
        self.commits.append(dict(offsets))


@pytest.fixture
def parts():
    consumer, admission = Consumer(), AdmissionControl()
    trailing = TrailingOffsets(admission, every_s=0)
    trailing.follow(consumer)
    return SimpleNamespace(consumer=consumer, admission=admission, trailing=trailing)


async def poll(consumer, *, returns=None, position):
    """Poll once: records at these offsets of partition ONE, and the position behind what was skipped."""
    consumer.batches = {ONE: [SimpleNamespace(offset=offset) for offset in returns or ()]}
    consumer.after = {ONE: position}
    await consumer.getmany()


async def test_behind_committed_records_the_position_past_a_marker_is_committed(parts):
    await poll(parts.consumer, returns=[4, 5], position=7)
    await parts.consumer.commit({ONE: 6})
    await poll(parts.consumer, position=7)
    assert parts.consumer.commits == [{ONE: 6}, {ONE: 7}]


async def test_a_partition_that_returned_only_aborted_records_is_committed_as_well(parts):
    await poll(parts.consumer, position=9)
    await poll(parts.consumer, position=9)
    assert parts.consumer.commits == [{ONE: 9}]


async def test_nothing_is_committed_past_records_that_are_not_committed(parts):
    await poll(parts.consumer, returns=[4, 5], position=7)
    await poll(parts.consumer, position=7)
    await parts.consumer.commit({ONE: 5})  # of two records in progress, the first is finished
    await poll(parts.consumer, position=7)
    assert parts.consumer.commits == [{ONE: 5}]


async def test_one_partition_with_records_in_progress_does_not_hold_up_another(parts):
    await poll(parts.consumer, returns=[4], position=5)
    parts.consumer.positions[TWO] = 3
    await poll(parts.consumer, position=5)
    assert parts.consumer.commits == [{TWO: 3}]


async def test_a_closed_admission_commits_nothing(parts):
    await poll(parts.consumer, position=9)
    parts.admission.close()
    await poll(parts.consumer, position=9)
    assert parts.consumer.commits == []


async def test_a_commit_counts_as_work_in_progress_so_that_a_revoke_waits_for_it(parts):
    in_progress = []
    commit = parts.consumer.commit

    async def observed(offsets):
        in_progress.append(parts.admission.in_progress)
        await commit(offsets)

    parts.consumer.commit = observed
    await poll(parts.consumer, position=9)
    await poll(parts.consumer, position=9)
    assert in_progress == [1]
    assert not parts.admission.in_progress


async def test_an_assignment_forgets_what_was_committed_before_it(parts):
    await parts.consumer.commit({ONE: 6})
    parts.trailing.forget()
    await poll(parts.consumer, returns=[2], position=9)  # another member had committed less
    await poll(parts.consumer, position=9)
    assert parts.consumer.commits == [{ONE: 6}]


async def test_a_partition_that_is_going_commits_nothing_and_the_poll_goes_on(parts):
    parts.consumer.positions[ONE] = None
    await parts.consumer.getmany()
    assert parts.consumer.commits == []
