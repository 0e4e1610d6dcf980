"""Reviews that wait for people: the draws that nobody has answered, and the answers to them."""

import time
from dataclasses import dataclass, field
from typing import Final

from sprat.base.settings import KafkaSettings
from sprat.kafka.clients import client_arguments
from sprat.kafka.signatures import Signatures
from sprat_contracts import (
    FeedbackGiven,
    IntentOutput,
    KafkaRecord,
    LabelsOutput,
    Output,
    ReviewAsked,
    ReviewClosed,
    TaskTable,
    Topics,
    WireError,
    decode,
)
from sprat_contracts.results import OF_REVIEW
from sprat_contracts.reviews import CANNOT_TELL, NAMES, PEOPLE, RIGHT, SURE_NAMES, WRONG
from sprat_contracts.topics import DAY_MS
from sprat_operations.connection import reading_signatures
from sprat_operations.topic_reader import OnReadProgress, TopicReader, no_progress

_LONGEST_MS: Final = 8 * DAY_MS
"""No draw is older, and so no answer to one that still stands."""
JUDGED: Final = {
    NAMES: "right: each name is right but for uncertain ones, and none is missed",
    SURE_NAMES: "right: each name is right but for uncertain ones; others may be missed",
}
"""What a reviewer is told of an answer that was kept by its names, by what is judged."""
Draw = tuple[str, str, str]
"""Source and id of a text, and the task."""


@dataclass(frozen=True, slots=True)
class OpenReview:
    """A draw that nobody has answered."""

    asked: ReviewAsked = field(repr=False)
    drawn_at: int
    """By the broker's clock: epoch milliseconds."""

    @property
    def draw(self) -> Draw:
        """Return what tells it from others."""
        prediction = self.asked.prediction
        return prediction.text_source, prediction.text_id, prediction.task

    @property
    def text(self) -> str:
        """Return the text, which may hold control characters."""
        return self.asked.prediction.submitted.text

    def takes_labels(self, tasks: TaskTable) -> bool:
        """Return whether a person answers with labels; else they judge the model's answer."""
        return tasks.get(self.asked.prediction.task) in (IntentOutput, LabelsOutput)


class WaitingReviews:
    """The draws that wait, in the order in which they were drawn; fed with records of three topics in any order.

    Args:
        topics: of the installation.
        signatures: verify the draws; None: all are shown, and the guardian ignores an answer to a forged one.
    """

    def __init__(self, topics: Topics, signatures: Signatures | None = None) -> None:
        self._topics = topics
        self._signatures = signatures
        self._asked: dict[Draw, OpenReview] = {}
        self._closed: set[Draw] = set()
        self._answered: set[str] = set()

    def take(self, record: KafkaRecord) -> None:
        """Take a record of the topics of reviews, of closed ones, or of feedback; ignore what cannot be read."""
        try:
            if record.topic == self._topics.reviews:
                if self._signatures is not None and not self._signatures.accepts(record):
                    return
                found = OpenReview(decode(record, ReviewAsked).message, record.timestamp)
                if found.asked.by == PEOPLE:
                    self._asked.setdefault(found.draw, found)
            elif record.topic == self._topics.reviews_closed:
                closed = decode(record, ReviewClosed).message
                self._closed.add((closed.text_source, closed.text_id, closed.task))
            else:
                given = decode(record, FeedbackGiven).message
                if given.of == OF_REVIEW and given.token is not None:
                    self._answered.add(given.token)
        except WireError:
            return

    def open(self, task: str | None = None) -> list[OpenReview]:
        """Return those that wait, the oldest first; of one task, or of all."""
        return [
            each
            for draw, each in self._asked.items()
            if draw not in self._closed and each.asked.token not in self._answered and task in (None, draw[2])
        ]


async def read_waiting(
    kafka: KafkaSettings, task: str | None = None, *, progress: OnReadProgress = no_progress
) -> list[OpenReview]:
    """Return the draws that wait for people, the oldest first; forged ones where this shell cannot verify them.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
        KafkaError: Kafka cannot be reached or refuses.
    """
    topics = kafka.topics
    waiting = WaitingReviews(topics, reading_signatures(kafka))
    since = time.time_ns() // 1_000_000 - _LONGEST_MS
    async with TopicReader(client_arguments(kafka), progress) as reader:
        async for records in reader.read_since([topics.reviews, topics.reviews_closed, topics.feedback], since):
            for record in records:
                waiting.take(record)
    return waiting.open(task)


def answer(asked: ReviewAsked, given: Output, by: str) -> FeedbackGiven:
    """Return a reviewer's own answer to a draw."""
    return _given(asked, given, by, None)


def judgement(asked: ReviewAsked, verdict: str, by: str) -> FeedbackGiven:
    """Return what a reviewer says of the model's answer: `right`, `wrong` or `cannot_tell`.

    Raises:
        ValueError: another verdict.
    """
    if verdict not in (RIGHT, WRONG, CANNOT_TELL):
        raise ValueError(verdict)
    output = asked.prediction.output
    if output is None:
        raise ValueError("the draw has no answer")
    return _given(asked, output, by, verdict)


def _given(asked: ReviewAsked, output: Output, by: str, verdict: str | None) -> FeedbackGiven:
    prediction = asked.prediction
    return FeedbackGiven(
        text_id=prediction.text_id,
        text_source=prediction.text_source,
        task=prediction.task,
        output=output,
        by=by,
        of=OF_REVIEW,
        token=asked.token,
        verdict=verdict,
    )
