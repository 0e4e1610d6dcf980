"""`sprat top`: the live table of an installation that others started."""

import asyncio
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from sprat.base.settings import KafkaSettings
from sprat.kafka.lag import REQUIRED_GROUPS
from sprat.telemetry import signals
from sprat_cli.live_view import LiveView
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.render import clock
from sprat_cli.terminal import printable, say, say_json
from sprat_cli.traffic import borderless_table, format_drain_time, format_rate, traffic_line, traffic_table
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.lag import as_metrics
from sprat_operations.traffic import GroupPace, Traffic, TrafficFigures

EPILOG = """\b
Examples:
  sprat top
  sprat top --bootstrap kafka.internal:9093 --every 5
  sprat top --json --count 2 | tail -1 | jq .groups

\b
Texts, results, dead letters and cost are counted from the start of the command: "since 12:03:07", by this machine's
clock. Lag is all there is. The groups are those of this prefix. A terminal shows a table that is redrawn in place; a
pipe gets a line whenever something changed. The router publishes members and lag as the metrics
sprat.group.members and sprat.group.lag; with --json, `metrics` of a group has them under these names, by topic.

\b
Exit codes:
  0  ended by Ctrl-C, which is how watching ends, or after --count
  2  wrong usage, or Kafka cannot be reached at the start; later it waits until it is back"""


def top(
    *,
    every: Annotated[float, typer.Option(min=0.5, max=60, metavar="SECONDS", help="Between two updates.")] = 1.0,
    count: Annotated[int | None, option("N", "End after so many updates.", min=1)] = None,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show live what an installation handles, and how far each group is behind, until Ctrl-C."""
    kafka = kafka_settings(bootstrap, prefix)
    console = Console(highlight=False)
    board: _Board = _JsonBoard() if as_json else _LiveBoard(console) if console.is_terminal else _PlainBoard()
    with explain_kafka_errors(kafka):
        try:
            asyncio.run(_watch(kafka, board, every, count))
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


async def _watch(kafka: KafkaSettings, board: "_Board", every_s: float, count: int | None) -> None:
    async with Traffic(kafka) as traffic:
        board.since_ms = int(time.time() * 1000)
        with board.open():
            shown = 0
            while True:
                board.show(await traffic.look(), traffic)
                shown += 1
                if shown == count:
                    return
                await asyncio.sleep(every_s)


class _Board:
    """A display of an installation's figures."""

    since_ms = 0
    """From when on is counted, in epoch milliseconds."""

    @property
    def since(self) -> str:
        """From when on is counted, in words."""
        return f"since {clock(self.since_ms)[:8]}"

    def open(self) -> AbstractContextManager[object]:
        return nullcontext()

    def show(self, figures: TrafficFigures, traffic: Traffic) -> None:
        raise NotImplementedError


class _PlainBoard(_Board):
    """A line whenever something changed."""

    _last = ""

    def show(self, figures: TrafficFigures, traffic: Traffic) -> None:
        line = f"{self.since}  {traffic_line(figures)}"
        if figures.measured:
            line += f"  dead letters {traffic.dead_letters}"
            silent = [group.name for group in traffic.groups if not group.measured.group.members]
            line += f"  groups without members: {', '.join(map(printable, silent))}" if silent else ""
        if line != self._last:
            say(line)
        self._last = line


class _JsonBoard(_Board):
    """A JSON object per update."""

    def show(self, figures: TrafficFigures, traffic: Traffic) -> None:
        say_json(
            {
                "type": "top",
                "since": self.since_ms,
                "reachable": figures.reachable,
                "texts": figures.texts,
                "texts_per_s": round(figures.texts_per_s, 3),
                "results": figures.results,
                "kept": figures.kept,
                "escalated": figures.escalated,
                "degraded": figures.degraded,
                "unanswered": figures.unanswered,
                "dead_letters": traffic.dead_letters,
                "cost_eur": round(figures.cost_eur, 9),
                "groups": [_group_json(group) for group in traffic.groups] if figures.measured else [],
                "metrics": {signals.KAFKA_REACHABLE.name: int(figures.reachable)},
            }
        )


class _LiveBoard(_Board):
    """A table that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._view = LiveView(console)

    def open(self) -> AbstractContextManager[object]:
        return self._view

    def show(self, figures: TrafficFigures, traffic: Traffic) -> None:
        parts: list[RenderableType] = [Text(self.since, style="dim"), traffic_table(figures), Text()]
        if figures.measured:
            parts += [_groups(traffic.groups), Text()]
            letters = traffic.dead_letters
            parts.append(Text(f"dead letters {letters:,}", style="red" if letters else "dim"))
        elif figures.reachable:
            parts.append(Text("a broker of Kafka does not answer, waiting for the others to take over", style="yellow"))
        else:
            parts.append(Text("Kafka does not answer, waiting", style="red"))
        self._view.draw(Group(*parts))


def _groups(groups: list[GroupPace]) -> RenderableType:
    table = borderless_table()
    table.add_column("group", header_style="dim", min_width=12)
    for name in ("members", "lag", "coming", "going", "drained in"):
        table.add_column(name, justify="right", header_style="dim", min_width=len(name))
    for group in groups:
        members, pace = len(group.measured.group.members), group.pace
        moves = (
            ("", "", "")
            if pace is None
            else (format_rate(pace.arriving), format_rate(pace.committed), format_drain_time(pace, members))
        )
        count = Text(str(members), style="" if members else "red")
        table.add_row(printable(group.name), count, f"{group.measured.lag:,}", *moves)
    for name in sorted(set(REQUIRED_GROUPS) - {group.name for group in groups}):
        table.add_row(name, Text("0", style="red"), "", "", "", "")
    return table


def _group_json(group: GroupPace) -> dict[str, Any]:
    pace = group.pace
    return {
        "group": group.name,
        "members": len(group.measured.group.members),
        "lag": group.measured.lag,
        "coming_per_s": None if pace is None else round(pace.arriving, 3),
        "going_per_s": None if pace is None else round(pace.committed, 3),
        "metrics": as_metrics(group.measured),
    }
