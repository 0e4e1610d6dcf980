"""`sprat top`: the live table of an installation that others started."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from sprat.base.settings import KafkaSettings
from sprat.kafka.lag import REQUIRED_GROUPS
from sprat.telemetry import signals
from sprat_cli.board import GROUP_COLUMNS, Board, board_table
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.render import clock
from sprat_cli.terminal import printable, say_json
from sprat_cli.traffic import traffic_line, traffic_table
from sprat_operations.board import group_rows
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
    board = None if as_json else Board(Console(highlight=False))
    with explain_kafka_errors(kafka), board or nullcontext():
        try:
            asyncio.run(_watch(kafka, board, every, count))
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


async def _watch(kafka: KafkaSettings, board: Board | None, every_s: float, count: int | None) -> None:
    async with Traffic(kafka) as traffic:
        since_ms = int(time.time() * 1000)
        shown = 0
        while True:
            figures = await traffic.look()
            if board is None:
                say_json(_json(figures, traffic, since_ms))
            else:
                since = f"since {clock(since_ms)[:8]}"
                board.show(
                    _line(figures, traffic, since), Text(since, style="dim"), *_view(figures, traffic, board.width)
                )
            shown += 1
            if shown == count:
                return
            await asyncio.sleep(every_s)


def _line(figures: TrafficFigures, traffic: Traffic, since: str) -> str:
    line = f"{since}  {traffic_line(figures)}"
    if figures.measured:
        line += f"  dead letters {traffic.dead_letters}"
        silent = [group.name for group in traffic.groups if not group.measured.group.members]
        line += f"  groups without members: {', '.join(map(printable, silent))}" if silent else ""
    return line


def _view(figures: TrafficFigures, traffic: Traffic, width: int) -> Iterator[RenderableType]:
    yield traffic_table(figures)
    yield Text()
    if figures.measured:
        yield board_table(group_rows(traffic.groups, REQUIRED_GROUPS), GROUP_COLUMNS, width)
        yield Text(f"\ndead letters {traffic.dead_letters:,}", style="red" if traffic.dead_letters else "dim")
    elif figures.reachable:
        yield Text("a broker of Kafka does not answer, waiting for the others to take over", style="yellow")
    else:
        yield Text("Kafka does not answer, waiting", style="red")


def _json(figures: TrafficFigures, traffic: Traffic, since_ms: int) -> dict[str, Any]:
    return {
        "type": "top",
        "since": since_ms,
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
