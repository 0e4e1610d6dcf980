"""An event loop beside the test, which blocks."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from sprat.base.errors import UserError

T = TypeVar("T")
_CANCEL_S = 30.0


class BackgroundLoop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._kept: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sprat-testing", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Run a coroutine and return its result.

        Raises:
            UserError: the loop does not run.
        """
        if self._loop is None:
            raise UserError("Sprat is not running: use it as a context manager, or call start()")
        future: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(timeout_s)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Cancel this task when the loop stops."""
        self._kept.append(task)

    def stop(self) -> None:
        """Cancel what was kept, and end the thread."""
        if self._loop is None or self._thread is None:
            return
        self.run(self._cancel(), _CANCEL_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    async def _cancel(self) -> None:
        for task in self._kept:
            task.cancel()
        await asyncio.gather(*self._kept, return_exceptions=True)
        self._kept.clear()
