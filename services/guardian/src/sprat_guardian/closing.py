"""Which draws are open, and how each ends.

The draws of a task end in the order in which they were drawn, because how long an answer takes may depend on what it
is: the first of the queue waits for its answer, and holds back those behind it. After its wait it is unanswered. So how
a draw ends depends on the first valid answer that was appended within its wait. How long that is, the policy says when
the draw is read, and when it is over, the guardian's clock: one that is days ahead ends draws that could be answered.
Once a draw is closed, its record in the log says how, whatever policy and clock say later.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from sprat_contracts import FeedbackGiven, Output, ReviewAsked, ReviewClosed
from sprat_contracts.predictions import Prediction
from sprat_contracts.results import OF_REVIEW
from sprat_contracts.reviews import BY_TIER, PEOPLE, UNANSWERED, promises
from sprat_contracts.thresholds import says
from sprat_contracts.topics import DAY_MS
from sprat_guardian.answers import Said, said_of, verdict_of

REMEMBERED_MS: Final = 8 * DAY_MS
"""How long a draw is remembered: for longer than its topic keeps it, and than it may wait for its answer."""
COUNTED: Final = "counted"


class DrawName(NamedTuple):
    """What is drawn. A text that comes again is the same draw."""

    source: str
    id: str
    task: str

    @classmethod
    def of(cls, message: Prediction | FeedbackGiven | ReviewClosed) -> "DrawName":
        """Return the name of the draw that a message is about."""
        return cls(message.text_source, message.text_id, message.task)


class Closing(NamedTuple):
    """What the first record of a closed draw adds to the draw."""

    verdict: str
    by: str | None
    clears: int
    pooled_clears: int


@dataclass(slots=True)
class Draw:
    """A draw, without its text. Many are kept, so it is small."""

    unanswered: bytes
    """Its record where nobody answers, as JSON."""
    said: Said
    """What the model says."""
    until: int
    """An answer that is appended later does not count: epoch milliseconds, the broker's clock."""
    by_tier: bool
    """Whether a tier was asked for it, not people."""
    verdict: str = UNANSWERED
    """By the first valid answer."""
    by: str | None = None

    def end(self, **changed: object) -> ReviewClosed:
        """Return the record that closes it."""
        closed = ReviewClosed.model_validate_json(self.unanswered)
        return closed.model_copy(update={"verdict": self.verdict, "by": self.by} | changed)


