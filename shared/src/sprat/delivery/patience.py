"""Trying again while something outside is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sprat.deadline import Deadline
from sprat.delivery.backoff import Backoff
from sprat.errors import Fatal

log = logging.getLogger(__name__)

T = TypeVar("T")


async def patiently(
    step: Callable[[], Awaitable[T]], retryable: type[Exception] | tuple[type[Exception], ...], give_up_s: float
) -> T:
    """Try a step until it succeeds, with growing pauses.

    Raises:
        Fatal: it did not for `give_up_s`; the process exits, and what is not committed comes again.
    """
    deadline, backoff = Deadline(give_up_s), Backoff()
    while True:
        try:
            return await step()
        except retryable as error:
            told = str(error) or type(error).__name__
            if deadline.passed:
                raise Fatal(f"nothing got through for {give_up_s:.0f} s, last: {told}") from None
            pause = backoff.next()
            log.warning("%s; again in %.1f s", told, pause)
            await asyncio.sleep(pause)
