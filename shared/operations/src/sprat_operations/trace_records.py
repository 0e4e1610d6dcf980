"""The records that a text causes, each read as one step, and the trees that the steps make."""

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprat_contracts import BUILT_IN, DeadLetterReason, KafkaRecord, Traceparent
from sprat_contracts.dead_letters import ORIGIN_TOPIC
from sprat_contracts.headers import ATTRIBUTE, decoded
from sprat_contracts.ids import plain_text_identity
from sprat_contracts.structured import data_in, event_in, identity_in
from sprat_operations.record_summary import (
    ATTEMPT,
    CAUSAL_ORDER,
    REVIEWED,
    RecordKind,
    RecordSummary,
    requested_model_names,
    summarise,
)

Place = tuple[str, int, int]
"""Topic, partition, offset."""
Identity = tuple[str, str]
"""Source and id of a text."""

_TRACE_ID = re.compile("[0-9a-f]{32}")
_PLAIN_ID = re.compile(r"(\d{1,19})-(\d{1,19})")
_INSIDE: Mapping[RecordKind, tuple[str, ...]] = {
    RecordKind.request: ("prediction",),
    RecordKind.answer: ("request", "prediction"),
    RecordKind.review: ("prediction",),
}
"""The path in a value to the prediction that names the text."""

_ROUTER, _UNKNOWN_TASK = "router", "unknown_task"

_CAUSES: Mapping[RecordKind, tuple[RecordKind, ...]] = {
    RecordKind.text: (),
    RecordKind.prediction: (RecordKind.text,),
    RecordKind.request: (RecordKind.prediction, RecordKind.text),
    RecordKind.answer: (RecordKind.request,),
    RecordKind.result: (RecordKind.answer, RecordKind.prediction, RecordKind.request, RecordKind.text),
    RecordKind.review: (RecordKind.prediction, RecordKind.text),
    RecordKind.feedback: (RecordKind.review, RecordKind.result, RecordKind.text),
    RecordKind.review_closed: (RecordKind.review, RecordKind.text),
    RecordKind.alarm: (),
}
"""Kinds that can have caused a record, the likeliest first."""


@dataclass(frozen=True, slots=True)
class TraceStep:
    """A record that a text caused."""

    kind: RecordKind
    place: Place
    at_ms: int
    """When the broker appended it: epoch milliseconds."""
    service: str
    """The service that wrote it."""
    identity: Identity | None
    """The text that it belongs to; None where the record names none."""
    traceparent: Traceparent | None
    summary: RecordSummary
    task: str | None = None
    origin: tuple[int, int] | None = None
    """Partition and offset of the text, from the record."""
    text_at: int | None = None
    """The time at which the text was appended, from the record: epoch milliseconds."""
    cause: Place | None = None
    """Of a dead letter: the record that could not be handled."""
    ends_text: bool = False
    """Of a dead letter: whether the router rejected the whole text; one for unknown tasks leaves the known ones."""
    call_id: str | None = None
    simulated_calls: tuple[str, ...] = ()
    """Calls, by their ids in the audit, that a simulator received; the egress records do not say so."""
    tasks: tuple[str, ...] = ()
    """Of a text: the tasks asked for."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Task → the model of it that the text asks for, where the record holds what was submitted."""
    tenant: str | None = None
    bare_id: str | None = None
    """Of a CloudEvent that was to be a text, or its dead letter: the id, where the source is missing or unreadable."""
    replays: str = ""
    raw: bytes = field(default=b"", repr=False)

    @property
    def trace_id(self) -> str | None:
        """Return the id of its trace."""
        return None if self.traceparent is None else self.traceparent.trace_id


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """The text to find."""

    id: str
    """Its own id, or that of its trace."""
    source: str | None = None
    """None: whatever its source."""

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Return the forms of its id in headers and in JSON: every record that names it holds one of these."""
        forms = {self.id} | {json.dumps(self.id, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
        forms |= {form.replace("/", r"\/") for form in forms}
        return tuple(sorted(form.encode("utf-8", "surrogatepass") for form in forms))

    @property
    def plain(self) -> tuple[int, int] | None:
        """Return offset and timestamp where the id has the form that plain JSON records get."""
        found = _PLAIN_ID.fullmatch(self.id)
        return (int(found[1]), int(found[2])) if found else None

    @property
    def is_trace_id(self) -> bool:
        """Return whether the id has the form of a trace's, which an id of a text may have, too."""
        return _TRACE_ID.fullmatch(self.id) is not None

    def matches(self, identity: Identity | None, trace_id: str | None = None) -> bool:
        """Return whether it is this text."""
        if identity is None or self.source not in (None, identity[0]):
            return False
        return identity[1] == self.id or trace_id == self.id


