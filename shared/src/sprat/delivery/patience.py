"""Trying again while something outside is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sprat.deadline import Deadline
from sprat.delivery.backoff import Backoff
from sprat.errors import Fatal, SpratError

log = logging.getLogger(__name__)

T = TypeVar("T")


async def patiently(
    step: Callable[[], Awaitable[T]],
    retryable: type[Exception] | tuple[type[Exception], ...],
    give_up_s: float,
    what: str = "",
) -> T:
    """Try a step until it succeeds, with growing pauses; `what` is told with each failure.

    Raises:
        Fatal: it did not for `give_up_s`; the process exits, and what is not committed comes again.
    """
    deadline, backoff = Deadline(give_up_s), Backoff()
    while True:
        try:
            return await step()
        except retryable as error:
            told = str(error) if isinstance(error, SpratError) else type(error).__name__
            told = f"{what}: {told}" if what else told
            if deadline.passed:
                raise Fatal(f"nothing got through for {give_up_s:.0f} s, last: {told}") from None
            pause = backoff.next()
            log.warning("%s; again in %.1f s", told, pause)
            await asyncio.sleep(pause)
