"""An event loop whose clock jumps to the next timer as soon as nothing else is to be done."""

import asyncio
import selectors

TURN_S = 1e-6
"""How long a turn of the loop takes: what waits for a moment that is nearly there must get there."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Runs what does no I/O: an acknowledgement that takes 50 s takes no time at all."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now_s


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits, and nothing will ever happen")
        self._loop.now_s += max(timeout, TURN_S)
        return []
