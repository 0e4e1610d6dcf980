"""When the guardian watches: while the group has given it the one partition of the draws. Other instances stand by."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from sprat.base.errors import Rejected, Retryable, ends_task
from sprat.base.retry import retry_until
from sprat.context import ServiceContext
from sprat.kafka.clients import NO_ANSWER
from sprat.processing.handler import Emit, Outcome, Received
from sprat.processing.loop import count_retry
from sprat_contracts import Message, ReviewAsked
from sprat_guardian.watch import Watch

log = logging.getLogger(__name__)

ROUND_S: Final = 1.0
"""How long it waits between two rounds in which nothing was due."""
_LOOK_S: Final = 0.2


class Guardian:
    """Watches while its instance is the active one. The state is read from the logs each time.

    Args:
        context: of the service.
        make_watch: returns a watch that has read nothing yet.
        round_s: how long it waits between two rounds in which nothing was due.
    """

    def __init__(self, context: ServiceContext, make_watch: Callable[[], Watch], round_s: float = ROUND_S) -> None:
        self._context = context
        self._make_watch = make_watch
        self._round_s = round_s
        self._watching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Watch whenever this instance is the active one, until cancelled. An error ends the process."""
        try:
            while True:
                if self._is_active():
                    self._watching = asyncio.create_task(self._watch())
                    await asyncio.wait({self._watching})
                    if not self._watching.cancelled():
                        self._watching.result()
                await asyncio.sleep(_LOOK_S)
        except BaseException as error:  # the boundary: without its task, the process would only look alive
            if ends_task(error):
                raise
            self._context.admission.close(permanently=True)
            self._context.failure.report(error)
        finally:
            await self.release()

    async def release(self) -> None:
        """Stop to watch, after a drain: the next owner of the partition reads the logs."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    def _is_active(self) -> bool:
        return self._context.admission.is_open and self._context.is_assigned(self._context.topics.reviews, 0)

    async def _watch(self) -> None:
        watch = self._make_watch()
        give_up_s = self._context.settings.kafka.give_up_s
        try:
            log.info("this instance is the active one: it reads the logs")
            await self._admitted(watch.start)
            log.info("the logs are read")
            while self._is_active():
                written = await retry_until(
                    lambda: self._admitted(watch.round),
                    (Retryable, *NO_ANSWER),
                    give_up_s,
                    "the logs of reviews",
                    count_retry,
                )
                if not written:
                    await asyncio.sleep(self._round_s)
        except (Retryable, *NO_ANSWER) as error:
            count_retry(error)
            log.warning("the logs of reviews cannot be read: %s; trying again", type(error).__name__)
        finally:
            await watch.stop()

    async def _admitted(self, step: Callable[[], Any]) -> Any:
        """Take a step that a drain waits for; take none while no work is admitted."""
        if not self._context.admission.enter():
            return False
        try:
            return await step()
        finally:
            self._context.admission.leave()


class DrawHandler:
    """The group's part: draws that cannot be read become dead letters. All others are read from their log."""

    def message_type(self, topic: str) -> type[Message]:
        """Return the message of the draws."""
        return ReviewAsked

    def malformed(self, rejected: Rejected, topic: str) -> Outcome:
        """Reject what cannot be read: no other service does."""
        return Outcome(rejected=rejected)

    def receive(self, received: Received[Any]) -> Outcome:
        """Cause nothing."""
        return Outcome()

    def oversized(self, received: Received[Any], emit: Emit) -> Outcome:
        """Return what replaces an event that is too large; there is none."""
        raise AssertionError(f"{received.topic}: nothing is written to {emit.topic}")
