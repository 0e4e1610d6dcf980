"""Fills screen 3 from the records of a text: `one_text`."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sprat_gateway.page.queries.health import replay_command
from sprat_gateway.page.queries.left import calls_of, left_of
from sprat_gateway.page.queries.one_text import Hop, OneText, Rejection, ResultView, SmallModelView, TaskPath
from sprat_gateway.page.queries.viewer import HiddenText, Viewer
from sprat_gateway.page.store import uuid_bytes
from sprat_operations.record_summary import OUTCOME, RecordKind, RecordSummary, short_answer, summarise
from sprat_operations.trace_records import TraceNode, TraceStep, trace_trees

_OWN: Final = "SELECT * FROM texts WHERE uuid = ? AND tenant = ? AND source = ?"
_RECORDS: Final = """SELECT topics.name AS topic, partition, offset, kind, task, at, service, value FROM records
JOIN topics ON topics.number = records.topic WHERE text = ? AND expires > ? ORDER BY at"""
_LETTERS: Final = "SELECT * FROM letters WHERE text = ? AND expires > ? ORDER BY at"
_UNREAD_MS: Final = 3_600_000
"""For so long a text of the door may have no record yet: then the store is behind."""
_FIRST: Final = "SELECT task, partition, offset FROM results WHERE text = ?"


@dataclass(slots=True)
class Stored:
    """All that the store holds of a text."""

    text: sqlite3.Row
    records: Sequence[tuple[sqlite3.Row, Mapping[str, Any]]]
    """Each with its value."""
    letters: Sequence[sqlite3.Row]
    calls: Sequence[sqlite3.Row]
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Task → partition and offset of the Result that counts."""

    @property
    def place(self) -> tuple[int, int] | None:
        """Partition and offset of the text: others may have published a record with its id. None: not known."""
        if self.text["sent_offset"] is not None:
            return self.text["sent_partition"], self.text["sent_offset"]
        origin = next((value["origin"] for value in self.of(RecordKind.result)), None)
        return None if origin is None else (origin["partition"], origin["offset"])

    @property
    def submitted(self) -> Mapping[str, Any]:
        """What the text submits: the newest where its place is not known; nothing where it is not here."""
        texts = [(row, value) for row, value in self.records if row["kind"] == RecordKind.text]
        own = [value for row, value in texts if self.place in (None, (row["partition"], row["offset"]))]
        return own[-1] if own else {}

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """The dead letters of the text and of what it caused."""
        return tuple(
            _rejection(each)
            for each in self.letters
            if not each["ends_text"] or self.place in (None, (each["origin_partition"], each["origin_offset"]))
        )

    def of(self, kind: RecordKind, task: str | None = None) -> list[Mapping[str, Any]]:
        """Return the values of a kind, of one task where it is given, the oldest first."""
        return [value for row, value in self.records if row["kind"] == kind and task in (None, row["task"])]

    def result(self, task: str) -> tuple[sqlite3.Row, Mapping[str, Any]] | None:
        """Return the Result that counts."""
        place = self.counts.get(task)
        for row, value in self.records:
            is_result = row["kind"] == RecordKind.result and row["task"] == task
            if is_result and (row["partition"], row["offset"]) == place:
                return row, value
        return None


