"""Watching a consumer: what it would hide must end the process, for nobody else sees it."""

import asyncio
import time
from typing import Any

from aiokafka.errors import ConsumerStoppedError

from sprat.delivery.failure import Failure
from sprat.delivery.gate import Gate
from sprat.delivery.publisher import AUTHORISATION_ERRORS
from sprat.errors import Fatal
from sprat.health import STALLED_S, Progress

HUNG_S = 300.0
"""Work that has not moved for so long is stuck: Kafka takes the partitions away after `max.poll.interval.ms`."""


def watch_polls(consumer: Any, progress: Progress, gate: Gate, failure: Failure) -> None:
    """Note every poll, and end the process at the first that fails.

    A poll that raises may have taken records of other partitions with it, whose positions have moved on: the next
    commit would pass them. FastStream logs, sleeps and polls on; it has no hook for polls, so the consumer's own method
    is wrapped.
    """
    poll = consumer.getmany

    async def watched(*arguments: Any, **options: Any) -> Any:
        try:
            records = await poll(*arguments, **options)
        except ConsumerStoppedError:
            raise
        except Exception as error:
            gate.close(for_good=True)
            failure.report(_told(error))
            raise
        progress.turn()
        return records

    consumer.getmany = watched


def _told(error: Exception) -> Fatal:
    name = type(error).__name__
    if isinstance(error, AUTHORISATION_ERRORS):
        return Fatal(f"Kafka does not let this service read: {name}; mend its ACLs")
    return Fatal(f"Kafka cannot be read: {name}; nothing was committed after it, the records come again")


async def watchdog(consumer: Any, subscriber: Any, progress: Progress, gate: Gate) -> None:
    """Watch the loops inside the libraries and our own work.

    Raises:
        Fatal: one is dead or does not move.
    """
    while True:
        await asyncio.sleep(1)
        if gate.in_hand:
            progress.turn()
            if time.monotonic() - gate.moved_at > HUNG_S:
                raise Fatal(f"the work in hand has not moved for {HUNG_S:.0f} s; the process must start anew")
        if not progress.alive:
            raise Fatal(f"the consume loop has not turned for {STALLED_S:.0f} s; the process must start anew")
        if subscriber.tasks and all(task.done() for task in subscriber.tasks):
            raise Fatal("the consume loop has ended; the process must start anew")
        if _fetcher_is_dead(consumer):
            raise Fatal("the consumer fetches no more; the process must start anew")


def _fetcher_is_dead(consumer: Any) -> bool:
    """Say whether aiokafka's background fetch has ended: polls then find nothing, and nothing public tells."""
    task = getattr(getattr(consumer, "_fetcher", None), "_fetch_task", None)
    return isinstance(task, asyncio.Future) and task.done()
