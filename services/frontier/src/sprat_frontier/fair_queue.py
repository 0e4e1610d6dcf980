"""Turns between tenants: who waits for a scarce thing gets it by section of the policy, however many cases wait there.

A section is what whoever writes texts cannot invent: each tenant that the policy names has one, all others share one.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)


class Sender(NamedTuple):
    """Whose a case is."""

    section: str
    """Name of the policy's section that the tenant is in: its own, or `"*"`."""
    tenant: str


class FairQueue(Generic[T]):
    """A queue in which the section that has received least is next; within a section, its tenants take turns.

    What an item costs counts towards its section: with equal costs, the sections take turns. A section that was away
    has no credit for that time. Of a tenant that has nothing waiting, nothing is kept: its name may be invented. Not
    thread-safe.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, dict[T, float]]] = {}
        """Section → tenant, the next one first → items, in the order in which they came → cost."""
        self._received: dict[str, float] = {}
        """By section."""
        self._now = 0.0
        """What the section that was next last had received."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def push(self, sender: Sender, item: T, cost: float = 1.0) -> None:
        """Add an item."""
        section, tenant = sender
        self._received[section] = max(self._now, self._received.get(section, 0.0))
        self._waiting.setdefault(section, {}).setdefault(tenant, {})[item] = cost

    def pop(self) -> T:
        """Remove and return the next item; there must be one."""
        section = min(self._waiting, key=self._received.__getitem__)
        tenants = self._waiting[section]
        tenant = next(iter(tenants))
        items = tenants[tenant] = tenants.pop(tenant)  # the others of the section are next
        item, cost = next(iter(items.items()))
        self._now = self._received[section]
        self._received[section] += cost
        self.discard(Sender(section, tenant), item)
        return item

    def discard(self, sender: Sender, item: T) -> None:
        """Remove an item that waits no longer; none where it is not there."""
        section, tenant = sender
        tenants = self._waiting.get(section, {})
        items = tenants.get(tenant, {})
        if items.pop(item, None) is not None and not items:
            del tenants[tenant]
            if not tenants:
                del self._waiting[section]


class FairSlots:
    """A semaphore whose slots go to the senders in turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()

    async def acquire(self, sender: Sender) -> None:
        """Wait for a slot, and take it."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.push(sender, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was its turn in the same moment
                self.release()
            raise
        finally:
            self._queue.discard(sender, turn)

    def release(self) -> None:
        """Return a slot: to the sender that is next, if one waits."""
        while self._queue:
            turn = self._queue.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
