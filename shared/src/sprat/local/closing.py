"""Closing clients of a broker that may be gone: they would wait for it up to 40 s."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError

CLOSE_S = 1.0


async def close_in_time(*closers: Callable[[], Awaitable[None]]) -> None:
    """Call each in turn and give up on one that takes longer than `CLOSE_S` or fails."""
    for close in closers:
        requests = cancel_requests()
        try:
            async with asyncio.timeout(CLOSE_S):
                await close()
        except (TimeoutError, KafkaError, OSError):
            continue
        except asyncio.CancelledError:
            if cancel_requests() > requests:
                raise


def cancel_requests() -> int:
    """Give how often this task was asked to end.

    aiokafka cancels its own inner tasks, and that surfaces as a CancelledError although nobody cancelled this task:
    then this number has not grown.
    """
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
