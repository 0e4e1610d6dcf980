"""Partitions that come and go: the admission and the drain before the next owner starts."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.base.retry import Deadline
from sprat.kafka.rebalance import Assignment
from support.panics import PanicException


@pytest.fixture
def admission() -> AdmissionControl:
    return AdmissionControl()


async def test_a_revoke_closes_the_gate_and_waits_for_the_work_in_hand_before_it_releases(
    admission: AdmissionControl,
) -> None:
    in_progress: list[int] = []

    async def release() -> None:
        in_progress.append(admission.in_progress)

    assignment = Assignment(admission, Failure(), 10, release)
    await assignment.on_partitions_assigned(set())
    assert assignment.assigned
    assert admission.enter()
    revoking = asyncio.create_task(assignment.on_partitions_revoked(set()))
    await asyncio.sleep(0)
    assert not admission.enter()
    assert not assignment.assigned
    assert not revoking.done()
    assert in_progress == []
    admission.leave()
    await revoking
    assert in_progress == [0]


async def test_a_rebalance_leaves_a_line_and_its_seconds_and_a_join_the_line_alone(
    admission: AdmissionControl, metrics: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="sprat.kafka.rebalance")
    assignment, partition = Assignment(admission, Failure(), 10), TopicPartition("t", 0)
    await assignment.on_partitions_revoked(set())
    await assignment.on_partitions_assigned({partition})
    assert metrics.count("sprat.rebalance.duration") == 0
    await assignment.on_partitions_revoked({partition})
    await assignment.on_partitions_assigned({partition, TopicPartition("t", 1)})
    assert metrics.count("sprat.rebalance.duration") == 1
    joined, rebalanced = caplog.messages
    assert joined == "joined: this member has 1 partition"
    assert rebalanced.startswith("rebalanced in ")
    assert rebalanced.endswith(" s: this member has 2 partitions")


async def test_a_drain_ends_after_its_time_and_what_is_left_is_released(admission: AdmissionControl) -> None:
    released = asyncio.Event()

    async def release() -> None:
        released.set()

    admission.enter()
    await Assignment(admission, Failure(), 0, release).on_partitions_revoked(set())
    assert released.is_set()


@pytest.mark.parametrize("error", [ValueError(), PanicException(), asyncio.CancelledError()])
async def test_an_error_of_the_release_is_reported_for_aiokafka_would_hide_it(
    admission: AdmissionControl, error: BaseException
) -> None:

    async def release() -> None:
        raise error

    failure = Failure()
    await Assignment(admission, failure, 0, release).on_partitions_revoked(set())
    assert failure.error is error


async def test_an_assignment_opens_the_gate_again_unless_it_is_closed_for_good(admission: AdmissionControl) -> None:
    assignment = Assignment(admission, Failure(), 0)
    await assignment.on_partitions_revoked(set())
    assert not admission.is_open
    await assignment.on_partitions_assigned(set())
    assert admission.enter()
    admission.leave()
    admission.close(permanently=True)
    await assignment.on_partitions_revoked(set())
    await assignment.on_partitions_assigned(set())
    assert not admission.enter()


async def test_a_gate_closed_for_good_stays_so_when_it_is_closed_for_a_while(admission: AdmissionControl) -> None:
    admission.close(permanently=True)
    admission.close()
    admission.open()
    assert not admission.is_open


async def test_a_gate_is_drained_when_the_last_piece_of_work_has_left(admission: AdmissionControl) -> None:
    assert await admission.drained(Deadline(0.01))
    admission.enter()
    admission.enter()
    admission.leave()
    assert not await admission.drained(Deadline(0))
    admission.leave()
    assert await admission.drained(Deadline(0.01))


async def test_of_failures_the_first_counts() -> None:
    failure = Failure()
    failure.report(ValueError("first"))
    failure.report(ValueError("second"))
    assert str(await failure.wait()) == "first"
