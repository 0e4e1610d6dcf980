"""Metrics of the whole installation: lag and age of every group, also of groups without members.

A group without members cannot publish its own lag, so one reader publishes that of all: the router instance to which
its group has assigned partition 0 of the texts. The group's assignment is the election: exactly one member has that
partition, another one gets it when this one dies, and nothing else has to be configured or to agree. The router is
essential for every Result, so where it runs there is a reader.

An instance that loses Kafka keeps its last assignment, and reports `sprat.kafka.reachable` 0.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from sprat.base.exit_code import describe
from sprat.base.retry import OnceAMinute
from sprat.kafka.clients import NO_ANSWER, cancel_requests
from sprat.kafka.connection_errors import may_be_refused
from sprat.kafka.lag import REQUIRED_GROUPS, LagMeter, LagSnapshot, StableOffsets, limit_to_owned
from sprat.registry.model_table import ModelTable
from sprat.telemetry.signals import GROUP_AGE, GROUP_LAG, GROUP_MEMBERS, HELD_BACK, KAFKA_REACHABLE

log = logging.getLogger(__name__)

ROUND_S: Final = 5.0
"""How long a round may take. A slower one counts as failed."""
LOOK_S: Final = 1.0
"""How often the assignment is looked at between two rounds, seconds."""
_GAUGES = (GROUP_LAG, GROUP_AGE, GROUP_MEMBERS, HELD_BACK)


class GroupMetrics:
    """Measures all groups every few seconds while this instance is the elected reader."""

    def __init__(
        self,
        open_meter: Callable[[], LagMeter],
        prefix: str,
        models: ModelTable,
        is_elected: Callable[[], bool],
        every_s: float,
        *,
        round_s: float = ROUND_S,
        look_s: float = LOOK_S,
    ) -> None:
        self._open_meter = open_meter
        self._prefix = prefix
        self._models = models
        self._is_elected = is_elected
        self._every_s = every_s
        self._round_s = round_s
        self._look_s = look_s
        self._meter: LagMeter | None = None
        self._stable = StableOffsets()
        self._denied: set[str] = set()
        self._publishing = False
        self._failure = OnceAMinute()

    async def run(self) -> None:
        """Measure until cancelled. A failure is logged, at most once a minute, and never raised."""
        may_be_refused.set(True)
        due_s = 0.0
        try:
            while True:
                if not self._is_elected():
                    await self._end()
                elif time.monotonic() >= due_s:
                    due_s = time.monotonic() + self._every_s
                    await self._try_round()
                await asyncio.sleep(self._look_s)
        finally:
            await self._end()

    async def _try_round(self) -> None:
        requests = cancel_requests()
        self._publishing = True
        self._meter = self._meter or self._open_meter()
        try:
            async with asyncio.timeout(self._round_s):
                await self._round(self._meter)
        except asyncio.CancelledError as error:
            if cancel_requests() > requests:
                raise
            await self._failed(error)
        except Exception as error:  # noqa: BLE001 - metrics must not stop the router
            await self._failed(error)

    async def _round(self, meter: LagMeter) -> None:
        measured = await meter.measure(known=(*REQUIRED_GROUPS, *self._models.groups()))
        measured = await meter.with_ages(limit_to_owned(measured, self._models.withdrawn()))
        held = self._stable.held_s(measured, await meter.high_watermarks(measured.ends))
        if denied := meter.denied - self._denied:
            self._denied |= denied
            log.warning("metrics of groups are incomplete, Kafka's ACLs deny: %s", ", ".join(sorted(denied)))
        if self._is_elected():
            self._publish(measured, held)

    def _publish(self, measured: LagSnapshot, held: Mapping[str, float]) -> None:
        by_topic = [
            (each, {"group": f"{self._prefix}.{name}", "destination": topic})
            for name, group in measured.groups.items()
            for topic, each in group.by_topic().items()
        ]
        GROUP_LAG.replace((each.lag, labels) for each, labels in by_topic)
        GROUP_AGE.replace((age, labels) for each, labels in by_topic if (age := each.oldest_age_s) is not None)
        GROUP_MEMBERS.replace(
            (len(each.group.members), {"group": f"{self._prefix}.{name}"}) for name, each in measured.groups.items()
        )
        HELD_BACK.replace((seconds, {"destination": topic}) for topic, seconds in held.items())
        KAFKA_REACHABLE.set(1)

    async def _failed(self, error: BaseException) -> None:
        for gauge in _GAUGES:
            gauge.replace([])
        KAFKA_REACHABLE.set(0)
        if self._failure.due():
            expected = isinstance(error, (*NO_ANSWER, asyncio.CancelledError))
            what = type(error).__name__ if expected else describe(error)
            log.warning("groups cannot be measured: %s; it is tried again, and no text is affected", what)
        await self._close()

    async def _end(self) -> None:
        """End all gauges, unless they are another reader's already."""
        if not self._publishing:
            return
        self._publishing = False
        for gauge in (*_GAUGES, KAFKA_REACHABLE):
            gauge.replace([])
        self._stable = StableOffsets()
        await self._close()

    async def _close(self) -> None:
        meter, self._meter = self._meter, None
        if meter is not None:
            with suppress(Exception):  # metrics must not stop the router
                await meter.close()