def one_text(connection: sqlite3.Connection, viewer: Viewer, uuid: str, now_ms: int) -> OneText | None:
    """Return the screen of a text; None where there is none of this tenant and source."""
    key = uuid_bytes(uuid)
    row = None if key is None else connection.execute(_OWN, (key, viewer.tenant, viewer.source)).fetchone()
    if row is None:
        return None
    found = connection.execute(_RECORDS, (row["id"], now_ms)).fetchall()
    records = [(each, json.loads(each["value"])) for each in found]
    letters = connection.execute(_LETTERS, (row["id"], now_ms)).fetchall()
    if not records and not letters and row["at"] <= now_ms - _UNREAD_MS:
        return None  # its parts have expired
    answers = [value for each, value in records if each["kind"] == RecordKind.answer]
    calls = calls_of(connection, row, answers, now_ms)
    counts = {task: (partition, offset) for task, partition, offset in connection.execute(_FIRST, (row["id"],))}
    stored = Stored(row, records, letters, calls, counts)
    submitted, rejections = stored.submitted, stored.rejections
    tasks = tuple(_task(stored, submitted, task, viewer, rejections) for task in _tasks(stored))
    text = submitted.get("text")
    results = stored.of(RecordKind.result)
    return OneText(
        uuid=str(UUID(bytes=row["uuid"])),
        id=row["text_id"],
        source=row["source"],
        tenant=row["tenant"],
        at_ms=row["at"],
        reference=dict(submitted.get("reference") or next((each.get("reference") or {} for each in results), {})),
        hidden=None if text is None else HiddenText(len(text), _language(stored, submitted), _masked(results)),
        text=text if viewer.texts else None,
        trace_id=row["trace"],
        complete=all(each.waits_for is None for each in tasks) and bool(tasks or rejections),
        tasks=tasks,
        hops=tuple(_hops(stored)),
        left=tuple(left_of(row, answers, calls, results, texts=viewer.texts)),
        rejections=rejections,
        seq=len(records) + len(letters) + len(calls) + sum(call["outcome"] is not None for call in calls),
    )


def _tasks(stored: Stored) -> list[str]:
    """Return the tasks of a text in the order in which it asks for them."""
    asked = json.loads(stored.text["tasks"] or "[]")
    seen = [row["task"] for row, _ in stored.records if row["task"] is not None]
    requested = [task for value in stored.of(RecordKind.result) for task in value["requested"]]
    return list(dict.fromkeys([*asked, *requested, *seen]))


def _language(stored: Stored, submitted: Mapping[str, Any]) -> str:
    """Return the language that the text was read in, else what it names."""
    for value in (*stored.of(RecordKind.result), *stored.of(RecordKind.prediction)):
        if (detected := value.get("language_detected")) is not None:
            return str(detected["language"])
    named = submitted.get("language") or next((each["language"] for each in stored.of(RecordKind.result)), "auto")
    return str(named)


