"""How late the event loop is: measured, counted and told to what waits with a time-out."""

import asyncio
import time
from contextlib import suppress

from sprat.telemetry.process import event_loop_lag_s, watch_event_loop
from support.metrics import Metrics


async def test_a_loop_that_something_holds_up_is_late_by_as_much(metrics: Metrics) -> None:
    watching = asyncio.create_task(watch_event_loop())
    await asyncio.sleep(0.1)
    time.sleep(0.6)
    await asyncio.sleep(0.1)
    assert event_loop_lag_s() > 0.4
    assert metrics.count("sprat.event_loop.lag") == 1
    for _ in range(40):  # the last second alone counts
        await asyncio.sleep(0.25)
        if event_loop_lag_s() < 0.4:
            break
    assert event_loop_lag_s() < 0.4
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
