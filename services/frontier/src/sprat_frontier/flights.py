"""Equal questions in flight are asked once: the first asks, the others wait for its answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sprat.errors import SpratError
from sprat_frontier.gateway import DeadlinePassedError, Progress
from sprat_frontier.ports import ProviderError
from sprat_frontier.stored import StoredAnswer

log = logging.getLogger(__name__)


class Flight:
    """A question on its way. Nobody who waits for it owns it: it goes on when they all have left."""

    def __init__(self, asked_by: str) -> None:
        self.asked_by = asked_by
        """Id of the answer's event of the case that it is made for: who pays."""
        self.progress = Progress()
        self.task: asyncio.Task[StoredAnswer] | None = None


Start = Callable[[Flight], Awaitable[StoredAnswer]]


class Flights:
    """The questions in flight, by the key of their answer."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def join(self, key: str, asked_by: str, start: Start) -> tuple[Flight, "asyncio.Task[StoredAnswer]"]:
        """Give the flight with this key; start one where there is none."""
        flight = self._flights.get(key)
        if flight is not None and flight.task is not None:
            return flight, flight.task
        flight = Flight(asked_by)
        flight.task = asyncio.create_task(self._fly(key, flight, start), name="frontier-flight")
        flight.task.add_done_callback(_told)
        self._flights[key] = flight
        return flight, flight.task

    async def drain(self, timeout_s: float) -> None:
        """Wait for those in flight; cancel what is not back in time."""
        tasks = {flight.task for flight in self._flights.values() if flight.task is not None}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=timeout_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _fly(self, key: str, flight: Flight, start: Start) -> StoredAnswer:
        try:
            return await start(flight)
        finally:
            del self._flights[key]


def _told(task: "asyncio.Task[StoredAnswer]") -> None:
    """Look at the error, so that one whose waiters have all left is not reported as forgotten."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, DeadlinePassedError | ProviderError | SpratError):
        log.error("a call to the provider broke: %s", type(error).__name__)
