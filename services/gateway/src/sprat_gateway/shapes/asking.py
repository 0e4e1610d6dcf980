"""Texts that others' shapes ask for: published through the door, and waited for as long as it may help."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request

from sprat_contracts import Traceparent
from sprat_gateway.catalogue import Catalogue
from sprat_gateway.door import MAX_WAIT_S, Door
from sprat_gateway.http.callers import Caller, admission_of
from sprat_gateway.http.hang_ups import unless_gone
from sprat_gateway.replies.waiters import TextOutcome
from sprat_gateway.shapes.questions import AskedQuestion, GivenAnswer, answers, plan
from sprat_gateway.shapes.texts import id_of

_SHARE: Final = 0.9
"""Of the wait in which a large model must have answered: then the small model's answer still comes in time."""

DeadlineMs = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Asking:
    """What the routes of these shapes need. The application has one."""

    door: Door
    catalogue: Catalogue
    deadline_ms: DeadlineMs
    """Returns how long a hard case of a tenant may wait, by the policy."""

    async def submit(
        self, request: Request, caller: Caller, bodies: Sequence[Mapping[str, Any]]
    ) -> tuple[TextOutcome, ...]:
        """Publish texts and return what is known of them: when all are complete, else after 30 s or the deadline.

        `Idempotency-Key` becomes the id of the first; the others' have a number behind it.

        Raises:
            Problem: one is refused, or cannot be published.
        """
        admission_of(request).limits.spend(caller.key_id, max(0, len(bodies) - 1))
        wait_s = min(MAX_WAIT_S, self.deadline_ms(caller.tenant) / 1000)
        deadline = {"deadline_ms": max(1, int(wait_s * 1000 * _SHARE))}
        key, trace = id_of(request), Traceparent.parse(request.headers.get("traceparent"))
        ids = [key if key is None or number == 0 else f"{key}/{number + 1}" for number in range(len(bodies))]
        texts = [(json.dumps({**body, **deadline}).encode(), id) for body, id in zip(bodies, ids, strict=True)]
        for text, id in texts:
            self.door.read(caller, text, id)  # so that none is published where one is refused
        submitted = (self.door.submit(caller, text, id=id, wait_s=wait_s, traceparent=trace) for text, id in texts)
        return await unless_gone(request, _all(submitted))

    async def answers(
        self, request: Request, caller: Caller, text: str, questions: Sequence[AskedQuestion]
    ) -> tuple[tuple[GivenAnswer, ...], tuple[TextOutcome, ...]]:
        """Return the answers to questions about a text, and what is known of the texts that were published for them.

        Raises:
            Problem: as `submit` does; 400, a question is for several tasks; 504, no answer in time.
        """
        planned = plan(questions, self.catalogue.labels)
        outcomes = await self.submit(request, caller, [{"text": text, "tasks": tasks} for tasks in planned.texts])
        return answers(questions, planned, outcomes), outcomes


async def _all(submitted: Iterable[Coroutine[Any, Any, TextOutcome]]) -> tuple[TextOutcome, ...]:
    """Return what all return; where one fails, the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in submitted]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def asking_of(request: Request) -> Asking:
    """Return what the application has."""
    asking: Asking = request.app.state.asking
    return asking
