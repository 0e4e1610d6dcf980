"""How many calls a tenant may cause in a minute, counted over all replicas.

Redis counts for all of them. A replica counts its own as well, and the higher count holds: without Redis, and against
somebody who writes there, the limit is each replica's own. A quota limits load: an unavailable Redis declines nothing.
"""

from sprat_contracts import ReasonCode
from sprat_frontier.protocols import CallCounter, Clock, HashFunction, TenantPolicies
from sprat_frontier.waiting_cases import NotCalledError

_MINUTE_MS = 60_000
_KEPT_S = 120


class QuotaReachedError(NotCalledError):
    """The tenant's escalations of this minute are used up."""

    code = ReasonCode.QUOTA


class TenantQuota:
    """Counts the escalations that cause a call, by tenant and minute of the clock. Stored answers do not count."""

    def __init__(self, policies: TenantPolicies, counter: CallCounter | None, hash: HashFunction, clock: Clock) -> None:
        self._policies = policies
        self._counter = counter
        self._hash = hash
        self._clock = clock
        self._minute = 0
        self._counts: dict[str, int] = {}
        """Tenant → the most that was counted in this minute, here or in Redis."""

    async def spend(self, tenant: str) -> None:
        """Count one escalation of the tenant.

        Raises:
            QuotaReachedError: it would be one too many.
        """
        most = self._policies.tenant(tenant).max_escalations_per_min
        if most is None:
            return
        minute = self._clock.now_ms() // _MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        if self._counts.get(tenant, 0) < most:
            self._counts[tenant] = self._counts.get(tenant, 0) + 1
            counted = await self._count_all(tenant, minute)
            if minute == self._minute:
                self._counts[tenant] = max(self._counts[tenant], counted)
            if counted <= most:
                return
        raise QuotaReachedError(f"the tenant's {most} escalations of this minute are used up")

    async def _count_all(self, tenant: str, minute: int) -> int:
        """Return the count of all replicas, this escalation included; 0 where it cannot be told."""
        if self._counter is None:
            return 0
        return await self._counter.increment(self._hash("quota", tenant, str(minute)), _KEPT_S) or 0
