"""What happens when partitions come and go: drain and release on a revoke, admit work again on an assignment."""

import logging
import time
from collections.abc import Awaitable, Callable

from aiokafka import ConsumerRebalanceListener, TopicPartition

from sprat.base.errors import ends_task
from sprat.base.lifecycle import AdmissionControl, Failure
from sprat.base.retry import Deadline
from sprat.telemetry import signals

log = logging.getLogger(__name__)


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Delays a rebalance until the work in progress is committed, so that the next owner starts after it.

    aiokafka's rebalances are eager: all partitions are revoked, and positions are reset to the committed offsets.
    """

    def __init__(
        self,
        admission: AdmissionControl,
        failure: Failure,
        drain_s: float,
        release: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._admission = admission
        self._failure = failure
        self._drain_s = drain_s
        self._release = release
        self.started: Callable[[], None] = lambda: None
        """Called when an assignment begins, before work is admitted."""
        self._revoked_s: float | None = None
        self.assigned = False
        """Whether the group has assigned partitions to this member; also true for a standby, which gets none."""

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Admit no more work, wait up to `drain_s` for the work in progress, and release the rest."""
        self._admission.close()
        self._revoked_s = time.monotonic() if revoked else None  # to join a group pauses nothing
        self.assigned = False
        if not await self._admission.drained(Deadline(self._drain_s)):
            log.warning("not drained within %.0f s; unfinished records are read again", self._drain_s)
        if self._release is not None:
            try:
                await self._release()
            except BaseException as error:  # aiokafka would swallow it
                if ends_task(error):
                    raise
                self._failure.report(error)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Admit work again."""
        self.assigned = True
        signals.REBALANCES.add(1)
        what = "joined"
        if self._revoked_s is not None:
            seconds, self._revoked_s = time.monotonic() - self._revoked_s, None
            signals.REBALANCE_SECONDS.record(seconds)
            what = f"rebalanced in {seconds:.2f} s"
        count = len(assigned)
        log.info("%s: this member has %d partition%s", what, count, "" if count == 1 else "s")
        self.started()
        self._admission.open()
