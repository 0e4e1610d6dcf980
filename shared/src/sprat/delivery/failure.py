"""The one place where a loop says that the process must stop, and where the process waits for it."""

import asyncio


class Failure:
    """Set once, by the first thing that cannot go on."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._set = asyncio.Event()

    def report(self, error: BaseException) -> None:
        """Say that the process must stop, and why; only the first counts."""
        if self.error is None:
            self.error = error
            self._set.set()

    async def wait(self) -> BaseException:
        """Wait for a failure."""
        await self._set.wait()
        if self.error is None:
            raise AssertionError("set without an error")
        return self.error
