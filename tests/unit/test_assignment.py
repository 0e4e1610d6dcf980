"""Partitions that come and go: the gate and the drain before the next owner starts."""

import asyncio

import pytest

from sprat.kafka.rebalance import Assignment
from sprat.lifecycle import AdmissionControl, Failure
from sprat.retry import Deadline


@pytest.fixture
def gate() -> AdmissionControl:
    return AdmissionControl()


async def test_a_revoke_closes_the_gate_and_waits_for_the_work_in_hand_before_it_releases(
    gate: AdmissionControl,
) -> None:
    in_hand: list[int] = []

    async def release() -> None:
        in_hand.append(gate.in_hand)

    assignment = Assignment(gate, Failure(), 10, release)
    await assignment.on_partitions_assigned(set())
    assert assignment.assigned
    assert gate.enter()
    revoking = asyncio.create_task(assignment.on_partitions_revoked(set()))
    await asyncio.sleep(0)
    assert not gate.enter()
    assert not assignment.assigned
    assert not revoking.done()
    assert in_hand == []
    gate.leave()
    await revoking
    assert in_hand == [0]


async def test_a_drain_ends_after_its_time_and_what_is_left_is_released(gate: AdmissionControl) -> None:
    released = asyncio.Event()

    async def release() -> None:
        released.set()

    gate.enter()
    await Assignment(gate, Failure(), 0, release).on_partitions_revoked(set())
    assert released.is_set()


async def test_an_error_of_the_release_is_reported_for_aiokafka_would_hide_it(gate: AdmissionControl) -> None:
    error = ValueError("broken")

    async def release() -> None:
        raise error

    failure = Failure()
    await Assignment(gate, failure, 0, release).on_partitions_revoked(set())
    assert failure.error is error


async def test_an_assignment_opens_the_gate_again_unless_it_is_closed_for_good(gate: AdmissionControl) -> None:
    assignment = Assignment(gate, Failure(), 0)
    await assignment.on_partitions_revoked(set())
    assert not gate.is_open
    await assignment.on_partitions_assigned(set())
    assert gate.enter()
    gate.leave()
    gate.close(for_good=True)
    await assignment.on_partitions_revoked(set())
    await assignment.on_partitions_assigned(set())
    assert not gate.enter()


async def test_a_gate_closed_for_good_stays_so_when_it_is_closed_for_a_while(gate: AdmissionControl) -> None:
    gate.close(for_good=True)
    gate.close()
    gate.open()
    assert not gate.is_open


async def test_a_gate_is_drained_when_the_last_piece_of_work_has_left(gate: AdmissionControl) -> None:
    assert await gate.drained(Deadline(0.01))
    gate.enter()
    gate.enter()
    gate.leave()
    assert not await gate.drained(Deadline(0))
    gate.leave()
    assert await gate.drained(Deadline(0.01))


async def test_of_failures_the_first_counts() -> None:
    failure = Failure()
    failure.report(ValueError("first"))
    failure.report(ValueError("second"))
    assert str(await failure.wait()) == "first"
