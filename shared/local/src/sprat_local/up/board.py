"""The view of a running installation: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from sprat_cli.live_view import LiveView
from sprat_cli.traffic import traffic_line, traffic_table
from sprat_local.installation.lifecycle import Installation
from sprat_local.processes.notices import Notice
from sprat_local.up.service_table import rows_of, service_table
from sprat_operations.traffic import GroupPace, TrafficFigures

_PER_S = 4
_LEVEL_COLOURS = {"info": "cyan", "warning": "yellow", "error": "red"}


class Board(Protocol):
    """A view of an installation."""

    def show_notice(self, notice: Notice) -> None:
        """Show a notice. Called from any thread."""
        ...

    def print(self, line: Text) -> None:
        """Print a line."""
        ...

    def show_traffic(
        self, figures: TrafficFigures, groups: Sequence[GroupPace] = (), *, redis_answers: bool = True
    ) -> None:
        """Show the present figures."""
        ...

    def close(self) -> None:
        """Stop updating; the last state stays visible."""
        ...


class PlainBoard:
    """One line per notice, and one per second while figures change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def show_notice(self, notice: Notice) -> None:
        """Print it."""
        self._console.print(f"{notice.service}: {notice.text}", markup=False, highlight=False, soft_wrap=True)

    def print(self, line: Text) -> None:
        """Print it."""
        self._console.print(line, soft_wrap=True)

    def show_traffic(
        self, figures: TrafficFigures, groups: Sequence[GroupPace] = (), *, redis_answers: bool = True
    ) -> None:
        """Print them if they have changed; that Kafka does not answer, a notice says."""
        if not figures.reachable:
            return
        line = traffic_line(figures)
        if figures.results + figures.texts and line != self._last:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._last = line

    def close(self) -> None:
        """Do nothing."""


class StartBoard(PlainBoard):
    """While an installation starts: what is ready already, and for how long it has been starting; gone at the end."""

    def __init__(self, console: Console, installation: Installation) -> None:
        super().__init__(console)
        self._installation = installation
        self._began = time.monotonic()
        self._live = Live(
            console=console, get_renderable=self._view, refresh_per_second=_PER_S, transient=True, redirect_stdout=False
        )
        self._live.start()

    def close(self) -> None:
        """Remove the view."""
        self._live.stop()

    def _view(self) -> RenderableType:
        rows = rows_of(self._installation, TrafficFigures())
        seconds = Text(f"starting, {time.monotonic() - self._began:.0f} s", style="dim")
        return Group(service_table(rows, self._console.width), seconds) if rows else seconds


class LiveBoard:
    """A table that is redrawn in place, with notices above it."""

    def __init__(self, console: Console, installation: Installation) -> None:
        self._console = console
        self._installation = installation
        self._view = LiveView(console)
        self._view.__enter__()

    def show_notice(self, notice: Notice) -> None:
        """Print it above the table."""
        line = Text(f"{notice.service}: ", style=f"bold {_LEVEL_COLOURS[notice.level]}")
        self._view.print(line.append(notice.text, style="default"))

    def print(self, line: Text) -> None:
        """Print it above the table."""
        self._view.print(line)

    def show_traffic(
        self, figures: TrafficFigures, groups: Sequence[GroupPace] = (), *, redis_answers: bool = True
    ) -> None:
        """Redraw the table."""
        silent = [name for name, answers in (("kafka", figures.reachable), ("redis", redis_answers)) if not answers]
        table = service_table(rows_of(self._installation, figures, groups, silent), self._console.width)
        self._view.draw(Group(traffic_table(figures), Text(), table))

    def close(self) -> None:
        """Stop updating; the last table stays visible."""
        self._view.__exit__()
