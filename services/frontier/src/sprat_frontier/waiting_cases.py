"""How many cases may wait, and whose gives way when there are more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sprat_contracts import ReasonCode
from sprat_frontier.escalation import Escalation

_PER_CASE: Final = 2_000
"""Code points; the longest texts count as eleven cases."""


class NotCalledError(Exception):
    """No call is made for a case. The message says why, and holds nothing of the text."""

    code: ReasonCode


class DeadlinePassedError(NotCalledError):
    """No call could be made in time. The message names what it waited for."""

    code = ReasonCode.DEADLINE


class AnswerTooLateError(DeadlinePassedError):
    """A call was made or prepared, and has not ended by the deadline of who waits for it."""

    def __init__(self) -> None:
        super().__init__("the answer did not come in time")


class OverloadError(NotCalledError):
    """Too many cases wait, and most of them are of this tenant."""

    code = ReasonCode.OVERLOAD

    def __init__(self) -> None:
        super().__init__("too many cases wait, most of them of this tenant")


@dataclass(slots=True, eq=False)
class _Waiter:
    came_s: float
    size: int
    limit: asyncio.Timeout
    gives_way: bool = False


class WaitingCases:
    """The cases that wait for masking or for a call.

    Reading never stops for them: beyond `most`, the tenant that has the most waiting loses its newest case, so a
    tenant's flood costs nobody else a case. Its oldest cases stay, because they are next. A long text counts as several
    cases: together they bound the memory.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._by_tenant: dict[str, set[_Waiter]] = {}
        self._sizes: dict[str, int] = {}
        """Tenant → the sizes of its cases, added up."""

    @asynccontextmanager
    async def waiting(self, escalation: Escalation, wait_s: float, late: DeadlinePassedError) -> AsyncIterator[None]:
        """Bound what a case waits for inside the block.

        Raises:
            DeadlinePassedError: `wait_s` have passed; it is `late`, which says what did not come in time.
            OverloadError: it had to give way.
        """
        case: _Waiter | None = None
        tenant = escalation.question.tenant
        try:
            async with asyncio.timeout(wait_s) as limit:
                text = escalation.request.prediction.submitted.text
                case = _Waiter(escalation.started_s, min(1 + len(text) // _PER_CASE, self._most), limit)
                self._enter(tenant, case)
                try:
                    yield
                finally:
                    self._leave(tenant, case)
        except TimeoutError:
            if case is not None and case.gives_way:
                raise OverloadError from None
            raise late from None

    def _enter(self, tenant: str, case: _Waiter) -> None:
        self._by_tenant.setdefault(tenant, set()).add(case)
        self._sizes[tenant] = self._sizes.get(tenant, 0) + case.size
        self._size += case.size
        while self._size > self._most:
            # Of several tenants with the most, the one that came last: who has waited longer stays.
            most = max(reversed(self._by_tenant), key=self._sizes.__getitem__)
            newest = max(self._by_tenant[most], key=lambda each: each.came_s)
            newest.gives_way = True
            self._leave(most, newest)
            newest.limit.reschedule(asyncio.get_running_loop().time())

    def _leave(self, tenant: str, case: _Waiter) -> None:
        cases = self._by_tenant.get(tenant, set())
        if case in cases:
            cases.remove(case)
            self._size -= case.size
            self._sizes[tenant] -= case.size
            if not cases:
                del self._by_tenant[tenant], self._sizes[tenant]
