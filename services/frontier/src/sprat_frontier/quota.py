"""How many calls a section of the policy allows in a minute, counted over all replicas.

Tenants without a section of their own share the quota of `"*"`: who invents names gets no more calls by it.

Each replica counts its own and shares the count through Redis. Without Redis, and where somebody deletes counts there,
the limit is each replica's own; nobody else can make a count. A quota limits load: an unavailable Redis declines
nothing.
"""

from sprat_frontier.errors import QuotaReachedError
from sprat_frontier.protocols import CallCounter, Clock, HashFunction, TenantPolicies

_MINUTE_MS = 60_000
_KEPT_S = 120


class SectionQuota:
    """Counts the escalations that cause a call, by section and minute of the clock. Stored answers do not count."""

    def __init__(self, policies: TenantPolicies, counter: CallCounter | None, hash: HashFunction, clock: Clock) -> None:
        self._policies = policies
        self._counter = counter
        self._hash = hash
        self._clock = clock
        self._minute = 0
        self._own: dict[str, int] = {}
        """Section → what this replica has counted in this minute."""
        self._most_seen: dict[str, int] = {}
        """Section → the most that all replicas were seen to have counted in this minute."""

    def check(self, section: str) -> None:
        """Check, before a case waits for a call, that the section's escalations are not known to be used up.

        Raises:
            QuotaReachedError: they are.
        """
        most = self._policies.tenant(section).max_escalations_per_min
        if most is not None:
            self._begin_minute()
            if self._most_seen.get(section, 0) >= most:
                raise _reached(most)

    async def spend(self, section: str) -> None:
        """Count one escalation of a section.

        Raises:
            QuotaReachedError: it would be one too many.
        """
        most = self._policies.tenant(section).max_escalations_per_min
        if most is None:
            return
        minute = self._begin_minute()
        if self._most_seen.get(section, 0) < most:
            own = self._own[section] = self._own.get(section, 0) + 1
            counted = own + await self._count_others(section, minute, own)
            if minute == self._minute:
                self._most_seen[section] = max(counted, self._most_seen.get(section, 0))
            if counted <= most:
                return
        raise _reached(most)

    def _begin_minute(self) -> int:
        """Return the minute of the clock; forget the counts of another one."""
        minute = self._clock.now_ms() // _MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._own.clear()
            self._most_seen.clear()
        return minute

    async def _count_others(self, section: str, minute: int, own: int) -> int:
        """Return the count of all other replicas; 0 where it cannot be told."""
        if self._counter is None:
            return 0
        return await self._counter.share_count(self._hash("quota", section, str(minute)), own, _KEPT_S) or 0


def _reached(most: int) -> QuotaReachedError:
    return QuotaReachedError(f"the {most} escalations a minute of this tenant's section of the policy are used up")
