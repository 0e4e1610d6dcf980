"""The view of a running installation: a live table on a terminal, plain lines elsewhere."""

from collections.abc import Collection
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from sprat_cli.traffic import borderless_table, traffic_line, traffic_table
from sprat_local.installation import Installation
from sprat_local.notices import Notice
from sprat_local.processes.service_process import ProcessState, ServiceProcess
from sprat_local.processes.supervisor import SupervisedServer
from sprat_operations.traffic import TrafficFigures

_STATE_COLOURS = {
    ProcessState.READY: "green",
    ProcessState.STARTING: "yellow",
    ProcessState.WAITING: "red",
    ProcessState.SILENT: "red",
    ProcessState.STOPPED: "dim",
}
_LEVEL_COLOURS = {"info": "cyan", "warning": "yellow", "error": "red"}


class Board(Protocol):
    """A view of an installation."""

    def show_notice(self, notice: Notice) -> None:
        """Show a notice. Called from any thread."""
        ...

    def show_traffic(self, figures: TrafficFigures, *, redis_answers: bool = True) -> None:
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

    def show_traffic(self, figures: TrafficFigures, *, redis_answers: bool = True) -> None:
        """Print them if they have changed."""
        line = traffic_line(figures)
        if figures.results + figures.texts and line != self._last:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._last = line

    def close(self) -> None:
        """Do nothing."""


class LiveBoard:
    """A table that is redrawn in place, with notices above it."""

    def __init__(self, console: Console, installation: Installation) -> None:
        self._console = console
        self._installation = installation
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._live.start()

    def show_notice(self, notice: Notice) -> None:
        """Print it above the table."""
        line = Text(f"{notice.service}: ", style=f"bold {_LEVEL_COLOURS[notice.level]}")
        self._console.print(line.append(notice.text, style="default"), soft_wrap=True)

    def show_traffic(self, figures: TrafficFigures, *, redis_answers: bool = True) -> None:
        """Redraw the table."""
        silent = {name for name, answers in (("kafka", figures.reachable), ("redis", redis_answers)) if not answers}
        table = _services(self._installation, figures, silent)
        self._live.update(Group(traffic_table(figures), table), refresh=True)

    def close(self) -> None:
        """Stop updating; the last table stays visible."""
        self._live.stop()


def _services(installation: Installation, figures: TrafficFigures, silent: Collection[str]) -> RenderableType:
    table = borderless_table()
    table.add_column("service", header_style="dim", min_width=10)
    table.add_column("state", header_style="dim", min_width=13)
    table.add_column("lag", justify="right", header_style="dim", min_width=7)
    table.add_column("port", justify="right", header_style="dim")
    table.add_column("restarts", justify="right", header_style="dim")
    table.add_column("last exit", header_style="dim")
    groups = {spec.name: spec.group_name(installation.models.get(spec.name)) for spec in installation.specs}
    processes: list[SupervisedServer | ServiceProcess] = [
        *installation.servers.values(),
        *installation.processes.values(),
    ]
    for process in processes:
        lag = figures.lag.get(groups.get(process.name) or "")
        state = ProcessState.SILENT if process.name in silent else process.state
        table.add_row(
            process.name,
            Text(str(state), style=_STATE_COLOURS[state]),
            "" if lag is None else str(lag),
            str(process.port or ""),
            str(process.restarts or ""),
            process.last_exit,
        )
    return Group(Text(), table)
