"""Turns between tenants: who waits for a scarce thing gets it by tenant, however many cases one of them has."""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class FairQueue(Generic[T]):
    """A queue in which the tenant that has received least is next; within a tenant, the one that came first.

    What an item costs counts towards its tenant: with equal costs, the tenants take turns. A tenant that was away has
    no credit for that time. Not thread-safe.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[T, float]] = {}
        """Tenant → items, in the order in which they came → cost."""
        self._received: dict[str, float] = {}
        """Of those who wait, and of those who have received more than who is next."""
        self._now = 0.0
        """What the tenant that was next last had received."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def push(self, tenant: str, item: T, cost: float = 1.0) -> None:
        """Add an item."""
        self._received[tenant] = max(self._now, self._received.get(tenant, 0.0))
        self._waiting.setdefault(tenant, {})[item] = cost

    def pop(self) -> T:
        """Remove and return the next item; there must be one."""
        tenant = min(self._waiting, key=self._received.__getitem__)
        item = next(iter(self._waiting[tenant]))
        self._now = self._received[tenant]
        self._received[tenant] += self._waiting[tenant][item]
        self.discard(tenant, item)
        return item

    def discard(self, tenant: str, item: T) -> None:
        """Remove an item that waits no longer; none where it is not there."""
        items = self._waiting.get(tenant, {})
        if items.pop(item, None) is not None and not items:
            del self._waiting[tenant]
            self._received = {
                name: received
                for name, received in self._received.items()
                if name in self._waiting or received > self._now
            }


class FairSlots:
    """A semaphore whose slots go to the tenants in turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()

    async def acquire(self, tenant: str) -> None:
        """Wait for a slot, and take it."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.push(tenant, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was its turn in the same moment
                self.release()
            raise
        finally:
            self._queue.discard(tenant, turn)

    def release(self) -> None:
        """Return a slot: to the tenant that is next, if one waits."""
        while self._queue:
            turn = self._queue.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
