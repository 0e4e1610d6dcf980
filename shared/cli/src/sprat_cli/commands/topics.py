"""`sprat topics create|list`: the topics of an installation against the table of the contracts."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat_cli.app import group_help, make_app
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.terminal import faint, paint, say, say_json, table
from sprat_contracts import Topic
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.topics import TopicState, create_topics, fix, list_topics

_CREATE = """\b
Examples:
  sprat topics create
  sprat topics create --partitions 16 --replication-factor 3

\b
Exit codes:
  0  services can start: every topic is there; what differs is shown, as another time that records are kept
  1  a topic cannot be used: its partitions, clean-up, timestamps or largest record; the output says what to do
  2  wrong usage, or Kafka cannot be reached"""
_LIST = """\b
Examples:
  sprat topics list
  sprat topics list --json | jq 'select(.status != "exists")'

\b
Exit codes:
  0  every topic is there and as it should be
  1  one is missing or differs; the output says what to do
  2  wrong usage, or Kafka cannot be reached"""

_COLOURS = {"created": "green", "exists": "green", "differs": "yellow", "missing": "red"}
_DAY_MS = 86_400_000

app = make_app(
    no_args_is_help=True,
    help="Create the topics, or compare them with what they should be.",
    epilog=group_help("topics", "create", "list --json"),
)

Partitions = Annotated[
    int | None,
    option("N", "Of all topics but models; never changed later. [SPRAT_KAFKA__PARTITIONS, else 8]", min=1, max=1024),
]


@app.command(epilog=_CREATE, short_help="Create the topics that are missing.")
def create(
    partitions: Partitions = None,
    replication_factor: Annotated[
        int | None, option("N", "Copies; of three or more, two acknowledge a record. [default: the broker's]", min=1)
    ] = None,
    *,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Create the topics that are missing; those that exist are never changed. Running it again does no harm.

    With three copies or more, min.insync.replicas is 2: one broker may be lost, and nothing is, and nothing stops.
    """
    kafka = kafka_settings(bootstrap, prefix, partitions)
    with explain_kafka_errors(kafka):
        factor = -1 if replication_factor is None else replication_factor
        states = asyncio.run(create_topics(client_arguments(kafka), kafka.topics, replication_factor=factor))
    _show(kafka, states, as_json=as_json)
    if not all(state.usable for state in states):
        raise typer.Exit(1)


@app.command("list", epilog=_LIST, short_help="Show the state of every topic.")
def list_(
    partitions: Partitions = None, *, as_json: Json = False, bootstrap: Bootstrap = None, prefix: Prefix = None
) -> None:
    """Show every topic of the installation, and where it is not what it should be."""
    kafka = kafka_settings(bootstrap, prefix, partitions)
    with explain_kafka_errors(kafka):
        states = asyncio.run(list_topics(client_arguments(kafka), kafka.topics))
    _show(kafka, states, as_json=as_json)
    if any(state.status in {"differs", "missing"} for state in states):
        raise typer.Exit(1)


def _show(kafka: KafkaSettings, states: Sequence[TopicState], *, as_json: bool) -> None:
    rows = list(zip(kafka.topics.table(), states, strict=True))
    if as_json:
        for topic, state in rows:
            say_json(_as_json(topic, state, kafka.bootstrap))
    else:
        for line in _as_table(rows, kafka.bootstrap):
            say(line)


def _as_table(rows: Sequence[tuple[Topic, TopicState]], bootstrap: str) -> list[str]:
    cells = [("TOPIC", "PARTITIONS", "COPIES", "CLEAN-UP", "KEPT", "MAX RECORD", "STATE")]
    cells += [(*_cells(topic, state), state.status) for topic, state in rows]
    head, *body = table(cells)
    lines = [faint(head)]
    for line, (_, state) in zip(body, rows, strict=True):
        lines.append(line.removesuffix(state.status) + paint(state.status, _COLOURS[state.status]))
        for each in state.differences:
            lines.append(f"  {each.setting}: {each.actual}, expected {each.expected}{each.effect}")
            lines.append(f"  → {fix(state.name, each, bootstrap)}")
    if any(state.status == "missing" for _, state in rows):
        lines.append("→ create what is missing: sprat topics create")
    return lines


def _cells(topic: Topic, state: TopicState) -> tuple[str, str, str, str, str, str]:
    kept = "for ever" if topic.retention_ms is None else f"{topic.retention_ms / _DAY_MS:g} d"
    count = str(topic.partitions if state.partitions is None else state.partitions)
    copies = "-" if state.copies is None else f"{state.copies}, min. {state.in_sync}"
    return topic.name, count, copies, topic.cleanup, kept, f"{topic.max_record_bytes // 1024} KiB"


def _as_json(topic: Topic, state: TopicState, bootstrap: str) -> dict[str, Any]:
    return {
        "name": state.name,
        "status": state.status,
        "partitions": state.partitions,
        "copies": state.copies,
        "in_sync": state.in_sync,
        "expected": {"partitions": topic.partitions, **topic.config()},
        "differences": [
            {
                "setting": each.setting,
                "expected": each.expected,
                "actual": each.actual,
                "mend": fix(state.name, each, bootstrap),
            }
            for each in state.differences
        ],
    }
