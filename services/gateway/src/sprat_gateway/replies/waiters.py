"""Who waits for which Results: a bounded table, by the ids that Results will have."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sprat_contracts import Result, ids

UNATTENDED: Final = 1_000
"""Texts that nobody waits for any more and that are still followed."""
_AFTERWARDS_S: Final = 60.0
"""How long an outcome that is complete stays: the store may be behind."""
FOLLOWED_S: Final = 600.0
"""How long a text that nobody waits for is followed: it must not stand here when its topics have let it go."""
_LOOKS_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class TextRefusal:
    """Why a text, or one task of it, has no Result."""

    code: str
    detail: str
    """Field and reason, for people; nothing of the text."""
    task: str | None = None
    """None: of the whole text."""


@dataclass(frozen=True, slots=True)
class TextOutcome:
    """What is known of a text: the Results that have come, and what was rejected."""

    uuid: str
    source: str
    id: str
    tenant: str
    tasks: tuple[str, ...]
    """Those that are asked for."""
    results: Mapping[str, Result] = field(default_factory=dict)
    rejected: tuple[TextRefusal, ...] = ()

    @property
    def refused(self) -> TextRefusal | None:
        """Why the whole text has no Result; None where it is not refused: a Result says that the router took it."""
        if self.results:
            return None
        return next((each for each in self.rejected if each.task is None), None)

    @property
    def complete(self) -> bool:
        """Whether nothing more is to come."""
        ended = {*self.results, *(each.task for each in self.rejected)}
        return self.refused is not None or ended.issuperset(self.tasks)

    def with_result(self, result: Result) -> "TextOutcome":
        """Return what is known with a Result: the first of a task counts, and a foreign one does not."""
        if result.task in self.results or result.task not in self.tasks or result.tenant != self.tenant:
            return self
        return replace(self, results={**self.results, result.task: result})

    def merged(self, other: "TextOutcome") -> "TextOutcome":
        """Return what either knows; what is known here counts, but a Result more than a rejection."""
        if other == self or (self.complete and not (self.refused and other.results)):
            return self
        known = {each.task for each in self.rejected}
        new = tuple(each for each in other.rejected if each.task not in known)
        if not new and self.results.keys() >= other.results.keys():
            return self
        return replace(self, results={**other.results, **self.results}, rejected=(*self.rejected, *new))


class TableFull(Exception):
    """So many texts are waited for that no more may be.

    Args:
        of_key: whether one key has its share; others still have room.
    """

    def __init__(self, *, of_key: bool) -> None:
        super().__init__()
        self.of_key = of_key


class Waiter:
    """A text that somebody waits for, or has waited for."""

    def __init__(
        self, outcome: TextOutcome, digest: str | None, place: tuple[int, int] | None, appended_ms: int | None
    ) -> None:
        self.outcome = outcome
        self.digest = digest
        self.changed = asyncio.Event()
        """Set at each change, and replaced by a new one."""
        self.users = 0
        """How many wait at present."""
        self.holder = ""
        """The id of the key whose share it takes: of the first who waits."""
        self.left_s = 0.0
        """When the last one left, by the clock of the event loop."""
        self.publishing: asyncio.Task[None] | None = None
        """Publishes the text; None where another has published it."""
        self.place = place
        """Partition and offset of the text; None until they are known."""
        self.appended_ms = appended_ms

    def wake(self) -> None:
        """Wake who waits."""
        event, self.changed = self.changed, asyncio.Event()
        event.set()

    @property
    def is_published(self) -> bool:
        """Whether Kafka has the text."""
        task = self.publishing
        return task is None or (task.done() and not task.cancelled() and task.exception() is None)


class Waiters:
    """The table. It is used on one event loop alone.

    Args:
        most: texts that somebody waits for; half of them may be those of one key.
        unattended: texts that are followed after that, the oldest of which makes way; 0: none.
    """

    def __init__(self, most: int, unattended: int = 0) -> None:
        self._most = most
        self._most_of_key = (most + 1) // 2
        self._of_key: Counter[str] = Counter()
        self._most_unattended = unattended
        self._by_uuid: dict[str, Waiter] = {}
        self._unattended: dict[str, Waiter] = {}
        """Of these the ones that nobody waits for, the oldest first."""
        self._by_result: dict[str, str] = {}
        """Id of the event of a Result → uuid of the text."""
        self._by_text: dict[tuple[str, str], str] = {}
        self._looking: asyncio.TimerHandle | None = None
        self.closed = False
        """Whether nobody should wait any longer."""
        self.on_change: Callable[[Waiter], None] = lambda _: None
        """Called when more is known of a text."""

    def __len__(self) -> int:
        """Return how many texts somebody waits for."""
        return len(self._by_uuid) - len(self._unattended)

    def register(
        self,
        key_id: str,
        outcome: TextOutcome,
        digest: str | None,
        place: tuple[int, int] | None = None,
        appended_ms: int | None = None,
    ) -> Waiter:
        """Return the waiter of a text for a key: one that is there, else a new one. `release` gives it back.

        Raises:
            TableFull: there are as many as there may be, in all or of this key.
        """
        waiter = self._by_uuid.get(outcome.uuid)
        if waiter is None or not waiter.users:
            if self._of_key[key_id] >= self._most_of_key:
                raise TableFull(of_key=True)
            if len(self) >= self._most:
                raise TableFull(of_key=False)
        if waiter is None:
            waiter = self._by_uuid[outcome.uuid] = Waiter(outcome, digest, place, appended_ms)
            self._by_text[outcome.source, outcome.id] = outcome.uuid
            for task in outcome.tasks:
                self._by_result[result_id(outcome, task)] = outcome.uuid
        self._unattended.pop(outcome.uuid, None)
        if not waiter.users:
            waiter.holder = key_id
            self._of_key[key_id] += 1
        waiter.users += 1
        return waiter

    def release(self, waiter: Waiter) -> None:
        """End one wait. The text is followed on while there is room, if Kafka may have it."""
        waiter.users -= 1
        if waiter.users > 0:
            return
        self._of_key[waiter.holder] -= 1
        if not self._of_key[waiter.holder]:
            del self._of_key[waiter.holder]
        failed = waiter.publishing is not None and waiter.publishing.done() and not waiter.is_published
        if failed or not self._most_unattended or self._by_uuid.get(waiter.outcome.uuid) is not waiter:
            self._forget(waiter)
            return
        loop = asyncio.get_running_loop()
        waiter.left_s = loop.time()
        self._unattended[waiter.outcome.uuid] = waiter
        self._looking = self._looking or loop.call_later(_LOOKS_S, self._forget_old)
        if len(self._unattended) > self._most_unattended:
            self._forget(next(iter(self._unattended.values())))
        elif waiter.outcome.complete:
            loop.call_later(_AFTERWARDS_S, self._forget_if_left, waiter)

    def find(self, uuid: str) -> Waiter | None:
        """Return the waiter of a text; None where it is not followed."""
        return self._by_uuid.get(uuid)

    def all(self) -> tuple[Waiter, ...]:
        """Return all texts that are followed."""
        return tuple(self._by_uuid.values())

    def awaits(self, event_id: str | None) -> bool:
        """Return whether the Result with this id of its event is waited for."""
        return event_id in self._by_result

    def waiter_of(self, source: str, id: str) -> Waiter | None:
        """Return the waiter of a text; None where it is not followed."""
        return self._by_uuid.get(self._by_text.get((source, id), ""))

    def update(self, waiter: Waiter, outcome: TextOutcome) -> None:
        """Take what is known now, and wake who waits."""
        if outcome is waiter.outcome:
            return
        waiter.outcome = outcome
        waiter.wake()
        self.on_change(waiter)
        if outcome.complete and outcome.uuid in self._unattended:
            asyncio.get_running_loop().call_later(_AFTERWARDS_S, self._forget_if_left, waiter)

    def close(self) -> None:
        """Wake everybody: what is known is all that they get."""
        self.closed = True
        for waiter in self._by_uuid.values():
            waiter.wake()

    def forget(self, uuid: str) -> None:
        """Forget a text; those who wait for it get no more of it."""
        if (waiter := self._by_uuid.get(uuid)) is not None:
            self._forget(waiter)

    def _forget_old(self) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time() - FOLLOWED_S
        for waiter in [each for each in self._unattended.values() if each.left_s <= before]:
            self._forget(waiter)
        self._looking = loop.call_later(_LOOKS_S, self._forget_old) if self._unattended else None

    def _forget_if_left(self, waiter: Waiter) -> None:
        if self._unattended.get(waiter.outcome.uuid) is waiter:
            self._forget(waiter)

    def _forget(self, waiter: Waiter) -> None:
        outcome = waiter.outcome
        if self._by_uuid.get(outcome.uuid) is not waiter:  # another is there in its place
            return
        self._unattended.pop(outcome.uuid, None)
        self._by_uuid.pop(outcome.uuid, None)
        self._by_text.pop((outcome.source, outcome.id), None)
        for task in outcome.tasks:
            self._by_result.pop(result_id(outcome, task), None)


def result_id(outcome: TextOutcome, task: str) -> str:
    """Return the id of the event of a Result, as the router derives it."""
    return str(ids.derive(ids.RESULT, outcome.source, outcome.id, task))
