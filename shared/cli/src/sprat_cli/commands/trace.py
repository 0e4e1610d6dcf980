"""`sprat trace`: every record that a text caused, across all topics, as a tree."""

import asyncio
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from sprat.base.model import display_name
from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat_cli.options import Bootstrap, Json, Prefix, argument, kafka_settings, option, time_before_now
from sprat_cli.progress import read_progress
from sprat_cli.terminal import printable, remark, say_json
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.record_summary import OUTCOME, RecordKind
from sprat_operations.topic_reader import TopicReader
from sprat_operations.trace import TraceResult
from sprat_operations.trace import trace as find
from sprat_operations.trace_records import (
    TraceNode,
    TraceQuery,
    TraceStep,
    cause_of,
    group_by_text,
    in_time_order,
    rejection,
    requested_models,
    tasks_without_result,
    trace_trees,
)

EPILOG = """\b
Examples:
  sprat trace order-4711
  sprat trace 4711 --source /crm --since 2d
  sprat trace 17-1764086400123 --json | jq .reason
  sprat trace order-4711 --raw

\b
TEXT_ID is the text's CloudEvents id; of a text sent as plain JSON, OFFSET-TIMESTAMP: `sprat send`, `sprat watch` and
every Result show it. The id of its trace, of 32 digits from 0 to f, finds it, too. Below each record are those that
it caused, with the milliseconds since the text by the broker's clock, the service that wrote it, what it says and
why. `intent@hr`: the text asks for the model `hr` of that task. Calls to a frontier are found by their trace id.
Topics that you may not read are skipped, and named.

\b
Exit codes:
  0  found, and every known task that it asks for has its Result
  1  nothing was found, or a task has no Result yet
  2  wrong usage, or Kafka cannot be reached
  3  the router rejected the text: it ended as a dead letter, and no Result will come"""

_COLOURS = {
    RecordKind.dead_letter: "red",
    RecordKind.result: "green",
    RecordKind.egress: "yellow",
    RecordKind.feedback: "cyan",
}
_REASONS: Mapping[str, str] = {
    "declined": "the small model declined",
    "no_service": "no small model served it",
}
"""Reasons of a Result's route whose codes do not say who."""
_STATUS_COLOURS = {"degraded": "yellow", "unanswered": "red"}
_PIPED_WIDTH = 10_000
"""A pipe has no width: each record is one line."""


