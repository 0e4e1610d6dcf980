"""The search for every record that a text caused, across all topics."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from aiokafka import ConsumerRecord
from aiokafka.errors import TopicAuthorizationFailedError

from sprat_contracts import BUILT_IN, TaskTable, Topics, Traceparent
from sprat_operations.record_summary import RecordKind, record_kinds
from sprat_operations.topic_reader import TopicReader
from sprat_operations.trace_records import TraceQuery, TraceStep, read_step

_LEAD_MS: Final = 60_000
"""The search begins so long before the text: the clocks of several brokers differ."""


@dataclass(slots=True)
class TraceResult:
    """The records of a text."""

    steps: list[TraceStep] = field(default_factory=list)
    shared_calls: set[str] = field(default_factory=set)
    """Ids of calls under a trace that other texts share: the calls may be theirs."""
    unreadable_topics: dict[str, str] = field(default_factory=dict)
    """Topics that could not be read, each with the reason."""
    tasks: TaskTable = BUILT_IN
    """The tasks of the installation."""


async def trace(reader: TopicReader, topics: Topics, query: TraceQuery, since_ms: int) -> TraceResult:
    """Find every record of the text appended at `since_ms` (epoch) or later.

    Three reads, each with what the one before it found: the texts; then the topics whose records name the text; then
    calls, which are identified by the trace, and dead letters, which are identified by their original record.

    Raises:
        UserError: there is no topic of texts.
        TopicAuthorizationFailedError: this user may not read the texts.
        TimeoutError: the broker gives nothing more.
        KafkaError: Kafka cannot be reached or refuses.
    """
    found = await _find(reader, topics, query, since_ms)
    if not query.is_trace_id or any(step.kind is RecordKind.text for step in found.steps):
        return found
    # A text of plain JSON has no header with its trace; the records that it caused name it.
    named = next((step.identity for step in found.steps if step.identity is not None), None)
    return found if named is None else await _find(reader, topics, TraceQuery(named[1], named[0]), since_ms)


async def _find(reader: TopicReader, topics: Topics, query: TraceQuery, since_ms: int) -> TraceResult:
    search = _Search(topics, query)
    await search.read(reader, (topics.texts,), since_ms)
    begin_ms = max(since_ms, search.first_ms - _LEAD_MS) if search.steps else since_ms
    naming = [name for name, kind in search.record_kinds.items() if kind not in _LATER and kind is not RecordKind.text]
    await search.read_permitted(reader, naming, begin_ms)
    later = [name for name, kind in search.record_kinds.items() if kind in _LATER]
    if not any(step.kind is RecordKind.request for step in search.steps):
        later.remove(topics.egress)
    await search.read_permitted(reader, later, begin_ms)
    return search.found()


_LATER = frozenset({RecordKind.egress, RecordKind.dead_letter})
"""Kinds that are identified by other records of the text."""


class _Search:
    """Collects the records that belong to the text."""

    def __init__(self, topics: Topics, query: TraceQuery) -> None:
        self.steps: list[TraceStep] = []
        self._topics = topics
        self.record_kinds = record_kinds(topics)
        self._query = query
        self._needles = query.needles
        self._others: set[Traceparent | None] = set()
        """Contexts of other texts' records that have a trace of this one."""
        self._unreadable_topics: dict[str, str] = {}

    @property
    def first_ms(self) -> int:
        """The time at which the first of them was appended: epoch milliseconds."""
        return min(step.at_ms for step in self.steps)

    async def read(self, reader: TopicReader, names: Sequence[str], since_ms: int) -> None:
        """Read topics and keep what belongs to the text."""
        if not names:
            return
        async for records in reader.read_since(names, since_ms):
            self.add(records)

    async def read_permitted(self, reader: TopicReader, names: Sequence[str], since_ms: int) -> None:
        """Read the topics that exist and that this user may read; keep the reasons for the others."""
        self._unreadable_topics |= await reader.unreadable_topics(names)
        names = [name for name in names if name not in self._unreadable_topics]
        while names:
            try:
                await self.read(reader, names, since_ms)
            except TopicAuthorizationFailedError as error:
                denied = _named(error) & set(names)
                if not denied:
                    raise
                self._unreadable_topics |= dict.fromkeys(sorted(denied), "you may not read it")
                self.steps = [step for step in self.steps if step.place[0] not in names]  # they are read once more
                names = [name for name in names if name not in denied]
            else:
                return

    def add(self, records: Sequence[ConsumerRecord]) -> None:
        """Keep what belongs to the text. Records of one topic."""
        if not records:
            return
        kind = self.record_kinds[records[0].topic]
        needles = self._needles_for(kind)
        for record in records:
            if needles.in_record(record) or self._is_at_its_place(kind, record):
                self._add_if_related(read_step(kind, record, self.record_kinds))

    def _needles_for(self, kind: RecordKind) -> "_Needles":
        """Return what a record must contain to be decoded: decoding every record would take minutes."""
        match kind:
            case RecordKind.text:  # in structured mode, its id stands in the value
                return _Needles.of(self._needles, self._needles)
            case RecordKind.egress:
                return _Needles.of((), self._traces())
            case RecordKind.request | RecordKind.answer:
                return _Needles.of(self._needles, self._traces())
            case RecordKind.dead_letter:
                plain = self._query.plain  # it has no id of its own: its dead letter holds its time
                times = () if plain is None else (str(plain[1]).encode(),)
                return _Needles.of(self._needles, (*self._needles, *times))
            case _:  # a trace stands in a header alone
                return _Needles.of(self._needles, self._needles if self._query.is_trace_id else ())

    def _traces(self) -> tuple[bytes, ...]:
        return tuple({step.trace_id.encode() for step in self.steps if step.trace_id is not None})

    def _is_at_its_place(self, kind: RecordKind, record: ConsumerRecord) -> bool:
        """Return whether its place identifies it: a plain JSON text, or a dead letter without its too large value."""
        if kind is RecordKind.text:
            return (record.offset, record.timestamp) == self._query.plain
        return kind is RecordKind.dead_letter and not record.value

    def _add_if_related(self, step: TraceStep) -> None:
        if step.identity is None and step.bare_id is not None:
            step = replace(step, identity=("", step.bare_id))
        if step.kind is RecordKind.egress:
            if self._may_be_call(step):
                self.steps.append(step)
        elif self._is_named_by(step) or (step.cause and step.cause in {each.place for each in self.steps}):
            self.steps.append(step)
        elif step.kind in {RecordKind.request, RecordKind.answer}:
            self._others.add(step.traceparent)

    def _is_named_by(self, step: TraceStep) -> bool:
        return self._query.matches(step.identity, step.trace_id)

    def _may_be_call(self, step: TraceStep) -> bool:
        """Return whether it is a call of this text. The record names no text, only trace, tenant and task."""
        models = [each for each in self.steps if each.kind is RecordKind.request and each.trace_id == step.trace_id]
        ours = {each.traceparent for each in self.steps}
        if step.traceparent in self._others and step.traceparent not in ours:
            return False
        return any(each.task == step.task and each.tenant in (None, step.tenant) for each in models)

    def _may_be_of_another(self, call: TraceStep) -> bool:
        """Return whether another text's records have the call's context; where spans are exported, only its trace."""
        if call.traceparent in self._others:
            return True
        known = call.traceparent in {step.traceparent for step in self.steps if step.kind is not RecordKind.egress}
        return not known and call.trace_id in {each.trace_id for each in self._others if each is not None}

    def found(self) -> TraceResult:
        """Return the records, the calls with the text that asked for them."""
        calls = [step for step in self.steps if step.kind is RecordKind.egress]
        shared = {step.call_id for step in calls if step.call_id is not None and self._may_be_of_another(step)}
        return TraceResult(
            [_with_text(step, self.steps) for step in self.steps], shared, self._unreadable_topics, self._topics.tasks
        )


