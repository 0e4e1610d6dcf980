"""The table of `sprat up`: it fits the terminal, says what it knows, and is drawn again after a change of size."""

from collections.abc import Mapping
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from sprat_cli.board import SERVICE_COLUMNS, Board, board_table
from sprat_local.installation.lifecycle import Installation
from sprat_local.installation.options import Options
from sprat_local.processes.service_process import ProcessState
from sprat_local.up.rows import rows_of
from sprat_operations.board import BoardRow
from sprat_operations.lag import Pace
from sprat_operations.traffic import TrafficFigures

FULL = BoardRow(
    "intent.hr",
    "ready",
    lag=12_345,
    pace=Pace(1.0, 1_234.0, 12_345),
    p95_ms=12_345,
    kept=1.0,
    port=40_123,
    restarts=1,
    model="hr 74df3bd8",
    last_exit="exit code 1",
)


def result(task: str, decision: str, latency_ms: int, model: str = "default") -> Mapping[str, Any]:
    return {
        "task": task,
        "status": "answered",
        "source": "small" if decision == "kept" else "frontier",
        "route": {"decision": decision},
        "model": {"name": model, "version": "74df3bd8aa"},
        "origin": {"appended_at": 1_000_000 - latency_ms},
        "cost_eur": 0.0,
    }


@pytest.fixture
def figures() -> TrafficFigures:
    counted = TrafficFigures(lag={"router": 7, "intent.default": 3})
    for each in (*[result("intent", "kept", 40)] * 3, result("intent", "escalated", 900), result("ner", "kept", 60)):
        counted.count(each, 1_000_000)
    return counted


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.delenv("SPRAT_INTENT__MODEL", raising=False)
    found = Installation(Options())
    state = {"state": ProcessState.READY, "port": 1, "restarts": 0, "last_exit": ""}
    names = ("simulator", "router", "intent", "intent#2", "ner", "frontier")
    found._supervisor.services.update({name: SimpleNamespace(name=name, **state) for name in names})
    found._supervisor.servers.update({name: SimpleNamespace(name=name, **state) for name in ("kafka", "redis")})
    return found


def printed(view: object, width: int) -> list[str]:
    console = Console(width=width, file=StringIO())
    console.print(view)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("width", "last"),
    [(20, "service"), (30, "state"), (40, "lag"), (80, "restarts"), (100, "model"), (120, "last exit")],
)
def test_the_table_has_the_columns_for_which_there_is_room(width: int, last: str) -> None:
    lines = printed(board_table([FULL, BoardRow("kafka", "not answering")], SERVICE_COLUMNS, width), width)
    assert len(lines) == 3
    assert max(map(len, lines)) <= width
    assert lines[0].rstrip().endswith(last)


def test_rows_say_lag_rate_latency_kept_and_model(installation: Installation, figures: TrafficFigures) -> None:
    groups = [SimpleNamespace(name="intent.default", pace=Pace(1.0, 2.5, 3))]
    rows = {row.name: row for row in rows_of(installation, figures, groups)}
    assert (rows["intent"].lag, rows["intent"].pace, rows["intent"].p95_ms) == (3, groups[0].pace, 40)
    assert (rows["intent"].kept, rows["intent"].model) == (0.75, "default 74df3bd8")
    assert (rows["router"].p95_ms, rows["router"].kept, rows["router"].lag) == (900, 0.8, 7)
    assert (rows["frontier"].p95_ms, rows["frontier"].kept, rows["frontier"].model) == (900, None, "")
    assert (rows["intent#2"].p95_ms, rows["intent#2"].kept) == (None, None)


@pytest.mark.parametrize(
    ("silent", "state", "server"),
    [(["kafka"], "no kafka", "kafka"), (["kafka", "redis"], "no kafka or redis", "redis")],
)
def test_a_service_is_ready_only_while_its_servers_answer(
    installation: Installation, silent: list[str], state: str, server: str
) -> None:
    states = {row.name: row.state for row in rows_of(installation, TrafficFigures(), silent=silent)}
    assert states[server] == "not answering"
    assert states["router"] == states["intent"] == states["frontier"] == state
    assert states["simulator"] == "ready"
    assert {row.state for row in rows_of(installation, TrafficFigures())} == {"ready"}


def test_of_three_brokers_one_that_is_silent_is_shown_and_missed_by_no_service(installation: Installation) -> None:
    servers = installation._supervisor.servers
    kafka = servers.pop("kafka")
    servers.update({name: SimpleNamespace(**vars(kafka) | {"name": name}) for name in ("kafka#1", "kafka#2")})
    states = {row.name: row.state for row in rows_of(installation, TrafficFigures(), silent=["kafka#2"])}
    assert (states["kafka#1"], states["kafka#2"], states["router"]) == ("ready", "not answering", "ready")
    states = {row.name: row.state for row in rows_of(installation, TrafficFigures(), silent=["kafka"])}
    assert (states["kafka#1"], states["kafka#2"], states["router"]) == ("not answering", "not answering", "no kafka")


def test_after_a_change_of_size_all_is_drawn_again() -> None:
    out = StringIO()
    console = Console(width=80, height=20, file=out, force_terminal=True)
    with Board(console) as view:
        view.print(Text("a notice"))
        view.show("", Text("first"))
        before = out.getvalue()
        console.width = 40
        view.show("", Text("second"))
    after = out.getvalue()[len(before) :]
    assert "\x1b[2J" in after
    assert after.index("\x1b[2J") < after.index("a notice") < after.index("second")
    assert "\x1b[2J" not in before
