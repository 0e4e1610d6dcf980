"""The board of `sprat top` and `sprat up`: redrawn in place on a terminal; elsewhere a line for each change."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from sprat_cli.terminal import printable
from sprat_cli.traffic import borderless_table, format_drain_time, format_rate
from sprat_operations.board import BoardRow

_LINES: Final = 200
"""Lines above the view that are printed again after a change of size."""
_GAP: Final = 2
_COLOURS: Final = {"good": "green", "starting": "yellow", "limited": "yellow", "bad": "red", "off": "dim"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    title: str
    value: Callable[[BoardRow], str]
    width: int
    """At least; also what it takes of the terminal when it is decided whether there is room for it."""
    right: bool = True
    shows_health: bool = False


_LAG: Final = Column("lag", lambda row: "" if row.lag is None else f"{row.lag:,}", 7)
SERVICE_COLUMNS: Final = (
    Column("service", lambda row: row.name, 10, right=False),
    Column("state", lambda row: row.state, 13, right=False, shows_health=True),
    _LAG,
    Column("rate", lambda row: "" if row.pace is None else format_rate(row.pace.committed), 7),
    Column("p95", lambda row: "" if row.p95_ms is None else f"{row.p95_ms:,.0f} ms", 8),
    Column("kept", lambda row: "" if row.kept is None else f"{100 * row.kept:.0f} %", 5),
    Column("port", lambda row: str(row.port or ""), 5),
    Column("restarts", lambda row: str(row.restarts or ""), 8),
    Column("model", lambda row: row.model, 18, right=False),
    Column("last exit", lambda row: row.last_exit, 18, right=False),
)
"""In the order in which they are shown; those at the end go first where there is no room."""
GROUP_COLUMNS: Final = (
    Column("group", lambda row: printable(row.name), 12, right=False),
    Column("members", lambda row: str(row.members or 0), 7, shows_health=True),
    _LAG,
    Column("coming", lambda row: "" if row.pace is None else format_rate(row.pace.arriving), 7),
    Column("going", lambda row: "" if row.pace is None else format_rate(row.pace.committed), 7),
    Column("drained in", lambda row: "" if row.pace is None else format_drain_time(row.pace, row.members or 0), 10),
)


def board_table(rows: Sequence[BoardRow], columns: Sequence[Column], width: int) -> RenderableType:
    """Return the table for a terminal of this width. No line is longer."""
    shown: list[Column] = []
    taken = 0
    for column in columns:
        needed = max([column.width, *(len(column.value(row)) for row in rows)])
        if shown and taken + needed > width:
            break
        shown.append(column)
        taken += needed + _GAP
    table = borderless_table(gap=_GAP)
    for column in shown:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            header_style="dim",
            min_width=min(column.width, width),
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        styles = (_COLOURS[row.health] if column.shows_health else "" for column in shown)
        table.add_row(*(Text(column.value(row), style) for column, style in zip(shown, styles, strict=True)))
    return table


class Board:
    """A view that is redrawn in place, with lines above it; what is drawn last stays visible. A context manager.

    A terminal that becomes narrower wraps what stands on it, and a view that counts its lines would then leave rests
    and overwrite what is above. So after a change of size the screen is cleared and all is drawn again.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._above: deque[RenderableType] = deque(maxlen=_LINES)
        self._size = console.size
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._last = ""

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self._console.width

    def print(self, line: RenderableType) -> None:
        """Print a line, above the view."""
        self._above.append(line)
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, line: str, *view: RenderableType) -> None:
        """Draw the view instead of the last one; without a terminal, print the line if it has changed; not an empty."""
        if self._console.is_terminal:
            self._draw(Group(*view))
        elif line and line != self._last:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
            self._last = line

    def _draw(self, view: RenderableType) -> None:
        if self._console.size != self._size:
            self._size = self._console.size
            self._live.stop()
            self._console.clear()
            for line in self._above:
                self._console.print(line, soft_wrap=True)
            self._live = Live(console=self._console, auto_refresh=False, transient=False)
            self._live.start()
        self._live.update(view, refresh=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
