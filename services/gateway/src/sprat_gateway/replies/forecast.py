"""Whether an answer will come in time: by the lag of the groups that a text needs, over the rate at which they work."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from sprat.base.channels import ROUTER
from sprat.base.retry import OnceAMinute
from sprat.kafka.clients import NO_ANSWER
from sprat.kafka.lag import LagMeter, LagSnapshot
from sprat_operations.lag import pace_between

log = logging.getLogger(__name__)

_EVERY_S: Final = 2.0
_ASKED_S: Final = 10.0
"""Groups are measured while somebody has asked within so many seconds."""


class Forecast:
    """Measures groups while texts are waited for.

    Args:
        open_meter: connects.
        serving: returns the groups of the models that are announced: the lag of others holds nothing up.
        clock: in seconds, monotonic.
    """

    def __init__(
        self,
        open_meter: Callable[[], LagMeter],
        serving: Callable[[], Collection[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_meter = open_meter
        self._serving = serving
        self._clock = clock
        self._asked_s = -math.inf
        self._asked = asyncio.Event()
        self._waits_s: Mapping[str, float] = {}
        self._failure = OnceAMinute()

    def late(self, groups: Iterable[str], wait_s: float) -> bool:
        """Return whether the lag says that a text which these groups read now will not be answered in time.

        Args:
            groups: of the models that it asks for, as `intent.default`.
            wait_s: seconds from now.
        """
        self._asked_s = self._clock()
        self._asked.set()
        return any(self._waits_s.get(each, 0.0) > wait_s for each in (ROUTER, *groups))

    async def run(self) -> None:
        """Measure until cancelled. A failure is logged, at most once a minute: then nothing is foretold."""
        while True:
            await self._asked.wait()
            try:
                async with self._open_meter() as meter:
                    await self._follow(meter)
            except NO_ANSWER as error:
                if self._failure.due():
                    log.warning("the lag is not measured: %s; no request is answered early", type(error).__name__)
                await asyncio.sleep(_EVERY_S)
            finally:
                self._waits_s = {}

    async def _follow(self, meter: LagMeter) -> None:
        before: LagSnapshot | None = None
        standing: dict[str, float] = {}
        while self._clock() - self._asked_s < _ASKED_S:
            measured = await meter.measure()
            if before is not None:
                self._waits_s = waits_s(before, measured, {ROUTER, *self._serving()}, standing)
            before = measured
            await asyncio.sleep(_EVERY_S)
        self._asked.clear()


def waits_s(
    before: LagSnapshot, after: LagSnapshot, groups: Collection[str], standing: dict[str, float]
) -> dict[str, float]:
    """Return for each of these groups in how many seconds it reads what is appended now.

    One that commits nothing is expected to stand for as long again as it has stood. A group that has committed all that
    waited at the first measurement is not slow: it was not busy all the time, so it may work faster than it did.

    Args:
        before: the measurement before.
        after: the present one.
        groups: those that count.
        standing: since when groups with a lag have committed nothing; it is brought up to date.
    """
    found: dict[str, float] = {}
    for name, group in after.groups.items():
        earlier = before.groups.get(name)
        waited = {} if earlier is None else {each.partition: each.end for each in earlier.partitions}
        if name not in groups or earlier is None or not group.until(waited):
            standing.pop(name, None)
            continue
        pace = pace_between(earlier.partitions, group.partitions, after.at_s - before.at_s)
        if pace.committed:
            standing.pop(name, None)
            found[name] = pace.lag / pace.committed
        else:
            found[name] = after.at_s - standing.setdefault(name, before.at_s)
    return found