def read_step(kind: RecordKind, record: KafkaRecord, record_kinds: Mapping[str, RecordKind]) -> TraceStep:
    """Read a record; one that does not fit its topic is a step with fewer fields."""
    headers = decoded(record.headers)
    value = _value(submitted_in(headers, record.value) if kind is RecordKind.text else record.value)
    prediction = _prediction_in(kind, value)
    identity, cause, ends_text = _identity(kind, record, headers, prediction), None, False
    is_text = kind is RecordKind.text
    summary, service = summarise(kind, value), headers.get("ce_source", "").rstrip("/").rpartition("/")[2]
    if kind is RecordKind.dead_letter:
        identity, cause, summary, service = _dead_letter(record, headers, record_kinds)
        is_text = cause is not None and record_kinds.get(cause[0]) is RecordKind.text
        ends_text = is_text and service == _ROUTER and summary.reason != _UNKNOWN_TASK
    elif is_text:
        service = identity[0] if identity else ""
    return TraceStep(
        kind=kind,
        place=(record.topic, record.partition, record.offset),
        at_ms=record.timestamp,
        service=service or "unknown",
        identity=identity,
        traceparent=Traceparent.parse(headers.get("traceparent"))
        or (Traceparent.root(*identity) if identity else None),
        summary=summary,
        task=_string(prediction.get("task")),
        origin=_place_in(prediction.get("origin")),
        text_at=_appended_at(prediction.get("origin")),
        cause=cause,
        ends_text=ends_text,
        call_id=_string(value.get("call_id")) if kind is RecordKind.egress else None,
        simulated_calls=tuple(_simulated_calls(value)),
        tasks=tuple(_asked(value.get("tasks"))) if kind is RecordKind.text else (),
        models=_requested_models(value if kind is RecordKind.text else prediction.get("submitted")),
        tenant=_string(value.get("tenant")) or _tenant(prediction),
        bare_id=_bare_id(headers, record.value) if is_text and identity is None else None,
        replays=headers.get("sprat_replays", ""),
        raw=record.value or b"",
    )


def _simulated_calls(value: Mapping[str, Any]) -> Iterable[str]:
    """Yield the calls that a Result, or an answer of the frontier, says a simulator received."""
    tiers = value.get("tiers")
    for each in (value, *(tiers if isinstance(tiers, list) else ())):
        egress = each.get("egress") if isinstance(each, dict) else None
        if isinstance(egress, dict) and egress.get("simulated") and isinstance(egress.get("call_id"), str):
            yield egress["call_id"]


def submitted_in(headers: Mapping[str, str], value: bytes | None) -> bytes | None:
    """Return the JSON of what a record of a text submits, unchecked: its value, or what is in it in structured mode."""
    event = event_in(headers, value)
    return value if event is None else data_in(event)


