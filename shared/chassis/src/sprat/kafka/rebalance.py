"""What happens when partitions come and go: on revoke, stop admitting, drain, let go; on assignment, admit again."""

import logging
from collections.abc import Awaitable, Callable

from aiokafka import ConsumerRebalanceListener, TopicPartition

from sprat.lifecycle import AdmissionControl, Failure
from sprat.retry import Deadline

log = logging.getLogger(__name__)


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Holds a rebalance up until the work in hand is committed, so that the next owner starts after it.

    Every rebalance of aiokafka is eager: all partitions are revoked, and positions are reset to the committed offsets.
    """

    def __init__(
        self,
        gate: AdmissionControl,
        failure: Failure,
        drain_s: float,
        let_go: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._gate = gate
        self._failure = failure
        self._drain_s = drain_s
        self._let_go = let_go
        self.started: Callable[[], None] = lambda: None
        """Called when an assignment begins, before work is admitted."""
        self.assigned = False
        """Does the group know what is ours? A member without partitions is a stand-by, and assigned, too."""

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Close the gate and wait for what is in hand, at most `drain_s`; what is left comes again elsewhere."""
        self._gate.close()
        self.assigned = False
        if not await self._gate.drained(Deadline(self._drain_s)):
            log.warning("not drained within %.0f s; what is in hand comes again", self._drain_s)
        if self._let_go is not None:
            try:
                await self._let_go()
            except Exception as error:  # noqa: BLE001 - aiokafka would swallow it
                self._failure.report(error)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Admit work again."""
        self.assigned = True
        self.started()
        self._gate.open()
