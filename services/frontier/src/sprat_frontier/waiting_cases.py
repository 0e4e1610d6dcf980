"""How many cases may wait, and whose gives way when there are more."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sprat_frontier.errors import DeadlinePassedError, OverloadError
from sprat_frontier.escalation import Escalation
from sprat_frontier.fair_queue import Sender

_PER_CASE: Final = 2_000
"""Code points; the longest texts count as eleven cases."""


@dataclass(slots=True, eq=False)
class _Waiter:
    came_s: float
    size: int
    limit: asyncio.Timeout
    gives_way: bool = False


def _came_s(case: _Waiter) -> float:
    return case.came_s


class WaitingCases:
    """The cases that wait for masking or for a call.

    Reading never stops for them: beyond `most`, the section of the policy that has the most waiting loses a case, the
    newest one of its tenant with the most. So a flood costs no other section a case, under however many names it comes.
    The oldest cases stay, because they are next. A long text counts as several cases: together they bound the memory.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._by_section: dict[str, int] = {}
        """Section → the sizes of its cases, added up."""
        self._by_sender: dict[Sender, int] = {}
        """Likewise."""
        self._cases: dict[Sender, list[_Waiter]] = {}
        """Likewise, the newest last."""

    @asynccontextmanager
    async def waiting(self, escalation: Escalation, wait_s: float, late: DeadlinePassedError) -> AsyncIterator[None]:
        """Bound what a case waits for inside the block.

        Raises:
            DeadlinePassedError: `wait_s` have passed; it is `late`, which says what did not come in time.
            OverloadError: it had to give way.
        """
        case: _Waiter | None = None
        try:
            async with asyncio.timeout(wait_s) as limit:
                text = escalation.request.prediction.submitted.text
                case = _Waiter(escalation.started_s, min(1 + len(text) // _PER_CASE, self._most), limit)
                self._enter(escalation.sender, case)
                try:
                    yield
                finally:
                    self._leave(escalation.sender, case)
        except TimeoutError:
            if case is not None and case.gives_way:
                raise OverloadError from None
            raise late from None

    def _enter(self, sender: Sender, case: _Waiter) -> None:
        insort(self._cases.setdefault(sender, []), case, key=_came_s)
        self._by_sender[sender] = self._by_sender.get(sender, 0) + case.size
        self._by_section[sender.section] = self._by_section.get(sender.section, 0) + case.size
        self._size += case.size
        while self._size > self._most:
            # Of several with the most, the one that came last: who has waited longer stays.
            section = max(reversed(self._by_section), key=self._by_section.__getitem__)
            senders = (each for each in reversed(self._by_sender) if each.section == section)
            most = max(senders, key=self._by_sender.__getitem__)
            newest = self._cases[most][-1]
            self._leave(most, newest)
            newest.gives_way = True
            newest.limit.reschedule(asyncio.get_running_loop().time())

    def _leave(self, sender: Sender, case: _Waiter) -> None:
        if case.gives_way:  # it has left already
            return
        cases = self._cases[sender]
        del cases[cases.index(case, bisect_left(cases, case.came_s, key=_came_s))]
        self._size -= case.size
        self._by_sender[sender] -= case.size
        self._by_section[sender.section] -= case.size
        if not cases:
            del self._cases[sender], self._by_sender[sender]
        if not self._by_section[sender.section]:
            del self._by_section[sender.section]
