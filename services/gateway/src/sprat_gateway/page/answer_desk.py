"""Answers of people before they are published: each waits until it can be taken back no longer.

An answer leaves with the next one of the same person, at the latest after some seconds. Until then it stands in this
process alone: should that be killed, the text is asked for again. What the models say is shown once it has left: who
knows it cannot change the answer any more.
"""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from sprat.base.errors import Fatal
from sprat.kafka.publisher import NotAcknowledged, OutRecord, Publisher, TooLarge
from sprat.processing.leases import Leases
from sprat_contracts import FeedbackGiven
from sprat_gateway.page.queries.to_label import ToLabel
from sprat_operations.feedback import feedback_record

log = logging.getLogger(__name__)

UNDO_S: Final = 10.0
_HOLD_S: Final = 5.0
_STOP_S: Final = 2.0
_SHOWN: Final = 3
"""So many of the last answers of a person are shown."""
_PERSONS: Final = 1_000


@dataclass(eq=False, slots=True)
class PersonsAnswer:
    """What a person has answered."""

    item: ToLabel
    said: str
    """In words."""
    record: OutRecord = field(repr=False)
    leaves: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it cannot be taken back."""
    is_published: bool = False
    is_refused: bool = False
    """Whether Kafka does not take it."""


class AnswerDesk:
    """The last answers of each person.

    Args:
        publisher: is connected.
        topic: of feedback.
        undo_s: how long an answer can be taken back, unless the person goes on.
    """

    def __init__(self, publisher: Publisher, topic: str, undo_s: float = UNDO_S) -> None:
        self._publisher = publisher
        self._topic = topic
        self.undo_s = undo_s
        self._last: dict[str, deque[PersonsAnswer]] = {}
        self._leaving: dict[asyncio.Task[None], PersonsAnswer] = {}

    def give(self, person: str, item: ToLabel, given: FeedbackGiven, said: str) -> None:
        """Take an answer; the one before leaves now."""
        answers = self._last.pop(person, None) or deque(maxlen=_SHOWN)
        self._last[person] = answers
        if len(self._last) > _PERSONS:
            del self._last[next(iter(self._last))]
        if answers:
            answers[-1].leaves.set()
        answer = PersonsAnswer(item, said, feedback_record(given, self._topic))
        answers.append(answer)
        task = asyncio.create_task(self._leave(answer))
        self._leaving[task] = answer
        task.add_done_callback(self._leaving.pop)

    def take_back(self, person: str) -> ToLabel | None:
        """Return what the last answer was about, which is as if never given; None where it has left."""
        answers = self._last.get(person)
        if not answers or answers[-1].leaves.is_set():
            return None
        answer = answers.pop()
        for task, leaving in self._leaving.items():
            if leaving is answer:
                task.cancel()
        return answer.item

    def last(self, person: str) -> tuple[PersonsAnswer, ...]:
        """Return the last answers of a person, the newest first."""
        return tuple(reversed(self._last.get(person, ())))

    async def close(self) -> None:
        """Publish what is there, as far as Kafka takes it at once."""
        for answer in self._leaving.values():
            answer.leaves.set()
        if self._leaving:
            _, late = await asyncio.wait(list(self._leaving), timeout=_STOP_S)
            for task in late:
                task.cancel()
            if late:
                log.warning("%d answers to reviews are not acknowledged; they may be asked for again", len(late))

    async def _leave(self, answer: PersonsAnswer) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.undo_s):
                await answer.leaves.wait()
        answer.leaves.set()
        while True:
            try:
                await self._publisher.publish([answer.record], _HOLD_S)
            except NotAcknowledged:  # it is waited for, and not sent again
                continue
            except (Fatal, TooLarge) as error:
                log.error("an answer to a review is not published: %s", error)  # noqa: TRY400 - the message says it all
                answer.is_refused = True
            else:
                answer.is_published = True
            return


@dataclass(frozen=True, slots=True)
class Labelling:
    """What the screen of labels needs beside the store."""

    desk: AnswerDesk
    leases: Leases
