"""The rows of the board of `sprat up`: one for each server and service."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sprat_local.installation.lifecycle import Installation
from sprat_local.processes.service_process import ProcessState
from sprat_operations.board import BoardRow, Health
from sprat_operations.services import FRONTIER, SIMULATOR, ServiceSpec
from sprat_operations.traffic import ALL, ESCALATED, GroupPace, TrafficFigures, percentile

_HEALTH: Final[Mapping[ProcessState, Health]] = {
    ProcessState.READY: "good",
    ProcessState.STARTING: "starting",
    ProcessState.WAITING: "bad",
    ProcessState.SILENT: "bad",
    ProcessState.STOPPED: "off",
}
_NEEDED: Final = frozenset({"kafka", "redis"})
"""What a service waits for while it is silent; of several brokers, one alone is not missed."""
_SHORT_VERSION: Final = 8


def rows_of(
    installation: Installation, figures: TrafficFigures, groups: Sequence[GroupPace] = (), silent: Collection[str] = ()
) -> list[BoardRow]:
    """Return a row for each server and each service; `silent` are the servers that do not answer."""
    specs = {spec.name: spec for spec in installation.specs}
    missing = sorted(_NEEDED.intersection(silent))
    paces = {group.name: group.pace for group in groups}
    rows = []
    for server in list(installation.servers.values()):
        # Of several brokers, `kafka#2` is silent by itself, or all are.
        hangs = not {server.name, server.name.partition("#")[0]}.isdisjoint(silent)
        hangs = hangs and server.state is ProcessState.READY
        state = ProcessState.SILENT if hangs else server.state
        row = BoardRow(server.name, str(state), _HEALTH[state], port=server.port)
        rows.append(replace(row, restarts=server.restarts, last_exit=server.last_exit))
    for process in list(installation.processes.values()):
        spec = specs.get(process.name.partition("#")[0])
        group = (spec and spec.group_name(installation.models.get(spec.name))) or ""
        service = spec.service if spec else ""
        # A task with several models: the figures of Results are those of the task, so they stand in its first row.
        counted = "" if spec is None or spec.variant or "#" in process.name else service
        is_task = counted in installation.topics.tasks
        state_words, health = str(process.state), _HEALTH[process.state]
        if process.state is ProcessState.READY and missing and service != SIMULATOR:  # it waits for these
            state_words = f"no {' or '.join(missing)}"
            health = "bad" if "kafka" in missing else "limited"
        latencies = figures.latencies_ms.get({"router": ALL, FRONTIER: ESCALATED}.get(counted, counted), ())
        rows.append(
            BoardRow(
                process.name,
                state_words,
                health,
                lag=figures.lag.get(group),
                pace=paces.get(group),
                p95_ms=percentile(latencies, 0.95),
                kept=figures.kept_share(counted if is_task else ALL) if is_task or counted == "router" else None,
                port=process.port,
                restarts=process.restarts,
                model=_model(installation, figures, spec),
                last_exit=process.last_exit,
            )
        )
    return rows


def _model(installation: Installation, figures: TrafficFigures, spec: ServiceSpec | None) -> str:
    """Return the name of the model of a service and the version that has answered last."""
    if spec is None or spec.service not in installation.topics.tasks or spec.name not in installation.models:
        return ""
    model = installation.models[spec.name]
    return f"{model} {figures.versions.get((spec.service, model), '')[:_SHORT_VERSION]}".rstrip()