@dataclass(frozen=True, slots=True)
class _Needles:
    """Patterns of which one is in the value or in a header of a record of the text."""

    value: re.Pattern[bytes] | None
    headers: re.Pattern[bytes] | None

    @classmethod
    def of(cls, value: Iterable[bytes], headers: Iterable[bytes]) -> "_Needles":
        return cls(_any_of(value), _any_of(headers))

    def in_record(self, record: ConsumerRecord) -> bool:
        """Return whether one matches. Called for every record: two microseconds here are a second for the user."""
        value, headers = self.value, self.headers
        if value is not None and record.value and value.search(record.value):
            return True
        if headers is not None:
            for _, held in record.headers:
                if held and headers.search(held):
                    return True
        return False


def _named(error: TopicAuthorizationFailedError) -> set[str]:
    """Return the topics that Kafka refuses: aiokafka passes them as the error's argument."""
    named = error.args[0] if error.args else ()
    return {named} if isinstance(named, str) else set(named)


def _any_of(needles: Iterable[bytes]) -> re.Pattern[bytes] | None:
    escaped = [re.escape(clue) for clue in needles]
    return re.compile(b"|".join(escaped)) if escaped else None


def _with_text(step: TraceStep, steps: Iterable[TraceStep]) -> TraceStep:
    """Return the step with its text; where it names none, the text follows from other steps."""
    if step.identity is not None:
        return step
    if step.kind is RecordKind.egress:
        models = [each for each in steps if each.kind is RecordKind.request and each.trace_id == step.trace_id]
        identity = next((each.identity for each in models if each.task == step.task), None)
    else:
        identity = next((each.identity for each in steps if each.place == step.cause), None)
    return replace(step, identity=identity)
