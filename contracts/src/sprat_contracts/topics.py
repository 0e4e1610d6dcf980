"""The topics: names, clean-up, retention, limits. `sprat topics create` makes them; services never do."""

from dataclasses import dataclass
from typing import Literal

from sprat_contracts.announcements import ModelAnnounced
from sprat_contracts.base import Message
from sprat_contracts.frontier import EgressRecord, FrontierAnswered, FrontierRequested
from sprat_contracts.predictions import Prediction
from sprat_contracts.results import FeedbackGiven, Result
from sprat_contracts.reviews import AlarmRaised, ReviewAsked, ReviewClosed
from sprat_contracts.tasks import BUILT_IN, TaskTable
from sprat_contracts.texts import TextSubmitted

DAY_MS = 86_400_000
TOMBSTONES_MS = 30 * DAY_MS
"""How long a compacted topic keeps a tombstone, at least: longer than the texts that came before it, and than the
broker keeps the offsets of the group that read them. Else the group of a withdrawn model would look like one whose
service is down."""
_PARTS_OF_RETENTION = 8
_LONGEST_SEGMENT_MS = 7 * DAY_MS
"""Kafka's default."""
KIB = 1024
SMALLEST_BATCH_LIMIT = KIB * KIB
DEFAULT_PREFIX = "sprat"
DEFAULT_PARTITIONS = 8


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and its settings in the broker."""

    name: str
    message: type[Message] | None
    """What its records hold; None for dead letters, which hold records of any kind."""
    cleanup: Literal["delete", "compact"]
    retention_ms: int | None
    """How long a record is kept; None where compaction decides."""
    max_record_bytes: int
    partitions: int

    @property
    def max_batch_bytes(self) -> int:
        """The broker's limit, which applies to batches: librdkafka sends batches of up to a million bytes."""
        return max(self.max_record_bytes, SMALLEST_BATCH_LIMIT)

    def config(self) -> dict[str, str]:
        """Return the broker's settings of this topic."""
        settings = {
            "cleanup.policy": self.cleanup,
            # The broker keeps a batch as it was compressed: with `uncompressed` it unpacks 6 kB to 200 MB in its heap.
            "compression.type": "producer",
            "max.message.bytes": str(self.max_batch_bytes),
            "message.timestamp.type": "LogAppendTime",
        }
        if self.retention_ms is None:
            return settings | {"delete.retention.ms": str(TOMBSTONES_MS)}
        # A record goes with its segment, so it stands for longer than the retention by the segment's time at most.
        segment_ms = min(self.retention_ms // _PARTS_OF_RETENTION, _LONGEST_SEGMENT_MS)
        return settings | {"retention.ms": str(self.retention_ms), "segment.ms": str(segment_ms)}


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of all topics under a prefix, and the table of their settings.

    Texts, predictions and results have equal partition counts (`partitions`), which must never change. `models`,
    `alarms` and the topics of reviews have one, so that their records have one order.
    """

    prefix: str = DEFAULT_PREFIX
    partitions: int = DEFAULT_PARTITIONS
    tasks: TaskTable = BUILT_IN
    """The tasks of the installation: each has topics for its predictions and results."""

    @property
    def texts(self) -> str:
        """What upstream systems publish."""
        return f"{self.prefix}.texts.v1"

    def predictions(self, task: str) -> str:
        """Answers of the small models of a task."""
        return f"{self.prefix}.predictions.{task}.v1"

    def results(self, task: str) -> str:
        """Results of one task, written by the router alone."""
        return f"{self.prefix}.results.{task}.v1"

    @property
    def frontier_requests(self) -> str:
        """Hard cases on their way to a frontier model."""
        return f"{self.prefix}.frontier.requests.v1"

    @property
    def frontier_answers(self) -> str:
        """Hard cases on their way back."""
        return f"{self.prefix}.frontier.answers.v1"

    @property
    def models(self) -> str:
        """Which model serves which texts; compacted."""
        return f"{self.prefix}.models.v1"

    @property
    def dead_letters(self) -> str:
        """Records that could not be handled, unchanged."""
        return f"{self.prefix}.dead-letters.v1"

    @property
    def egress(self) -> str:
        """What left the perimeter."""
        return f"{self.prefix}.audit.egress.v1"

    @property
    def feedback(self) -> str:
        """Corrections of Results, and answers to reviews."""
        return f"{self.prefix}.feedback.v1"

    @property
    def reviews(self) -> str:
        """Kept answers that were drawn to be reviewed. One partition, so that draws have one order."""
        return f"{self.prefix}.reviews.v1"

    @property
    def reviews_closed(self) -> str:
        """How each draw ended; one partition, like the draws."""
        return f"{self.prefix}.reviews.closed.v1"

    @property
    def alarms(self) -> str:
        """Alarms of what is kept; compacted."""
        return f"{self.prefix}.alarms.v1"

    def table(self) -> tuple[Topic, ...]:
        """Return every topic with its settings."""

        def delete(name: str, message: type[Message] | None, days: int, kib: int) -> Topic:
            return Topic(name, message, "delete", days * DAY_MS, kib * KIB, self.partitions)

        return (
            delete(self.texts, TextSubmitted, 7, 512),
            *(delete(self.predictions(task), Prediction, 2, 2048) for task in self.tasks),
            delete(self.frontier_requests, FrontierRequested, 2, 2048),
            delete(self.frontier_answers, FrontierAnswered, 2, 2048),
            *(delete(self.results(task), Result, 7, 2048) for task in self.tasks),
            Topic(self.models, ModelAnnounced, "compact", None, 1024 * KIB, 1),
            delete(self.dead_letters, None, 14, 3072),
            delete(self.egress, EgressRecord, 400, 1024),
            delete(self.feedback, FeedbackGiven, 400, 1024),
            Topic(self.reviews, ReviewAsked, "delete", 7 * DAY_MS, 2048 * KIB, 1),
            Topic(self.reviews_closed, ReviewClosed, "delete", 400 * DAY_MS, 64 * KIB, 1),
            Topic(self.alarms, AlarmRaised, "compact", None, 64 * KIB, 1),
        )