def trace(
    text_id: Annotated[str, argument("TEXT_ID", "The id of the text.")],
    *,
    source: Annotated[str | None, option("SOURCE", "Its CloudEvents source, if several texts have the id.")] = None,
    since: Annotated[str, typer.Option(metavar="SPAN", help="Look back so far: 10m, 2h, 7d.")] = "1h",
    raw: Annotated[bool, typer.Option("--raw", help="Show every record's value, with the text.")] = False,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show every record that a text caused, across all topics. The text itself is not shown."""
    since_ms = time_before_now(since)
    kafka = kafka_settings(bootstrap, prefix)
    with explain_kafka_errors(kafka):
        found = asyncio.run(_find(kafka, TraceQuery(text_id, source), since_ms))
    texts = group_by_text(found.steps)
    if as_json:
        for steps in texts.values():
            _say_steps(steps, found, raw=raw)
    else:
        _show(texts.values(), found, raw=raw)
    if found.unreadable_topics:
        remark(f"not looked at: {'; '.join(f'{topic}, {why}' for topic, why in found.unreadable_topics.items())}")
    if not texts:
        remark(
            f"no record of {printable(text_id)} in the last {since}: look back further with --since; its transaction "
            "may have been aborted; or its id or source could not be read, then `sprat dlq list` has it"
        )
    raise typer.Exit(_exit_code(texts.values(), found))


def _exit_code(texts: Iterable[Sequence[TraceStep]], found: TraceResult) -> int:
    """Return 1 where nothing was found or a Result may still come; else 3 where a text was rejected without one."""
    codes = {_exit_code_of(steps, found) for steps in texts}
    return 1 if not codes or 1 in codes else max(codes)


def _exit_code_of(steps: Sequence[TraceStep], found: TraceResult) -> int:
    waits = bool(tasks_without_result(steps, found.tasks))
    if rejection(steps) is None:
        return int(waits)
    return 3 if waits or all(step.kind is not RecordKind.result for step in steps) else 0


async def _find(kafka: KafkaSettings, query: TraceQuery, since_ms: int) -> TraceResult:
    with read_progress("looking") as progress:
        async with TopicReader(client_arguments(kafka), progress) as reader:
            return await find(reader, kafka.topics, query, since_ms)


def began_at(steps: Sequence[TraceStep]) -> int:
    """Return when the text was appended, from its record or from records that refer to it."""
    texts = [step.at_ms for step in steps if step.kind is RecordKind.text]
    said = [step.text_at for step in steps if step.text_at is not None]
    return min(texts or said or [step.at_ms for step in steps])


def _show(texts: Any, found: TraceResult, *, raw: bool) -> None:
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    for steps in texts:
        console.print(_tree(steps, found, raw=raw))


def _tree(steps: Sequence[TraceStep], found: TraceResult, *, raw: bool) -> Tree:
    began, models = began_at(steps), requested_models(steps)
    simulated = {call for step in steps for call in step.simulated_calls}
    tree = Tree(_head(steps))
    for root in trace_trees(steps):
        _grow(tree, root, _Shown(began, models, found.shared_calls, simulated, raw))
    for task in () if rejection(steps) is not None else tasks_without_result(steps, found.tasks):
        tree.add(Text(printable(f"no Result yet: {display_name(task, models.get(task))}"), style="red"))
    return tree


def _head(steps: Sequence[TraceStep]) -> Text:
    source, id = steps[0].identity or ("", "")
    tenants = dict.fromkeys(step.tenant for step in in_time_order(steps) if step.tenant is not None)
    traces = sorted({step.trace_id for step in steps if step.trace_id is not None})
    head = Text(printable(id), style="bold")
    parts = [
        f"from {source}" if source else "without a source",
        *([f"tenant {', then '.join(tenants)}"] if tenants else []),
        *(f"trace {each}" for each in traces),
    ]
    return head.append(printable("  " + " · ".join(parts)), style="not bold")


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is known of all steps of a text, for the line of each."""

    began: int
    """When the text was appended: epoch milliseconds."""
    models: Mapping[str, str]
    """Task → the model of it that the text asks for."""
    shared_calls: Container[str | None]
    simulated_calls: Container[str | None]
    raw: bool


def _grow(above: Tree, node: TraceNode, shown: _Shown) -> None:
    branch = above.add(_line(node.step, shown))
    if shown.raw:
        branch.add(Text(printable(node.step.raw.decode("utf-8", "replace")), style="dim"))
    for child in node.children:
        _grow(branch, child, shown)


def _line(step: TraceStep, shown: _Shown) -> Text:
    line = Text(f"{step.at_ms - shown.began:+,} ms".replace("+0 ms", "0 ms"), style="bold")
    # A specialist is named after its task; the text's model says which one of several answered.
    line.append(f"  {printable(display_name(step.service, shown.models.get(step.service)))}  ", style="not bold")
    line.append(step.kind.replace("_", " "), style=_colour(step))
    simulated = " (simulated)" * (step.summary.decision == OUTCOME and step.call_id in shown.simulated_calls)
    said = [
        step.summary.sentence + simulated,
        *_why(step),
        *([f"replay {step.replays}"] if step.replays.strip("0") else []),
    ]
    line.append("  " + printable(" · ".join(part for part in said if part)), style="not bold")
    if step.call_id in shown.shared_calls:
        line.append(" · other texts have this trace: it may be theirs", style="not bold yellow")
    topic, partition, offset = step.place
    return line.append(f"  {topic} {partition}@{offset}", style="not bold dim")


def _colour(step: TraceStep) -> str:
    status = re.split("[ ,]", step.summary.sentence)[0] if step.kind is RecordKind.result else ""
    return f"not bold {_STATUS_COLOURS.get(status, _COLOURS.get(step.kind, 'default'))}"


def _why(step: TraceStep) -> list[str]:
    """Return decision and reason, unless the sentence contains them already."""
    summary = step.summary
    if step.kind is RecordKind.result:
        return [f"{summary.decision}: {_REASONS.get(summary.reason, summary.reason)}"]
    if not summary.reason or summary.reason in summary.sentence:
        return [f"task {step.task}"] if step.kind is RecordKind.feedback and step.task else []
    return [summary.reason]


def _say_steps(steps: Sequence[TraceStep], found: TraceResult, *, raw: bool) -> None:
    began, ordered, models = began_at(steps), in_time_order(steps), requested_models(steps)
    for step in ordered:
        row = _step_json(step, cause_of(step, ordered), began, shared=step.call_id in found.shared_calls, raw=raw)
        say_json(row | {"asked_model": models.get(step.task or step.service)})
    source, id = steps[0].identity or ("", "")
    ended_by = rejection(steps)
    say_json(
        {
            "type": "traced",
            "text_id": id,
            "text_source": source or None,
            "records": len(steps),
            "took_ms": ordered[-1].at_ms - began,
            "without_result": list(tasks_without_result(steps, found.tasks)),
            "ended_by": None if ended_by is None else {"code": ended_by.summary.reason, **_place_json(ended_by)},
            "not_looked_at": found.unreadable_topics,
        }
    )


def _step_json(step: TraceStep, cause: TraceStep | None, began: int, *, shared: bool, raw: bool) -> dict[str, Any]:
    source, id = step.identity or ("", "")
    row: dict[str, Any] = {
        "type": step.kind.value,
        "after_ms": step.at_ms - began,
        "at_ms": step.at_ms,
        "service": step.service,
        "task": step.task,
        "tenant": step.tenant,
        "says": step.summary.sentence,
        "decision": step.summary.decision or None,
        "reason": step.summary.reason or None,
        **_place_json(step),
        "cause": None if cause is None else _place_json(cause),
        "call_id": step.call_id,
        "perhaps_of_another": shared,
        "text_id": id,
        "text_source": source or None,
        "trace_id": step.trace_id,
    }
    return row | {"value": step.raw.decode("utf-8", "replace")} if raw else row


def _place_json(step: TraceStep) -> dict[str, Any]:
    topic, partition, offset = step.place
    return {"topic": topic, "partition": partition, "offset": offset}
