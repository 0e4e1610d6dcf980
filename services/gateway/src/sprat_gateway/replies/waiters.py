"""Who waits for which Results: a bounded table, by the ids that Results will have."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from sprat_contracts import Result, ids


@dataclass(frozen=True, slots=True)
class Rejection:
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
    rejected: tuple[Rejection, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing more is to come."""
        ended = {*self.results, *(each.task for each in self.rejected)}
        return any(each.task is None for each in self.rejected) or ended.issuperset(self.tasks)


class TableFull(Exception):
    """So many texts are waited for that no more may be."""


class Waiter:
    """A text that somebody waits for."""

    def __init__(self, outcome: TextOutcome) -> None:
        self.outcome = outcome
        self.changed = asyncio.Event()
        """Set at each change, and replaced by a new one."""
        self.users = 0
        """How many wait at present."""

    def update(self, outcome: TextOutcome) -> None:
        """Take what is known now, and wake who waits."""
        self.outcome = outcome
        event, self.changed = self.changed, asyncio.Event()
        event.set()


class Waiters:
    """The table. It is used on one event loop alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_uuid: dict[str, Waiter] = {}
        self._by_result: dict[str, tuple[str, str]] = {}
        """Id of the event of a Result → uuid of the text, task."""
        self._by_text: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        """Return how many texts are waited for."""
        return len(self._by_uuid)

    def register(self, outcome: TextOutcome) -> Waiter:
        """Return the waiter of a text: one that is there, else a new one. `release` gives it back.

        Raises:
            TableFull: there are as many as there may be.
        """
        waiter = self._by_uuid.get(outcome.uuid)
        if waiter is None:
            if len(self._by_uuid) >= self._most:
                raise TableFull
            waiter = self._by_uuid[outcome.uuid] = Waiter(outcome)
            self._by_text[outcome.source, outcome.id] = outcome.uuid
            for task in outcome.tasks:
                self._by_result[result_id(outcome, task)] = (outcome.uuid, task)
        waiter.users += 1
        return waiter

    def release(self, waiter: Waiter) -> None:
        """Forget a text when nobody waits for it any more."""
        waiter.users -= 1
        if waiter.users > 0:
            return
        outcome = waiter.outcome
        self._by_uuid.pop(outcome.uuid, None)
        self._by_text.pop((outcome.source, outcome.id), None)
        for task in outcome.tasks:
            self._by_result.pop(result_id(outcome, task), None)

    def awaits(self, event_id: str | None) -> bool:
        """Return whether the Result with this id of its event is waited for."""
        return event_id in self._by_result

    def waiter_of(self, source: str, id: str) -> Waiter | None:
        """Return the waiter of a text; None where nobody waits for it."""
        return self._by_uuid.get(self._by_text.get((source, id), ""))


def result_id(outcome: TextOutcome, task: str) -> str:
    """Return the id of the event of a Result, as the router derives it."""
    return str(ids.derive(ids.RESULT, outcome.source, outcome.id, task))
