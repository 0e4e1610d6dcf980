"""Single flight: equal questions share one provider call; the first starts it, the others wait for its answer."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sprat.base.errors import SpratError
from sprat_frontier.answer_store import PaidAnswer
from sprat_frontier.errors import NoAnswerError

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class SharedCall:
    """A call that several escalations may wait for. Once begun, it continues when none of them waits any longer."""

    asked_by: str
    """Answer id of the escalation that started it, and that pays for it."""
    begun: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Done as soon as something of the text may have been sent."""
    waiters: int = 0
    call_id: str | None = None
    """The last call to the provider in the audit; None while nothing has left."""
    task: "asyncio.Task[PaidAnswer]" = field(init=False)

    @property
    def is_sent(self) -> bool:
        """Whether anything of the text may have been sent."""
        return self.begun.done()

    def begin(self, call_id: str | None) -> None:
        """Note that the text is sent now, by a call of the audit; None: to a host inside the house."""
        self.call_id = call_id
        if not self.begun.done():
            self.begun.set_result(None)


class SingleFlight:
    """The shared calls under way, by the key of their answer."""

    def __init__(self) -> None:
        self._calls: dict[str, SharedCall] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def get(self, key: str) -> SharedCall | None:
        """Return the call under way for this key, or None."""
        return self._calls.get(key)

    def start(self, key: str, call: SharedCall, work: Coroutine[Any, Any, PaidAnswer]) -> None:
        """Run the work of a call as a task of its own, so that no waiter's cancellation ends it."""

        def finish(task: "asyncio.Task[PaidAnswer]") -> None:
            # Registered before any waiter's callback: whoever asks again after this call finds the key free.
            self._remove(key, call)
            _log_defect(task)

        self._calls[key] = call
        call.task = asyncio.create_task(work, name="frontier-call")
        call.task.add_done_callback(finish)

    @contextmanager
    def wait_for(self, key: str, call: SharedCall) -> Iterator[None]:
        """Count a waiter inside the block. A call that nobody waits for before it has begun is not made."""
        call.waiters += 1
        try:
            yield
        finally:
            call.waiters -= 1
            if not (call.waiters or call.is_sent or call.task.done()):
                self._remove(key, call)  # at once: whoever asks now starts another call
                call.task.cancel()

    def _remove(self, key: str, call: SharedCall) -> None:
        if self._calls.get(key) is call:
            del self._calls[key]

    async def drain(self, timeout_s: float) -> None:
        """Wait for the calls under way; cancel those that take longer."""
        tasks = {call.task for call in self._calls.values()}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=timeout_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


def _log_defect(task: "asyncio.Task[PaidAnswer]") -> None:
    """Retrieve the error, which asyncio reports otherwise when no waiter is left; log it only where it is a defect."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, NoAnswerError | SpratError):
        log.error("a call to the provider failed unexpectedly: %s", type(error).__name__)
