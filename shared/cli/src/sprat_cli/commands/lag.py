"""`sprat lag`: how far each consumer group is behind, and when it will have caught up."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Annotated, Any

import typer

from sprat.base.words import counted
from sprat.kafka.cluster import GroupMember
from sprat.kafka.lag import REQUIRED_GROUPS
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.terminal import faint, paint, printable, remark, say, say_json, table
from sprat_cli.traffic import format_age, format_drain_time, format_rate
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.group_lag import NOBODY_SERVES, LagRow, measure_twice
from sprat_operations.lag import as_metrics

EPILOG = """\b
Examples:
  sprat lag
  sprat lag --group router --all
  sprat lag --over 10 --json | jq 'select(.type == "group") | {group, lag, drained_in_s}'

\b
It measures twice. COMING and GOING are records a second between the two; DRAINED IN is the time until the lag is 0 at
this pace, "steady" if the lag is only the records of the last few seconds. OLDEST is how long ago the first of them was
appended, by Kafka's clock; ? if you may not read the topic. Partitions without lag are left out, unless --all.
COMMITTED is the next offset a group reads; - if it has committed nothing in a partition yet. "retired" marks the group
of a withdrawn model: only texts from before its retirement count, and END is the offset after the last of them. Where
no service runs, up to 100,000 of them are read, and only those that ask for the model count. Once none is left and its
service has stopped, the group is left out, unless --all or --group asks for it.

\b
A group is named without the prefix here, and with it in metrics and in Kafka's own tools; --group takes both. Groups
whose names do not begin with the prefix and a dot, such as a consumer's shop-js, are not measured. While the provider
fails, hard cases wait: the frontier then has a lag, and GOING is 0 until their deadlines pass.

\b
The router publishes MEMBERS, LAG and OLDEST as the metrics sprat.group.members, sprat.group.lag and
sprat.group.oldest.age; with --json, `metrics` has them under these names, by topic.

\b
Exit codes:
  0  every group keeps up: it has no lag, or its lag falls, or is steady
  1  one does not, or has lag and no member; or a group of --group, else the router's or the frontier's, is missing
  2  wrong usage, or Kafka cannot be reached"""

HEAD = (
    "GROUP",
    "MEMBERS",
    "TOPIC",
    "PARTITION",
    "COMMITTED",
    "END",
    "LAG",
    "OLDEST",
    "COMING",
    "GOING",
    "DRAINED IN",
    "READ BY",
)
"""Of the table's columns."""


def lag(
    *,
    group: Annotated[list[str] | None, option("NAME", "Only this group; repeatable.")] = None,
    over: Annotated[
        float, typer.Option(min=0.5, max=600, metavar="SECONDS", help="Between the two measurements.")
    ] = 2.0,
    every: Annotated[bool, typer.Option("--all", help="Show partitions without lag, too.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show how far each consumer group is behind in each partition, and when it will have caught up."""
    kafka = kafka_settings(bootstrap, prefix)
    with explain_kafka_errors(kafka):
        measured = asyncio.run(measure_twice(kafka, over))
    for note in measured.notes:
        remark(note)
    # Metrics and Kafka's own tools name groups with the prefix.
    asked = [name.removeprefix(f"{kafka.prefix}.") for name in group or ()]
    rows = [
        row for name in sorted(measured.after.groups) if not asked or name in asked for row in measured.rows_of(name)
    ]
    rows = [row for row in rows if asked or every or as_json or not row.is_over]
    shown = [row for row in rows if row.whole or every or row.pace.lag or as_json]
    for line in map(_json, shown) if as_json else ():
        say_json(line)
    if not as_json and shown:
        _show(shown)
    for row in rows:
        if row.advice is not None:
            remark(row.advice)
        if (model := row.model_waited_for(kafka.topics.tasks)) is not None:
            remark(NOBODY_SERVES.format(texts=counted(row.pace.lag, "text"), model=printable(model)))
    missing = _missing(measured.after.groups, asked)
    for name in missing:
        whole, running = f"{kafka.prefix}.{printable(name)}", "it" if measured.after.groups else "anything"
        remark(
            f"there is no consumer group {whole}, but {printable(name)}: only groups with the prefix are measured. "
            f"Call yours {whole}, or ask kafka-consumer-groups.sh --describe"
            if name in measured.names
            else f"there is no consumer group {whole}: is {running} running on this Kafka, with this prefix?"
        )
    raise typer.Exit(0 if not missing and all(row.keeps_up for row in rows if row.whole) else 1)


def _missing(found: Collection[str], asked: Sequence[str]) -> list[str]:
    """Return the missing groups, of those asked for or else of those that every installation needs."""
    if not asked and not found:
        return ["…"]
    return [name for name in dict.fromkeys(asked or REQUIRED_GROUPS) if name not in found]


def _show(rows: Sequence[LagRow]) -> None:
    head, *lines = table([HEAD, *map(_cells, rows)])
    say(faint(head))
    for row, line in zip(rows, lines, strict=True):
        say(line if row.keeps_up else paint(line, "red"))


def _cells(row: LagRow) -> tuple[str, ...]:
    group = row.measured.group
    members = len(group.members)
    paces = (
        f"{row.pace.lag:,}",
        format_age(row.measured.oldest_age_s) if row.pace.lag else "",
        format_rate(row.pace.arriving),
        format_rate(row.pace.committed),
        format_drain_time(row.pace, members),
    )
    if row.whole:
        return (printable(group.name), str(members), "", "", "", "", *paces, _state(row))
    (each,) = row.measured.partitions
    committed = "-" if each.committed is None else str(each.committed)
    place = (each.partition.topic, str(each.partition.partition), committed, str(each.end))
    return ("", "", *place, *paces, _reader(group.reader_of(each.partition)))


def _state(row: LagRow) -> str:
    group = row.measured.group
    if not group.members:
        return "nobody, retired" if row.retired else "nobody"
    state = "" if group.state == "Stable" else printable(group.state)
    return ", ".join(part for part in (state, "retired" * row.retired) if part)


def _reader(member: GroupMember | None) -> str:
    return "nobody" if member is None else printable(f"{member.client}@{member.host}")


def _json(row: LagRow) -> dict[str, Any]:
    group, age = row.measured.group, row.measured.oldest_age_s
    drained = row.pace.drained_in_s if group.members or not row.pace.lag else None
    measured = {
        "lag": row.pace.lag,
        "oldest_age_s": None if age is None else round(age, 3),
        "coming_per_s": round(row.pace.arriving, 3),
        "going_per_s": round(row.pace.committed, 3),
        "drained_in_s": None if drained is None else round(drained, 1),
        "keeps_up": row.keeps_up,
    }
    if row.whole:
        members = [
            {"client": each.client, "host": each.host, "partitions": len(each.partitions)} for each in group.members
        ]
        return {
            "type": "group",
            "group": group.name,
            "state": group.state,
            "retired": row.retired,
            **measured,
            "members": members,
            "metrics": as_metrics(row.measured),
        }
    (each,) = row.measured.partitions
    holder = group.reader_of(each.partition)
    place = {"topic": each.partition.topic, "partition": each.partition.partition}
    offsets = {"committed": each.committed, "end": each.end}
    read_by = None if holder is None else {"client": holder.client, "host": holder.host}
    return {"type": "partition", "group": group.name, **place, **offsets, **measured, "read_by": read_by}
