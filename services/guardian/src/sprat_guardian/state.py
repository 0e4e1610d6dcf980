"""What the guardian knows, all of it from logs, and what it writes next."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from pydantic import ValidationError

from sprat.base.review_tokens import is_replayed
from sprat.kafka.signatures import Signatures
from sprat.registry.alarms import AlarmBook
from sprat_contracts import (
    AlarmRaised,
    Event,
    FeedbackGiven,
    KafkaRecord,
    Message,
    ModelRef,
    ReviewAsked,
    ReviewClosed,
    Topics,
    WireError,
    decode,
)
from sprat_contracts.results import OF_REVIEW
from sprat_contracts.reviews import RAISED
from sprat_guardian.closing import COUNTED, ReviewQueue
from sprat_guardian.counting import Counting
from sprat_guardian.processes import ALL_CELLS

M = TypeVar("M", bound=Message)
_OF_REVIEW: Final = f'"{OF_REVIEW}"'.encode()
OnIgnored = Callable[[str], object]
"""Gets why a record does not count."""


class GuardianState:
    """The state of the guardian. It changes by what is read from logs alone, also by its own records.

    So with the same policy, whoever reads the same logs is in the same state: a guardian that starts after one that was
    killed, and one that was stopped while another took over.

    Args:
        topics: of the installation.
        signatures: verify what only services may write.
        wait_ms: returns how long a draw waits for its answer.
        is_of: returns whether a token is that of a draw.
        on_ignored: told of each record that does not count and is read once the logs were caught up.
    """

    def __init__(
        self,
        topics: Topics,
        signatures: Signatures,
        wait_ms: Callable[[ReviewAsked], int],
        is_of: Callable[[ReviewClosed, str | None], bool],
        on_ignored: OnIgnored = lambda _: None,
    ) -> None:
        self._signatures = signatures
        self._on_ignored = on_ignored
        self._is_caught_up = False
        self.queue = ReviewQueue(wait_ms, is_of)
        self.counting = Counting()
        self.book = AlarmBook(signatures)
        self._warnings: dict[bytes, AlarmRaised] = {}
        """Alarms that follow from no log, not written yet."""
        self._warned: set[tuple[bytes, ModelRef | None]] = set()
        """Those that were written: several models answer a task, and the topic keeps the last of a place alone."""
        self._takes: dict[str, Callable[[KafkaRecord], None]] = {
            topics.reviews: self._asked,
            topics.reviews_closed: self._closed,
            topics.alarms: self.book.take,
            topics.feedback: self._answered,
        }

    def take(self, record: KafkaRecord) -> None:
        """Take a record of one of the topics, in its order."""
        self._takes[record.topic](record)

    def caught_up(self) -> None:
        """Report from now on what does not count: the logs are read to their ends, which each start does anew."""
        self._is_caught_up = True

    def warn(self, alarm: AlarmRaised) -> None:
        """Raise an alarm that follows from no log, unless it is raised for this version of the model already."""
        if not self._is_raised(alarm):
            self._warnings[alarm.key] = alarm

    def due(self, now: int) -> Iterator[ReviewClosed | AlarmRaised]:
        """Yield what is to be written now, in its order.

        Args:
            now: until when all answers are read: epoch milliseconds.
        """
        for closed in self.queue.due(now):
            if closed.disputed:
                yield closed
                continue
            clears = self.counting.clears(closed.task, closed.cell, closed.drawn_at, self.book)
            pooled = self.counting.clears(closed.task, ALL_CELLS, closed.drawn_at, self.book)
            yield closed.model_copy(update={"clears": clears, "pooled_clears": pooled})
        self._warnings = {key: alarm for key, alarm in self._warnings.items() if not self._is_raised(alarm)}
        for alarm in (*self.counting.missing(self.book), *self._warnings.values()):
            yield self.book.following(alarm)
        yield from self.book.hidden()

    def _ignore(self, why: str) -> None:
        if self._is_caught_up:
            self._on_ignored(why)

    def _is_raised(self, alarm: AlarmRaised) -> bool:
        warned = (alarm.key, alarm.model)
        last = self.book.last(alarm.kind, alarm.task, alarm.cell)
        if last is None or last.state != RAISED:
            self._warned.discard(warned)
            return False
        if last.model == alarm.model:
            self._warned.add(warned)
        return warned in self._warned

    def _asked(self, record: KafkaRecord) -> None:
        if not self._signatures.accepts(record):
            return  # the group's handler has counted it
        event = self._decoded(record, ReviewAsked)
        if event is not None and is_replayed(event.envelope.time, record.timestamp):
            self._ignore("replayed")
        elif event is not None:
            self.queue.ask(event.message, record.timestamp)

    def _closed(self, record: KafkaRecord) -> None:
        if not self._signatures.accepts(record):
            self._signatures.refused(record)
            return
        try:  # its envelope is not needed, and a start reads the closed draws of a year
            closed = ReviewClosed.model_validate_json(record.value or b"")
        except ValidationError:
            self._ignore("unreadable")
            return
        if self.queue.close(closed):
            self.counting.count(closed, record.timestamp)

    def _answered(self, record: KafkaRecord) -> None:
        if _OF_REVIEW not in (record.value or b""):
            return  # a correction, of which there may be many
        event = self._decoded(record, FeedbackGiven)
        why = None if event is None else self.queue.answer(event.message, record.timestamp)
        if why is not None and why != COUNTED:
            self._ignore(why)

    def _decoded(self, record: KafkaRecord, message_type: type[M]) -> Event[M] | None:
        try:
            return decode(record, message_type)
        except WireError:
            self._ignore("unreadable")
            return None
