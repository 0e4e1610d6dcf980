"""`sprat lag`: how far each consumer group is behind, and when it will have caught up."""

import asyncio
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer
from aiokafka.errors import TopicAuthorizationFailedError

from sprat.base.errors import Fatal, UserError
from sprat.base.settings import KafkaSettings
from sprat.base.words import counted
from sprat.kafka.clients import client_arguments
from sprat.kafka.cluster import GroupMember
from sprat.kafka.lag import REQUIRED_GROUPS, GroupLag, LagMeter, LagSnapshot, OwnTexts, limit_to_owned
from sprat_cli.options import Bootstrap, Json, Prefix, kafka_settings, option
from sprat_cli.terminal import faint, paint, printable, remark, say, say_json, table
from sprat_cli.traffic import format_age, format_drain_time, format_rate, keeps_up
from sprat_operations.connection import explain_kafka_errors, reading_signatures
from sprat_operations.lag import Pace, as_metrics, count_own_texts, pace_between
from sprat_operations.models import read_registered_models

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
FRONTIER = "frontier"
_FRONTIER_WAITS = (
    "the frontier may well be at work: it finishes no hard case before the provider answers or the deadline passes; "
    "observability/runbooks/SpratProviderDown.md, metric sprat_breaker"
)
_HANGS = (
    "{group} has committed nothing between the two measurements: look at its log, and restart it if it says nothing or "
    "tries again and again; observability/runbooks/SpratTextsWaitTooLong.md"
)
_FALLS_BEHIND = (
    "{group} commits less than arrives: start more instances, one for each partition at most; "
    "observability/runbooks/SpratGroupBehind.md"
)
_UNREAD = (
    "{group} does not read {topics}, though its members run: restart it, it learns its topics when it starts; "
    "`sprat doctor` says how"
)
_NOBODY_SERVES = (
    "{texts} came, and no service runs for {model}: what asks for it waits, however long. Start its service, or retire "
    "it, so that new texts are escalated: sprat models retire {model}"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A group in all its partitions, or in one."""

    measured: GroupLag
    """In these partitions."""
    pace: Pace
    whole: bool
    retired: bool = False
    """Whether its model was withdrawn."""

    @property
    def keeps_up(self) -> bool:
        """Whether the lag is 0, falls, or holds only what has just arrived."""
        return keeps_up(self.pace, len(self.measured.group.members))

    @property
    def is_over(self) -> bool:
        """Whether it is the group of a withdrawn model that has nothing left to do, and whose service has stopped."""
        return self.retired and not self.pace.lag and not self.measured.group.members

    def model_waited_for(self, tasks: Container[str]) -> str | None:
        """Return the model, as `task/model`, whose texts wait although no service runs for it; None where none does."""
        task, _, model = self.measured.group.name.partition(".")
        waits = self.whole and not self.retired and self.pace.lag and not self.measured.group.members
        return f"{task}/{model}" if waits and task in tasks and model else None

    @property
    def seems_to_hang(self) -> bool:
        """Whether a group with members has a lag and has committed nothing between the measurements."""
        return bool(self.whole and self.pace.lag and self.measured.group.members and not self.pace.committed)

    @property
    def advice(self) -> str | None:
        """What to do about a group with members that does not keep up; None where it does."""
        if not self.whole or not self.measured.group.members:
            return None
        if unread := dict.fromkeys(each.topic for each in self.measured.unread):
            return _UNREAD.format(group=printable(self.measured.group.name), topics=", ".join(unread))
        if self.keeps_up:
            return None
        if self.seems_to_hang and self.measured.group.name == FRONTIER:
            return _FRONTIER_WAITS
        return (_HANGS if self.seems_to_hang else _FALLS_BEHIND).format(group=printable(self.measured.group.name))


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
        before, after, withdrawn, others = asyncio.run(_measure_twice(kafka, over))
    # Metrics and Kafka's own tools name groups with the prefix.
    asked = [name.removeprefix(f"{kafka.prefix}.") for name in group or ()]
    rows = [
        row
        for name, each in sorted(after.groups.items())
        if not asked or name in asked
        for row in _rows(before.groups.get(name), each, after.at_s - before.at_s, retired=name in withdrawn)
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
            remark(_NOBODY_SERVES.format(texts=counted(row.pace.lag, "text"), model=printable(model)))
    missing = _missing(after.groups, asked)
    for name in missing:
        whole, running = f"{kafka.prefix}.{printable(name)}", "it" if after.groups else "anything"
        remark(
            f"there is no consumer group {whole}, but {printable(name)}: only groups with the prefix are measured. "
            f"Call yours {whole}, or ask kafka-consumer-groups.sh --describe"
            if name in others
            else f"there is no consumer group {whole}: is {running} running on this Kafka, with this prefix?"
        )
    raise typer.Exit(0 if not missing and all(row.keeps_up for row in rows if row.whole) else 1)


def _missing(found: Collection[str], asked: Sequence[str]) -> list[str]:
    """Return the missing groups, of those asked for or else of those that every installation needs."""
    if not asked and not found:
        return ["…"]
    return [name for name in dict.fromkeys(asked or REQUIRED_GROUPS) if name not in found]


async def _measure_twice(
    kafka: KafkaSettings, seconds: float
) -> tuple[LagSnapshot, LagSnapshot, OwnTexts, frozenset[str]]:
    """Return the two measurements, the withdrawn models, and the names of all groups on this Kafka."""
    async with LagMeter(client_arguments(kafka), kafka.topics) as meter:
        before = await meter.measure()
        await asyncio.sleep(seconds)
        after = await meter.measure()
        if not any(partition.topic == kafka.topics.texts for partition in after.ends):
            raise UserError(f"there is no topic {kafka.topics.texts}: run `sprat topics create`")
        withdrawn = await _withdrawn(kafka, after)
        own = await count_own_texts(client_arguments(kafka), kafka.topics, limit_to_owned(after, withdrawn), withdrawn)
        after = await meter.with_ages(own)
        names = await meter.group_names()
    for right in sorted(meter.denied):
        remark(f"not everything is shown; Kafka's ACLs deny: {printable(right)}")
    return limit_to_owned(before, withdrawn), after, withdrawn, names


async def _withdrawn(kafka: KafkaSettings, measured: LagSnapshot) -> OwnTexts:
    """Return the withdrawn models; none if no model has a group, or if the user may not read them."""
    if not any(name.partition(".")[0] in kafka.topics.tasks for name in measured.groups):
        return {}
    try:
        return (await read_registered_models(kafka, reading_signatures(kafka))).withdrawn
    except (Fatal, TopicAuthorizationFailedError) as error:
        remark(f"it is not known which models are retired: {error or type(error).__name__}")
        return {}


def _rows(before: GroupLag | None, after: GroupLag, seconds: float, *, retired: bool) -> list[Row]:
    """Return a group's row, and one for each of its partitions."""
    known = () if before is None else before.partitions
    whole = Row(after, pace_between(known, after.partitions, seconds), whole=True, retired=retired)
    parts = [
        Row(replace(after, partitions=(each,)), pace_between(known, [each], seconds), whole=False)
        for each in after.partitions
    ]
    return [whole, *parts]


def _show(rows: Sequence[Row]) -> None:
    head, *lines = table([HEAD, *map(_cells, rows)])
    say(faint(head))
    for row, line in zip(rows, lines, strict=True):
        say(line if row.keeps_up else paint(line, "red"))


def _cells(row: Row) -> tuple[str, ...]:
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


def _state(row: Row) -> str:
    group = row.measured.group
    if not group.members:
        return "nobody, retired" if row.retired else "nobody"
    state = "" if group.state == "Stable" else printable(group.state)
    return ", ".join(part for part in (state, "retired" * row.retired) if part)


def _reader(member: GroupMember | None) -> str:
    return "nobody" if member is None else printable(f"{member.client}@{member.host}")


def _json(row: Row) -> dict[str, Any]:
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
