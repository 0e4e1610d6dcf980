"""Closing clients of a broker that may be gone: they would wait for it up to 40 s."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError

CLOSE_S = 1.0


async def close_in_time(*closers: Callable[[], Awaitable[None]]) -> None:
    """Call each in turn and give up on one that takes longer than `CLOSE_S` or fails."""
    for close in closers:
        try:
            async with asyncio.timeout(CLOSE_S):
                await close()
        except (TimeoutError, KafkaError, OSError):
            continue
