"""The records of the demo: what it publishes, and what services wrote about it."""

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sprat_contracts import (
    DeadLetterReason,
    Envelope,
    KafkaRecord,
    Prediction,
    Result,
    TextSubmitted,
    Topics,
    Traceparent,
    WireError,
    decode,
    encode,
)
from sprat_contracts.headers import header_name
from sprat_contracts.ids import plain_text_identity
from sprat_contracts.languages import FALLBACK_LANGUAGE
from sprat_local.demo.samples import BrokenSample, Sample, Samples

SOURCE = "/sprat/demo/samples"


class TaskPair(NamedTuple):
    """A text and a task: what must end in exactly one Result."""

    source: str
    id: str
    task: str


class RecordPosition(NamedTuple):
    """The position of a record on the topic of texts."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """A record to publish."""

    sample: Sample | BrokenSample
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def sample_records(samples: Samples) -> Iterator[SampleRecord]:
    """Return every record in order, the broken ones spread among the others."""
    interval = len(samples.texts) // max(1, len(samples.broken)) or 1
    broken = (SampleRecord(each, None, each.value, each.headers) for each in samples.broken)
    for number, sample in enumerate(samples.texts, start=1):
        yield _text_record(sample)
        if number % interval == 0 and (record := next(broken, None)) is not None:
            yield record
    yield from broken


def _text_record(sample: Sample) -> SampleRecord:
    """Add CloudEvents headers and a trace of its own to a sample.

    The value is as the file has it, but says that it is English where the file says no language: the Kafka may be that
    of an installation with another default.
    """
    submitted = {"language": FALLBACK_LANGUAGE, **sample.submitted}
    traceparent = Traceparent(secrets.token_hex(16), secrets.token_hex(8))
    envelope = Envelope(id=sample.id, source=SOURCE, traceparent=traceparent)
    _, headers = encode(TextSubmitted.model_validate(submitted), envelope)
    value = json.dumps(submitted, ensure_ascii=False).encode()
    return SampleRecord(sample, sample.id.encode(), value, tuple(headers))


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A record that the broker has acknowledged, and its position."""

    record: SampleRecord
    topic: str
    partition: int
    offset: int
    timestamp_ms: int

    @property
    def position(self) -> RecordPosition:
        """Its position."""
        return RecordPosition(self.topic, self.partition, self.offset)

    @property
    def identity(self) -> tuple[str, str]:
        """The text's source and id, as every service reads them."""
        headers = {header_name(name): value.decode("utf-8", "replace") for name, value in self.record.headers}
        if "ce_id" in headers:
            return headers.get("ce_source", ""), headers["ce_id"]
        return plain_text_identity(self.topic, self.partition, self.offset, self.timestamp_ms)


@dataclass(frozen=True, slots=True)
class ObservedResult:
    """A Result as read from its topic."""

    result_id: str
    result: Result
    appended_at: int
    """When the broker appended it: epoch milliseconds."""

    @property
    def latency_ms(self) -> int:
        """From the broker's append of the text to its append of the Result."""
        return self.appended_at - self.result.origin.appended_at


@dataclass(frozen=True, slots=True)
class ObservedDeadLetter:
    """A dead letter as read from its topic."""

    reason: DeadLetterReason
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def origin(self) -> RecordPosition:
        """The position of the record that it contains."""
        return RecordPosition(self.reason.topic, self.reason.partition, self.reason.offset)

    def contains(self, value: bytes, headers: Iterable[tuple[str, bytes]]) -> bool:
        """Return whether value and headers of the original are in it unchanged."""
        original = tuple(headers)
        return self.value == value and self.headers[: len(original)] == original


class Observations:
    """Everything read so far."""

    def __init__(self, topics: Topics) -> None:
        self.results: defaultdict[TaskPair, list[ObservedResult]] = defaultdict(list)
        self.predictions: dict[TaskPair, Prediction] = {}
        self.dead_letters: defaultdict[RecordPosition, list[ObservedDeadLetter]] = defaultdict(list)
        self.traces: defaultdict[str, list[KafkaRecord]] = defaultdict(list)
        """Trace id → all records of the trace, in no order."""
        self.unreadable = 0
        """Records that do not decode as what their topic contains."""
        self.topics = topics
        self._result_topics = {topics.results(task) for task in topics.tasks}
        self._prediction_topics = {topics.predictions(task) for task in topics.tasks}

    def of(self, published: Iterable[PublishedRecord]) -> "Observations":
        """Return what belongs to these records, without what belongs to other people's."""
        texts, positions, traces = set(), set(), set()
        for each in published:
            texts.add(each.identity)
            positions.add(each.position)
            traces.add(trace_id(each.record.headers))
        own = Observations(self.topics)
        own.results |= {pair: found for pair, found in self.results.items() if (pair.source, pair.id) in texts}
        own.predictions, own.traces, own.unreadable = self.predictions, self.traces, self.unreadable
        for position, letters in self.dead_letters.items():
            # A letter may contain a record that a service has written for the text: the trace is the text's.
            if position in positions or any(trace_id(each.headers) in traces - {""} for each in letters):
                own.dead_letters[position] = letters
        return own

    def add(self, record: KafkaRecord) -> None:
        """Add a record of any topic of the installation."""
        trace = trace_id(record.headers)
        if trace:
            self.traces[trace].append(record)
        try:
            if record.topic in self._result_topics:
                self._add_result(record)
            elif record.topic in self._prediction_topics:
                prediction = decode(record, Prediction).message
                self.predictions[TaskPair(prediction.text_source, prediction.text_id, prediction.task)] = prediction
            elif record.topic == self.topics.dead_letters:
                reason = DeadLetterReason.from_headers(record.headers)
                letter = ObservedDeadLetter(reason, record.value or b"", tuple(record.headers))
                self.dead_letters[letter.origin].append(letter)
        except (WireError, ValueError):
            self.unreadable += 1

    def _add_result(self, record: KafkaRecord) -> None:
        event = decode(record, Result)
        result = event.message
        pair = TaskPair(result.text_source, result.text_id, result.task)
        self.results[pair].append(ObservedResult(event.envelope.id, result, record.timestamp))


def trace_id(headers: Iterable[tuple[str, bytes]]) -> str:
    """Return the trace id of a record; empty without a valid one."""
    traceparent = Traceparent.of(headers)
    return "" if traceparent is None else traceparent.trace_id