def _masked(results: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    masked: dict[str, int] = {}
    for value in results:
        for kind, count in ((value.get("egress") or {}).get("masked") or {}).items():
            masked[kind] = max(count, masked.get(kind, 0))
    return masked


def _task(
    stored: Stored, submitted: Mapping[str, Any], task: str, viewer: Viewer, rejections: Sequence[Rejection]
) -> TaskPath:
    result = stored.result(task)
    small = _small(stored, task)
    options = (submitted.get("tasks") or {}).get(task) or {}
    asked = options.get("model") or ("default" if result is None else result[1].get("asked_model") or "default")
    answer = None if result is None else _answer(*result, stored.text["at"], texts=viewer.texts)
    ended = answer is not None or any(each.whole for each in rejections)
    return TaskPath(
        task, asked, tuple(options.get("labels") or ()), small, answer, None if ended else _waits_for(stored, task)
    )


def _waits_for(stored: Stored, task: str) -> str:
    if stored.of(RecordKind.answer, task):
        return "router"
    if stored.of(RecordKind.request, task):
        return "frontier"
    return "router" if stored.of(RecordKind.prediction, task) else task


def _small(stored: Stored, task: str) -> SmallModelView | None:
    value = next(reversed(stored.of(RecordKind.prediction, task)), None)
    if value is None:
        return None
    model, accuracy, declined = value.get("model") or {}, value.get("accuracy") or {}, value.get("declined")
    return SmallModelView(
        model=model.get("name"),
        version=model.get("version"),
        stage=model.get("stage"),
        answer="" if value["output"] is None else short_answer(value["output"], task),
        declined=None if declined is None else declined["code"],
        confidence=value.get("confidence"),
        certified=accuracy.get("certified"),
        estimated=accuracy.get("estimated"),
        renormalised=bool(value.get("renormalised")),
        cached=bool(value.get("cached")),
    )


def _answer(row: sqlite3.Row, value: Mapping[str, Any], arrived: int, *, texts: bool) -> ResultView:
    route, model, output = value["route"], value.get("model") or {}, value["output"]
    declined = value.get("declined")
    causes = [] if declined is None else declined.get("causes") or [declined]
    return ResultView(
        status=value["status"],
        decision=route["decision"],
        reason=route["reason"],
        source=value["source"],
        tier=next((each["tier"] for each in value.get("tiers") or () if each["outcome"] == "kept"), None),
        model=model.get("name"),
        version=model.get("version"),
        answer="" if output is None else short_answer(output, value["task"]),
        output=output if texts else None,
        confidence=value.get("confidence"),
        renormalised=bool(value.get("renormalised")),
        level=route.get("level"),
        goal=route.get("goal"),
        evidence=route.get("evidence"),
        threshold=route.get("threshold"),
        cached=bool(value.get("cached")),
        cost_eur=value.get("cost_eur") or 0.0,
        total_ms=max(0, row["at"] - arrived),
        causes=tuple((each["code"], each.get("detail") or "") for each in causes),
        warnings=tuple((each["code"], each.get("detail") or "") for each in value.get("warnings") or ()),
    )


def _rejection(letter: sqlite3.Row) -> Rejection:
    return Rejection(
        code=letter["code"],
        detail=letter["detail"],
        service=letter["service"],
        at_ms=letter["at"],
        partition=letter["partition"],
        offset=letter["offset"],
        whole=bool(letter["ends_text"]),
        command=replay_command(letter["code"], letter["service"]),
    )


def _hops(stored: Stored) -> Iterable[Hop]:
    """Yield the records of a text as `sprat trace` orders them: each behind what caused it."""
    text = stored.text
    identity = (text["source"], text["text_id"])
    steps = [
        _step(RecordKind(row["kind"]), row, identity, summarise(RecordKind(row["kind"]), value))
        for row, value in stored.records
    ]
    steps += [step for call in stored.calls for step in _call_steps(call, identity)]
    steps += [_letter_step(letter, identity) for letter in stored.letters]
    for root in trace_trees({step.place: step for step in steps}.values()):
        yield from _with_causes(root, text["at"], 0)


def _with_causes(node: TraceNode, began: int, depth: int) -> Iterable[Hop]:
    step, (topic, partition, offset) = node.step, node.step.place
    said = step.summary
    place = (topic, partition, offset, step.at_ms, max(0, step.at_ms - began), depth)
    yield Hop(step.kind, step.service, step.task, *place, said.sentence, said.decision, said.reason)
    for child in node.children:
        yield from _with_causes(child, began, depth + 1)


def _step(
    kind: RecordKind, row: sqlite3.Row, identity: tuple[str, str], summary: RecordSummary, call_id: str | None = None
) -> TraceStep:
    place = (row["topic"], row["partition"], row["offset"])
    return TraceStep(kind, place, row["at"], row["service"], identity, None, summary, row["task"], call_id=call_id)


def _call_steps(call: sqlite3.Row, identity: tuple[str, str]) -> Iterable[TraceStep]:
    value = {name: call[name] for name in ("provider", "region", "bytes_out", "outcome", "cost_eur")}
    value["masked"] = json.loads(call["masked"])
    for phase, at, partition, offset in (
        ("attempt", call["at"], call["partition"], call["offset"]),
        (OUTCOME, call["ended"], call["ended_partition"], call["ended_offset"]),
    ):
        if at is not None and call["topic"] is not None:
            summary = summarise(RecordKind.egress, {**value, "phase": phase})
            place = (call["topic"], partition, offset)
            named = {"task": call["task"], "call_id": call["call_id"]}
            yield TraceStep(RecordKind.egress, place, at, "frontier", identity, None, summary, **named)


def _letter_step(letter: sqlite3.Row, identity: tuple[str, str]) -> TraceStep:
    place = (letter["topic"], letter["partition"], letter["offset"])
    cause = (letter["origin_topic"], letter["origin_partition"], letter["origin_offset"])
    summary = RecordSummary(f"{letter['code']}: {letter['detail']}", "rejected", letter["code"])
    kind = RecordKind.dead_letter
    return TraceStep(kind, place, letter["at"], letter["service"], identity, None, summary, cause=cause)
