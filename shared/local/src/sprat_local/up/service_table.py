"""The table of `sprat up`: a row for each server and service, with as many columns as the terminal has room for."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from sprat_cli.traffic import borderless_table, format_rate
from sprat_local.installation.lifecycle import Installation
from sprat_local.processes.service_process import ProcessState, ServiceProcess
from sprat_local.processes.supervisor import SupervisedServer
from sprat_operations.services import FRONTIER, SIMULATOR
from sprat_operations.traffic import ALL, ESCALATED, GroupPace, TrafficFigures, percentile

_STATE_COLOURS: Final = {
    ProcessState.READY: "green",
    ProcessState.STARTING: "yellow",
    ProcessState.WAITING: "red",
    ProcessState.SILENT: "red",
    ProcessState.STOPPED: "dim",
}
_GAP: Final = 2
_SHORT_VERSION: Final = 8


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """What is known of a server or a service."""

    name: str
    state: Text
    lag: str = ""
    rate: str = ""
    p95: str = ""
    kept: str = ""
    port: str = ""
    restarts: str = ""
    model: str = ""
    last_exit: str = ""


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    value: Callable[[ServiceRow], str | Text]
    width: int
    """At least; also what it takes of the terminal when it is decided whether there is room for it."""
    right: bool = False


# In the order in which they are shown; those at the end go first where there is no room.
_COLUMNS: Final = (
    _Column("service", lambda row: row.name, 10),
    _Column("state", lambda row: row.state, 13),
    _Column("lag", lambda row: row.lag, 7, right=True),
    _Column("rate", lambda row: row.rate, 7, right=True),
    _Column("p95", lambda row: row.p95, 8, right=True),
    _Column("kept", lambda row: row.kept, 5, right=True),
    _Column("port", lambda row: row.port, 5, right=True),
    _Column("restarts", lambda row: row.restarts, 8, right=True),
    _Column("model", lambda row: row.model, 18),
    _Column("last exit", lambda row: row.last_exit, 18),
)


def service_table(rows: Sequence[ServiceRow], columns: int) -> RenderableType:
    """Return the table for a terminal with so many columns. No line is longer."""
    shown: list[_Column] = []
    taken = 0
    for column in _COLUMNS:
        width = max(column.width, *(len(str(column.value(row))) for row in rows)) if rows else column.width
        if shown and taken + width > columns:
            break
        shown.append(column)
        taken += width + _GAP
    table = borderless_table(gap=_GAP)
    for column in shown:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            header_style="dim",
            min_width=min(column.width, columns),
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(column.value(row) for column in shown))
    return table


def rows_of(
    installation: Installation, figures: TrafficFigures, groups: Sequence[GroupPace] = (), silent: Collection[str] = ()
) -> list[ServiceRow]:
    """Return a row for each server and each service; `silent` are the servers that do not answer."""
    specs = {spec.name: spec for spec in installation.specs}
    paces = {group.name: group.pace for group in groups}
    rows = [_server_row(server, silent) for server in list(installation.servers.values())]
    for process in list(installation.processes.values()):
        spec = specs.get(process.name.partition("#")[0])
        group = (spec and spec.group_name(installation.models.get(spec.name))) or ""
        service, pace, lag = (spec.service if spec else ""), paces.get(group), figures.lag.get(group)
        # A task with several models: the figures of Results are those of the task, so they stand in its first row.
        counted = "" if spec is None or spec.variant or "#" in process.name else service
        latencies = figures.latencies_ms.get({"router": ALL, FRONTIER: ESCALATED}.get(counted, counted), ())
        tasks = installation.topics.tasks
        kept = None
        if counted in tasks or counted == "router":
            kept = figures.kept_share(counted if counted in tasks else ALL)
        rows.append(
            ServiceRow(
                process.name,
                _state(process, silent if spec is None or spec.service != SIMULATOR else ()),
                "" if lag is None else f"{lag:,}",
                "" if pace is None else format_rate(pace.committed),
                "" if (p95_ms := percentile(latencies, 0.95)) is None else f"{p95_ms:,.0f} ms",
                "" if kept is None else f"{kept:.0%}".replace("%", " %"),
                str(process.port or ""),
                str(process.restarts or ""),
                _model(installation, figures, spec.name if spec else "", service),
                process.last_exit,
            )
        )
    return rows


def _server_row(server: SupervisedServer, silent: Collection[str]) -> ServiceRow:
    state = ProcessState.SILENT if server.name in silent and server.state is ProcessState.READY else server.state
    shown = Text(str(state), style=_STATE_COLOURS[state])
    port, restarts = str(server.port or ""), str(server.restarts or "")
    return ServiceRow(server.name, shown, port=port, restarts=restarts, last_exit=server.last_exit)


def _state(process: ServiceProcess, silent: Collection[str]) -> Text:
    """Return its state; one that is ready, but whose servers do not answer, waits for these."""
    if process.state is ProcessState.READY and silent:
        return Text(f"no {' or '.join(sorted(silent))}", style="red" if "kafka" in silent else "yellow")
    return Text(str(process.state), style=_STATE_COLOURS[process.state])


def _model(installation: Installation, figures: TrafficFigures, name: str, task: str) -> str:
    models: Mapping[str, str] = installation.models
    if task not in installation.topics.tasks or name not in models:
        return ""
    version = figures.versions.get((task, models[name]), "")
    return f"{models[name]} {version[:_SHORT_VERSION]}".rstrip()
