"""A view that is redrawn in place on a terminal, with lines above it, also after the terminal has changed its size."""

from collections import deque
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live

_LINES = 200
"""Lines above the view that are printed again after a change of size."""


class LiveView:
    """What is drawn last stays visible at the end. Also a context manager.

    A terminal that becomes narrower wraps what stands on it, and a view that counts its lines would then leave rests
    and overwrite what is above. So after a change of size the screen is cleared and all is drawn again.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: deque[RenderableType] = deque(maxlen=_LINES)
        self._size = console.size
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def print(self, line: RenderableType) -> None:
        """Print a line above the view."""
        self._lines.append(line)
        self._console.print(line, soft_wrap=True)

    def draw(self, view: RenderableType) -> None:
        """Draw the view instead of the last one."""
        if self._console.size != self._size:
            self._size = self._console.size
            self._live.stop()
            self._console.clear()
            for line in self._lines:
                self._console.print(line, soft_wrap=True)
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
            self._live.start()
        self._live.update(view, refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
