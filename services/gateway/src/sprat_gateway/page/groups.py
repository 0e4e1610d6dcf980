"""Measures the lag of the services' groups every few seconds, for the screen of their health."""

import asyncio
import logging
from typing import Any, Final

from sprat.base.exit_code import describe
from sprat.base.retry import OnceAMinute
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import NO_ANSWER, client_arguments
from sprat.kafka.lag import LagMeter, LagSnapshot
from sprat_gateway.page.notes import GROUPS, note
from sprat_gateway.page.store import PageStore, now_ms
from sprat_operations.lag import keeps_up, pace_between

log = logging.getLogger(__name__)

EVERY_S: Final = 15.0


async def watch_groups(kafka: KafkaSettings, store: PageStore, every_s: float = EVERY_S) -> None:
    """Measure until cancelled; a failure is logged, at most once a minute."""
    failed = OnceAMinute()
    before: LagSnapshot | None = None
    async with LagMeter(client_arguments(kafka), kafka.topics) as meter:
        while True:
            try:
                measured = await meter.with_ages(await meter.measure())
                await store.write(note, GROUPS, _rows(before, measured))
                before = measured
            except Exception as error:  # noqa: BLE001 - the page must not stop the door
                if failed.due():
                    what = type(error).__name__ if isinstance(error, NO_ANSWER) else describe(error)
                    log.warning("the page does not show lag: %s; it is tried again", what)
            await asyncio.sleep(every_s)


def _rows(before: LagSnapshot | None, after: LagSnapshot) -> list[dict[str, Any]]:
    rows = []
    for name, group in sorted(after.groups.items()):
        known = None if before is None else before.groups.get(name)
        seconds = 1.0 if before is None else after.at_s - before.at_s
        pace = pace_between(() if known is None else known.partitions, group.partitions, seconds)
        members = len(group.group.members)
        # Of the first measurement nobody knows yet whether the lag grows.
        fine = keeps_up(pace, members) if known is not None else members > 0
        rows.append(
            {
                "name": name,
                "members": members,
                "lag": group.lag,
                "oldest_s": group.oldest_age_s,
                "keeps_up": fine,
                "measured_ms": now_ms(),
            }
        )
    return rows
