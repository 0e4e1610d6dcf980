"""The logs of reviews in memory: what the router and reviewers append, and guardians that read and write them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.review_tokens import ReviewTokens, cell_of
from sprat.kafka.publisher import OutRecord
from sprat.kafka.signatures import Signatures
from sprat_contracts import (
    AlarmRaised,
    Envelope,
    FeedbackGiven,
    IntentOutput,
    Message,
    Output,
    Prediction,
    Record,
    ReviewAsked,
    ReviewClosed,
    Topics,
    Traceparent,
    decode,
    encode,
)
from sprat_contracts.ids import REVIEW, derive
from sprat_guardian.state import GuardianState
from sprat_guardian.writing import RecordWriter
from sprat_operations.feedback import feedback_record
from support.router_records import ALL_TASKS, prediction, text
from support.stream import SECRET, SIGNATURES

TOPICS = Topics("test")
TOKENS = ReviewTokens(Keys(SecretStr(SECRET)))
START_MS = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)
WAIT_MS = 3 * 86_400_000


def drawn(id: str = "t-1", task: str = "intent", tenant: str = "shop", **fields: Any) -> ReviewAsked:
    """Return a draw; without more fields, of the label `transfer` with a goal of 0.97."""
    route = {"goal": fields.pop("goal", 0.97), "evidence": "estimated", "level": 0.97}
    submitted = text(language="en", tasks={task: ALL_TASKS[task]})
    kept = prediction(task, **{"submitted": submitted} | fields).model_copy(update={"text_id": id})
    return asked_of(kept, tenant, **route)


def asked_of(kept: Prediction, tenant: str = "shop", **fields: Any) -> ReviewAsked:
    cell = cell_of(kept, tenant)
    hash = TOKENS.hash(kept.text_source, kept.text_id, kept.task)
    token = TOKENS.token(kept.text_source, kept.text_id, kept.task, cell, hash)
    return ReviewAsked(prediction=kept, cell=cell, hash=hash, share=0.01, least_share=0.01, token=token, **fields)


def answer_to(asked: ReviewAsked, said: str | Output | None = "transfer", **fields: Any) -> FeedbackGiven:
    """Return the answer of a person: a label, or an output with a verdict."""
    of = asked.prediction
    output = IntentOutput(label=said) if said is None or isinstance(said, str) else said
    given = {"text_id": of.text_id, "text_source": of.text_source, "task": of.task, "output": output, "by": "agent-1"}
    return FeedbackGiven(**given | {"of": "review", "token": asked.token} | fields)


def asked_record(asked: ReviewAsked, topics: Topics, signatures: Signatures = SIGNATURES, at: int = 0) -> OutRecord:
    """Return the record that a router writes at a time, epoch milliseconds; 0: now."""
    of = asked.prediction
    source = f"/{topics.prefix}/router"
    id = str(derive(REVIEW, of.text_source, of.text_id, of.task))
    time_ = datetime.fromtimestamp(at / 1000, UTC).isoformat() if at else None
    envelope = Envelope(id=id, source=source, traceparent=Traceparent.root(of.text_source, of.text_id), time=time_)
    value, headers = encode(asked, envelope)
    return signatures.sign(OutRecord(topics.reviews, of.task.encode(), value, headers))


class ReviewLogs:
    """All logs of reviews, with one clock that tests move."""

    def __init__(self) -> None:
        self.now = START_MS
        self.records: list[Record] = []

    def append(self, *records: OutRecord, at: int | None = None) -> None:
        """Append records, a second after those before, or at a time."""
        for each in records:
            self.now = self.now + 1_000 if at is None else at
            place = len(self.records)
            self.records.append(Record(each.topic, 0, place, self.now, each.key, each.value, tuple(each.headers)))

    def draw(self, *draws: ReviewAsked, signatures: Signatures = SIGNATURES) -> None:
        for each in draws:
            self.append(asked_record(each, TOPICS, signatures, self.now + 1_000))

    def answer(self, *answers: FeedbackGiven) -> None:
        self.append(*(feedback_record(each, TOPICS.feedback) for each in answers))

    def wait(self, ms: int = WAIT_MS + 1) -> None:
        self.now += ms

    def guardian(self) -> "ReadingGuardian":
        """Return a guardian that has just started."""
        return ReadingGuardian(self)

    def closed(self) -> list[ReviewClosed]:
        return list(self._messages(TOPICS.reviews_closed, ReviewClosed))

    def alarms(self) -> list[AlarmRaised]:
        return list(self._messages(TOPICS.alarms, AlarmRaised))

    def verdicts(self) -> list[tuple[str, str]]:
        """Return id and verdict of all closed draws in their order."""
        return [(each.text_id, each.verdict) for each in self.closed()]

    def _messages(self, topic: str, kind: type[Message]) -> Iterator[Any]:
        return (decode(each, kind).message for each in self.records if each.topic == topic)


class ReadingGuardian:
    """A guardian without Kafka: it takes what it has not read yet, and writes what is due, until nothing is."""

    def __init__(self, logs: ReviewLogs) -> None:
        self._logs = logs
        self._read = 0
        self.ignored: list[str] = []
        self.state = GuardianState(TOPICS, SIGNATURES, lambda _: WAIT_MS, TOKENS.is_of, self.ignored.append)
        self._writer = RecordWriter(TOPICS, "guardian", SIGNATURES)

    def read(self) -> None:
        for record in self._logs.records[self._read :]:
            self.state.take(record)
        self._read = len(self._logs.records)
        self.state.caught_up()

    def due(self) -> Sequence[OutRecord]:
        self.read()
        return [self._writer.record(each) for each in self.state.due(self._logs.now)]

    def work(self, rounds: int = 50) -> "ReadingGuardian":
        """Read and write until nothing is due."""
        for _ in range(rounds):
            if not (due := self.due()):
                return self
            self._logs.append(*due)
        raise AssertionError(f"something is still due after {rounds} rounds")