class ReviewQueue:
    """The draws of all tasks. A draw is closed once its record is read from the log, not before.

    Args:
        wait_ms: returns how long a draw waits for its answer.
        is_of: returns whether a token is that of a draw.
    """

    def __init__(
        self, wait_ms: Callable[[ReviewAsked], int], is_of: Callable[[ReviewClosed, str | None], bool]
    ) -> None:
        self._wait_ms = wait_ms
        self._is_of = is_of
        self._draws: dict[DrawName, Draw] = {}
        self._queues: dict[str, deque[DrawName]] = {}
        """The open draws of each task."""
        self._closed: dict[DrawName, Closing] = {}
        """How each draw ended, but for those that are forgotten."""
        self._recent: dict[str, deque[tuple[int, DrawName]]] = {}
        """The closed draws of each task in their order, with when they were drawn."""
        self._differing: set[DrawName] = set()
        """Draws with a second answer that differs from the first, of which no record says so."""
        self._disputed: set[DrawName] = set()

    def ask(self, asked: ReviewAsked, drawn_at: int) -> None:
        """Take a draw in the order of its topic. The first record of a text and task counts."""
        name = DrawName.of(asked.prediction)
        output = asked.prediction.output
        if name in self._draws or output is None:
            return
        unanswered = _unanswered(asked, output, drawn_at).model_dump_json().encode()
        until = drawn_at + self._wait_ms(asked)
        self._draws[name] = Draw(unanswered, said_of(output, asked.judged), until, by_tier=asked.by != PEOPLE)
        if name not in self._closed:
            self._queues.setdefault(name.task, deque()).append(name)

    def answer(self, given: FeedbackGiven, given_at: int) -> str | None:
        """Take an answer in the order of its topic.

        Returns:
            `counted`, or why it does not count; None where it is no answer to a review.
        """
        if given.of != OF_REVIEW:
            return None
        name = DrawName.of(given)
        draw = self._draws.get(name)
        if draw is None or not self._is_of(draw.end(), given.token):
            return "token"
        verdict = verdict_of(draw.said, given)
        was_asked = given.by.startswith(BY_TIER) == draw.by_tier  # what a tier says certifies nothing
        if verdict is None or not was_asked:
            return "output" if was_asked else "reviewer"
        closing = self._closed.get(name)
        in_time = given_at <= draw.until if closing is None else (verdict, given.by) == closing[:2]  # it has counted
        if draw.verdict == UNANSWERED and in_time:
            draw.verdict, draw.by = verdict, given.by
            return COUNTED
        first = draw.verdict if closing is None else closing.verdict
        if first == UNANSWERED:
            return "late"
        if verdict != first and name not in self._disputed:
            self._differing.add(name)
        return "second"

    def close(self, closed: ReviewClosed) -> bool:
        """Take a record of the log of closed draws; return whether it is the first of its draw.

        One that is much older than the last of its task is none: somebody has written it once more.
        """
        name = DrawName.of(closed)
        recent = self._recent.setdefault(name.task, deque())
        if closed.disputed:
            self._disputed.add(name)
            self._differing.discard(name)
            return False
        is_old = name not in self._draws and recent and closed.drawn_at < recent[-1][0] - REMEMBERED_MS
        if name in self._closed or is_old:
            return False
        self._closed[name] = Closing(closed.verdict, closed.by, closed.clears, closed.pooled_clears)
        recent.append((max(closed.drawn_at, recent[-1][0] if recent else 0), name))
        while recent[0][0] < recent[-1][0] - REMEMBERED_MS:
            self._forget(recent.popleft()[1])
        queue = self._queues.get(name.task)
        if queue and name in queue:
            queue.remove(name)  # the first one, unless another instance has closed it out of turn
        return True

    def due(self, now: int) -> Iterator[ReviewClosed]:
        """Yield the records that are to be written now, in their order.

        Args:
            now: until when all answers are read: epoch milliseconds.
        """
        for queue in self._queues.values():
            for name in queue:
                draw = self._draws[name]
                if draw.verdict == UNANSWERED and now <= draw.until:
                    break
                yield draw.end()
        for name in sorted(self._differing & self._closed.keys()):
            yield self._draws[name].end(disputed=True, **self._closed[name]._asdict())

    @property
    def oldest(self) -> int | None:
        """When the oldest draw was drawn, also a closed one: a second answer to it may come."""
        first = next(iter(self._draws.values()), None)
        return None if first is None else first.end().drawn_at

    @property
    def open(self) -> dict[str, int]:
        """How many draws of each task are open."""
        return {task: len(queue) for task, queue in self._queues.items()}

    def _forget(self, name: DrawName) -> None:
        """Forget a closed draw that comes no more: its topic does not keep it any longer."""
        del self._closed[name]
        self._draws.pop(name, None)
        self._disputed.discard(name)
        self._differing.discard(name)


def _unanswered(asked: ReviewAsked, output: Output, drawn_at: int) -> ReviewClosed:
    prediction = asked.prediction
    options = prediction.submitted.tasks.options(prediction.task)
    return ReviewClosed(
        text_id=prediction.text_id,
        text_source=prediction.text_source,
        task=prediction.task,
        cell=asked.cell,
        model=prediction.model,
        asked_model="default" if options is None else options.model,
        says=says(output),
        confidence=prediction.confidence or 0.0,
        goal=asked.goal,
        evidence=asked.evidence,
        level=asked.level,
        judged=asked.judged,
        promises=max(1, promises(output, asked.judged)),
        hash=asked.hash,
        share=asked.share,
        least_share=asked.least_share,
        full=asked.full,
        drawn_at=drawn_at,
        verdict=UNANSWERED,
    )