def _value(content: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(content or b"")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _prediction_in(kind: RecordKind, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part that names text, task and origin."""
    for name in _INSIDE.get(kind, ()):
        part = value.get(name)
        value = part if isinstance(part, dict) else {}
    return value


def _identity(
    kind: RecordKind, record: KafkaRecord, headers: Mapping[str, str], prediction: Mapping[str, Any]
) -> Identity | None:
    if kind is RecordKind.text:
        return text_identity(headers, record.value, record.topic, record.partition, record.offset, record.timestamp)
    source, id = _string(prediction.get("text_source")), _string(prediction.get("text_id"))
    return (source, id) if source is not None and id is not None else None


def text_identity(
    headers: Mapping[str, str], value: bytes | None, topic: str, partition: int, offset: int, timestamp_ms: int
) -> Identity | None:
    """Return source and id of a record on the texts topic; None for a CloudEvent that lacks one."""
    event = event_in(headers, value)
    if event is not None and (identity := identity_in(event)) is not None:
        return identity
    if event is not None or any(name.startswith(ATTRIBUTE) for name in headers):
        source, id = headers.get("ce_source"), headers.get("ce_id")
        return (source, id) if source and id else None
    return plain_text_identity(topic, partition, offset, timestamp_ms)


def _bare_id(headers: Mapping[str, str], value: bytes | None) -> str | None:
    """Return the id of a CloudEvent, whatever its source; None where it has none."""
    event = event_in(headers, value)
    return (_string(event.get("id")) if event is not None else None) or headers.get("ce_id") or None


def _dead_letter(
    record: KafkaRecord, headers: Mapping[str, str], record_kinds: Mapping[str, RecordKind]
) -> tuple[Identity | None, Place | None, RecordSummary, str]:
    """Return the text, the original record, the summary and the service of a dead letter."""
    try:
        reason = DeadLetterReason.from_headers((name, value or b"") for name, value in record.headers)
    except ValueError:
        return None, None, RecordSummary("not a dead letter of ours"), ""
    cause = (reason.topic, reason.partition, reason.offset)
    kind = record_kinds.get(headers.get(ORIGIN_TOPIC, ""))
    if kind is RecordKind.text:
        identity = text_identity(headers, record.value, *cause, reason.timestamp_ms)
    else:
        prediction = _prediction_in(kind, _value(record.value)) if kind is not None else {}
        identity = _identity(kind, record, headers, prediction) if kind is not None else None
    sentence = f"{reason.code}: {reason.detail}"
    return identity, cause, RecordSummary(sentence, "rejected", reason.code), reason.service


def _place_in(origin: Any) -> tuple[int, int] | None:
    if not isinstance(origin, dict):
        return None
    partition, offset = origin.get("partition"), origin.get("offset")
    return (partition, offset) if isinstance(partition, int) and isinstance(offset, int) else None


def _appended_at(origin: Any) -> int | None:
    appended_at = origin.get("appended_at") if isinstance(origin, dict) else None
    return appended_at if isinstance(appended_at, int) else None


def _tenant(prediction: Mapping[str, Any]) -> str | None:
    submitted = prediction.get("submitted")
    return _string(submitted.get("tenant")) if isinstance(submitted, dict) else None


def _requested_models(submitted: Any) -> Mapping[str, str]:
    tasks = submitted.get("tasks") if isinstance(submitted, dict) else None
    return requested_model_names(tasks) if isinstance(tasks, dict) else {}


def _asked(tasks: Any) -> Iterable[str]:
    return [name for name, options in tasks.items() if options is not None] if isinstance(tasks, dict) else []


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


@dataclass(slots=True)
class TraceNode:
    """A step and the steps that it caused."""

    step: TraceStep
    children: list["TraceNode"] = field(default_factory=list)


def in_time_order(steps: Iterable[TraceStep]) -> list[TraceStep]:
    """Return the steps in the order of the broker's clock; within a millisecond, causes first."""
    return sorted(steps, key=lambda step: (step.at_ms, CAUSAL_ORDER[step.kind], step.summary.decision, step.place))


def trace_trees(steps: Iterable[TraceStep]) -> list[TraceNode]:
    """Return the trees that the steps of one text make; more than one where a cause was not found."""
    ordered = in_time_order(steps)
    nodes = {step.place: TraceNode(step) for step in ordered}
    roots: list[TraceNode] = []
    for step in ordered:
        cause = cause_of(step, ordered)
        (roots if cause is None else nodes[cause.place].children).append(nodes[step.place])
    return roots


def cause_of(step: TraceStep, ordered: Sequence[TraceStep]) -> TraceStep | None:
    """Return the step that caused this one: of the same text and task, the latest before it.

    The clocks of several brokers differ: where none is before it, it is the first after it.
    """
    if step.kind is RecordKind.dead_letter:
        return next((each for each in ordered if each.place == step.cause), None)
    if step.kind is RecordKind.egress:
        return _of_call(step, ordered)
    causes = _CAUSES[step.kind]
    if step.kind is RecordKind.result and step.summary.decision == "kept":
        # An answer belongs to another delivery of the text, which was escalated.
        causes = tuple(kind for kind in causes if kind is not RecordKind.answer)
    if step.kind is RecordKind.feedback and step.summary.decision != REVIEWED:
        causes = tuple(kind for kind in causes if kind is not RecordKind.review)
    found = ([each for each in ordered if each.kind is kind and _fits(step, each)] for kind in causes)
    return next((_nearest(step, fitting, ordered) for fitting in found if fitting), None)


def _of_call(step: TraceStep, ordered: Sequence[TraceStep]) -> TraceStep | None:
    """Return the attempt of the same call, else the request that the call was made for."""
    calls = [each for each in ordered if each.kind is RecordKind.egress and each.call_id == step.call_id]
    attempts = [each for each in calls if each.summary.decision == ATTEMPT]
    if step.summary.decision != ATTEMPT and attempts:
        return _nearest(step, attempts, ordered)
    models = [each for each in ordered if each.kind is RecordKind.request and step.task in (None, each.task)]
    return _nearest(step, models, ordered) if models else None


def _nearest(step: TraceStep, fitting: Sequence[TraceStep], ordered: Sequence[TraceStep]) -> TraceStep:
    before = [each for each in fitting if ordered.index(each) < ordered.index(step)]
    return before[-1] if before else fitting[0]


def _fits(step: TraceStep, cause: TraceStep) -> bool:
    if cause.kind is RecordKind.text:
        return step.origin is None or step.origin == cause.place[1:]
    return step.task == cause.task and (step.origin is None or cause.origin in (None, step.origin))


def group_by_text(steps: Iterable[TraceStep]) -> dict[Identity, list[TraceStep]]:
    """Group the steps by text, in the order in which the texts came; leave out steps without a text."""
    groups: dict[Identity, list[TraceStep]] = {}
    for step in in_time_order(steps):
        if step.identity is not None:
            groups.setdefault(step.identity, []).append(step)
    return groups


def requested_models(steps: Iterable[TraceStep]) -> dict[str, str]:
    """Return task → the model of it that the text asks for, as far as the steps of one text hold it."""
    return {task: model for step in in_time_order(steps) for task, model in step.models.items()}


def tasks_without_result(steps: Iterable[TraceStep], tasks: Container[str] = BUILT_IN) -> tuple[str, ...]:
    """Return those of `tasks` that are asked for and have no Result, also where the text was rejected.

    Where the text itself was not found, its tasks are unknown, and none are returned.
    """
    every = in_time_order(steps)
    texts = [step for step in every if step.kind is RecordKind.text]
    done = {step.task for step in every if step.kind is RecordKind.result}
    return tuple(task for task in texts[-1].tasks if task in tasks and task not in done) if texts else ()


def rejection(steps: Iterable[TraceStep]) -> TraceStep | None:
    """Return the dead letter of the whole text, which ended it: nothing waits for a Result. None where there is none.

    Of a text that was published again, under the same id, only the last record counts.
    """
    every = in_time_order(steps)
    texts = [step for step in every if step.kind is RecordKind.text]
    letters = [step for step in every if step.ends_text and (not texts or step.cause == texts[-1].place)]
    return letters[-1] if letters else None
