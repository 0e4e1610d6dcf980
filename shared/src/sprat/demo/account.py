"""What the demo saw on the topics: results, predictions and dead letters by the text that they belong to."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sprat_contracts import TASKS, DeadLetterReason, KafkaRecord, Prediction, Result, Topics, WireError, decode


class Pair(NamedTuple):
    """A text and a task: what must end in exactly one Result."""

    source: str
    id: str
    task: str


class Place(NamedTuple):
    """Where a record stands on the texts topic."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Ending:
    """A Result as it was found."""

    result_id: str
    result: Result
    appended_at: int
    """When the broker appended it: epoch milliseconds."""

    @property
    def latency_ms(self) -> int:
        """From the broker's appending the text to its appending the Result."""
        return self.appended_at - self.result.origin.appended_at


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it was found."""

    reason: DeadLetterReason
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def origin(self) -> Place:
        """Where the record stood that it holds."""
        return Place(self.reason.topic, self.reason.partition, self.reason.offset)

    def holds(self, value: bytes, headers: Iterable[tuple[str, bytes]]) -> bool:
        """Tell whether value and headers of the original are in it untouched."""
        original = tuple(headers)
        return self.value == value and self.headers[: len(original)] == original


class Account:
    """Everything seen so far."""

    def __init__(self, topics: Topics) -> None:
        self.endings: defaultdict[Pair, list[Ending]] = defaultdict(list)
        self.predictions: dict[Pair, Prediction] = {}
        self.letters: defaultdict[Place, list[Letter]] = defaultdict(list)
        self.traces: defaultdict[str, list[KafkaRecord]] = defaultdict(list)
        """By trace id, all records of the trace, in no order."""
        self.unreadable = 0
        """Records on our topics that are not what their topic holds."""
        self.topics = topics
        self._results = {topics.results(task) for task in TASKS}
        self._predictions = {topics.predictions(task) for task in TASKS}

    def take(self, record: KafkaRecord) -> None:
        """Note a record of any topic of the installation."""
        trace = trace_id(record.headers)
        if trace:
            self.traces[trace].append(record)
        try:
            if record.topic in self._results:
                self._take_result(record)
            elif record.topic in self._predictions:
                prediction = decode(record, Prediction).message
                self.predictions[Pair(prediction.text_source, prediction.text_id, prediction.task)] = prediction
            elif record.topic == self.topics.dead_letters:
                reason = DeadLetterReason.from_headers(record.headers)
                letter = Letter(reason, record.value or b"", tuple(record.headers))
                self.letters[letter.origin].append(letter)
        except (WireError, ValueError):
            self.unreadable += 1

    def _take_result(self, record: KafkaRecord) -> None:
        event = decode(record, Result)
        result = event.message
        pair = Pair(result.text_source, result.text_id, result.task)
        self.endings[pair].append(Ending(event.envelope.id, result, record.timestamp))


def trace_id(headers: Iterable[tuple[str, bytes]]) -> str:
    """Give the trace id that headers carry; empty without a readable one."""
    parts = dict(headers).get("traceparent", b"").split(b"-")
    return parts[1].decode("ascii", "replace") if len(parts) == 4 else ""
