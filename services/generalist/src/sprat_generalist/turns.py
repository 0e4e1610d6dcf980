"""One question after another: a queue with a limit before the model, which has the processor to itself.

A model on a CPU answers two questions at once no sooner than one after the other. Whoever leaves, leaves the queue; the
answer that it was waiting for is given up.
"""

import asyncio
import math
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")
IsCancelled = Callable[[], bool]

_SMOOTHING = 0.2
"""Share of the latest question in the mean of their durations."""


class BusyError(Exception):
    """The queue is full.

    Args:
        retry_after_s: when there may be room.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many questions wait")
        self.retry_after_s = retry_after_s


class GoneError(Exception):
    """Whoever asked has left."""


class Queue:
    """The questions that wait, and the one that is answered.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._present = 0
        self._turn = asyncio.Lock()
        self._mean_s = 1.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="generalist")

    async def answer(self, work: Callable[[IsCancelled], Answer], gone: Callable[[], Awaitable[object]]) -> Answer:
        """Return what `work` returns, on the model's thread, when it is its turn.

        Args:
            work: is given a function that says whether to give up.
            gone: waits until nobody waits for the answer any more.

        Raises:
            BusyError: the queue is full.
            GoneError: nobody waits.
        """
        if self._present >= self._most:
            raise BusyError(max(1, math.ceil(self._mean_s)))
        self._present += 1
        cancelled = threading.Event()
        leaving = asyncio.ensure_future(gone())
        answering = asyncio.ensure_future(self._in_turn(work, cancelled))
        try:
            await asyncio.wait({leaving, answering}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                raise GoneError
            return answering.result()
        finally:
            cancelled.set()
            self._present -= 1
            for task in (leaving, answering):
                task.cancel()
            await asyncio.gather(leaving, answering, return_exceptions=True)

    def close(self) -> None:
        """Let the thread end; a question that is answered goes on until then."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_turn(self, work: Callable[[IsCancelled], Answer], cancelled: threading.Event) -> Answer:
        async with self._turn:
            started = time.monotonic()
            answer = await asyncio.get_running_loop().run_in_executor(self._thread, work, cancelled.is_set)
            self._mean_s += _SMOOTHING * (time.monotonic() - started - self._mean_s)
            return answer
