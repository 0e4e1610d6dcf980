"""How much one key may use at a time and in a minute, so that no key takes the door from the others."""

import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sprat_gateway.http.problems import Problem

_HELD: Final = "sprat.held"


@dataclass(slots=True)
class _Use:
    """What a key uses now."""

    tokens: float
    filled_at: float
    requests: int = 0
    streams: int = 0


@dataclass(slots=True)
class RequestHold:
    """What one request holds of its key's limits; it stands in the request's scope until its end."""

    caller: object = None
    """Who it comes from, once that is known."""
    key_id: str | None = None
    streams: int = 0


@dataclass(slots=True)
class KeyLimits:
    """The limits of each key.

    Args:
        a_minute: requests a minute; a key that was idle may send as many at once.
        at_a_time: requests that are open at a time.
        streams: streams of events that are open at a time.
        clock: in seconds, monotonic.
    """

    a_minute: int
    at_a_time: int
    streams: int = 8
    clock: Callable[[], float] = time.monotonic
    _uses: defaultdict[str, _Use] = field(init=False)

    def __post_init__(self) -> None:
        self._uses = defaultdict(lambda: _Use(float(self.a_minute), self.clock()))

    def enter(self, held: RequestHold, key_id: str) -> None:
        """Count a request of a key, until `leave`.

        Raises:
            Problem: 429, it sends too many, or has too many open.
        """
        use = self._uses[key_id]
        if use.requests >= self.at_a_time:
            detail = f"this key has {use.requests} open requests: wait for one to end, or use fewer connections"
            raise Problem(429, "too_many_connections", detail, headers={"Retry-After": "1"})
        self.spend(key_id)
        use.requests += 1
        held.key_id = key_id

    def spend(self, key_id: str, count: int = 1) -> None:
        """Count further requests of a key, such as lines of one body, against those of its minute.

        Raises:
            Problem: 429, there are too many.
        """
        use, now, rate_s = self._uses[key_id], self.clock(), self.a_minute / 60
        use.tokens = min(float(self.a_minute), use.tokens + (now - use.filled_at) * rate_s)
        use.filled_at = now
        if use.tokens < count:
            after_s = max(1, math.ceil((count - use.tokens) / rate_s))
            detail = f"this key may send {self.a_minute} requests a minute: try again in {after_s} s"
            raise Problem(429, "too_many_requests", detail, headers={"Retry-After": str(after_s)})
        use.tokens -= count

    def enter_stream(self, held: RequestHold) -> None:
        """Count a stream of events of a request that has entered, until `leave`.

        Raises:
            Problem: 429, its key has as many as it may have.
        """
        use = self._uses[held.key_id or ""]
        if use.streams >= self.streams:
            detail = f"this key has {use.streams} open streams of events: close one, or ask with GET"
            raise Problem(429, "too_many_streams", detail, headers={"Retry-After": "5"})
        use.streams += 1
        held.streams += 1

    def leave(self, held: RequestHold) -> None:
        """Release what a request holds."""
        if held.key_id is not None:
            use = self._uses[held.key_id]
            use.requests -= 1
            use.streams -= held.streams
            held.key_id, held.streams = None, 0


def held_of(scope: dict[str, object]) -> RequestHold:
    """Return what a request holds; nothing yet, where it is asked first."""
    held = scope.setdefault(_HELD, RequestHold())
    if not isinstance(held, RequestHold):
        raise TypeError(_HELD)
    return held
