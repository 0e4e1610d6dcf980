"""Answers from the model's first stage, else from the cache, else from the model; the model runs off the event loop.

A batch on which the model fails is bisected to the one text that causes it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

from pydantic import ValidationError

from sprat.base.errors import Fatal
from sprat.base.keys import KeyedHash
from sprat.base.model import Answer, Model, Question, StagedModel, Unfinished
from sprat.processing.cache import Cache, cache_key
from sprat.processing.handler import Answered, Ask, ModelHandler
from sprat.processing.records import WorkItem
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span
from sprat_contracts import BUILT_IN, TaskTable

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")
Asking = tuple[WorkItem, Ask]
"""An item that no step has decided on, and what it asks."""


FEW_TEXTS: Final = 8
"""The first stage reads up to so many texts on the event loop. To hand them to a thread and back takes longer than to
read them: a thread may wait 5 ms for the interpreter's lock (`sys.getswitchinterval`)."""


class Inference:
    """Runs one model, each of its stages on a thread of its own; the model spreads a batch over its own threads."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._staged = model if isinstance(model, StagedModel) and model.is_staged else None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._first_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="first-stage")

    @property
    def is_staged(self) -> bool:
        """Whether the model has a first stage."""
        return self._staged is not None

    async def begin(self, questions: Sequence[Question]) -> list[Answer | Unfinished | None]:
        """Return what the first stage makes of all questions; None for a text on which it failed."""
        if self._staged is None:
            return [Unfinished(question) for question in questions]
        if len(questions) <= FEW_TEXTS:
            return _bisect(self._staged.begin, list(questions)) if questions else []
        return await self._run(self._first_worker, self._staged.begin, questions)

    async def finish(self, unfinished: Sequence[Unfinished]) -> list[Answer | None]:
        """Answer all that is left; None for a text on which the model failed."""
        if self._staged is not None:
            return await self._run(self._worker, self._staged.finish, unfinished)
        return await self._run(self._worker, self._model.answer, [each.question for each in unfinished])

    def close(self) -> None:
        """End the threads after their current batch."""
        for worker in (self._worker, self._first_worker):
            worker.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    async def _run(
        worker: ThreadPoolExecutor, compute: Callable[[Sequence[In]], Sequence[Out]], batch: Sequence[In]
    ) -> list[Out | None]:
        if not batch:
            return []
        return await asyncio.get_running_loop().run_in_executor(worker, _bisect, compute, list(batch))


def _bisect(compute: Callable[[Sequence[In]], Sequence[Out]], batch: list[In]) -> list[Out | None]:
    """Return what a model computes for a batch; None for each text on which it fails."""
    computed = _valid(compute, batch)
    if computed is not None:
        return [*computed]
    if len(batch) == 1:
        return [None]
    middle = len(batch) // 2
    return _bisect(compute, batch[:middle]) + _bisect(compute, batch[middle:])


def _valid(compute: Callable[[Sequence[In]], Sequence[Out]], batch: list[In]) -> list[Out] | None:
    """Return what a model computes; None where it fails, or returns something else: NaN is not a confidence."""
    try:
        computed = list(compute(batch))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - the boundary: a panic of a native library is no Exception
        log.warning("the model failed on a batch of %d texts: %s", len(batch), type(error).__name__)
        return None
    answers = [each for each in computed if isinstance(each, Answer)]
    valid = len(computed) == len(batch) and all(map(_has_chances, answers))
    return computed if valid else None


@dataclass(slots=True)
class CachedInference:
    """The part of the batch loop that a service with a model adds."""

    handler: ModelHandler
    model: Model
    inference: Inference
    cache: Cache
    keyed_hash: KeyedHash
    tasks: TaskTable = BUILT_IN
    unstored: dict[str, Answer] = field(default_factory=dict)
    """The model's answers that are not cached yet, by their keys; equal texts get them meanwhile."""

    def prepare(self, item: WorkItem, ask: Ask) -> None:
        """Record the question of a work item."""
        item.ask = ask
        item.unfinished = Unfinished(ask.question)
        item.tokens = self.model.tokens(ask.question)

    def begins_at_once(self, records: int) -> bool:
        """Return whether `begin` hands so many records to no thread."""
        return not self.inference.is_staged or records <= FEW_TEXTS

    async def begin(self, items: Sequence[WorkItem]) -> None:
        """Decide the items that the model's first stage answers: it costs less than to look an answer up."""
        asking = _asking(items)
        if not asking or not self.inference.is_staged:
            return
        now_ms = time.time() * 1000
        questions = [ask.question for _, ask in asking]
        began, seconds = await self._timed(asking, self.inference.begin(questions))
        answered = []
        for (item, ask), step in zip(asking, began, strict=True):
            if isinstance(step, Unfinished):
                item.unfinished = step
                continue
            answered.append((item, ask))
            self._decide(item, ask, step, {**_wait(item, now_ms), "model": _ms(seconds)})
        self._count(answered)
        if answered:
            _record_wait(answered, now_ms)
            signals.STAGE_SECONDS.record(seconds, task=answered[0][1].task, stage="model")

    async def look_up(self, items: Sequence[WorkItem]) -> None:
        """Decide the items whose answers are cached; `cache_s` of all says that they were looked up."""
        asking = _asking(items)
        began = time.perf_counter()
        for item, ask in asking:
            item.cache_key = cache_key(self.keyed_hash, ask.tenant, ask.question.text, *ask.cache_key)
        cached = await self._look_up({item.cache_key: ask for item, ask in asking})
        seconds, now_ms = time.perf_counter() - began, time.time() * 1000
        hits = []
        for item, ask in asking:
            item.cache_s = seconds
            if (hit := cached.get(item.cache_key)) is not None:
                hits.append((item, ask))
                self._decide(item, ask, hit, {**_wait(item, now_ms), "cache": _ms(seconds)}, cached=True)
        if asking:
            signals.STAGE_SECONDS.record(seconds, task=asking[0][1].task, stage="cache")
        _record_wait(hits, now_ms)

    async def finish(self, items: Sequence[WorkItem]) -> None:
        """Decide items that were looked up and not found: run the model.

        Equal questions are asked once. Where the model fails on a text, the handler decides what becomes of it.
        """
        asking = _asking(items)
        if not asking:
            return
        now_ms = time.time() * 1000
        by_key = {item.cache_key: (item, ask) for item, ask in asking}
        if "" in by_key:
            raise Fatal(
                "the model is asked for a text that was not looked up: texts without a key would share an answer"
            )
        left = [item.unfinished or Unfinished(ask.question) for item, ask in by_key.values()]
        answers, seconds = await self._timed([*by_key.values()], self.inference.finish(left))
        fresh = dict(zip(by_key, answers, strict=True))
        self._count([*by_key.values()])
        _record_wait(asking, now_ms)
        signals.STAGE_SECONDS.record(seconds, task=asking[0][1].task, stage="model")
        for item, ask in asking:
            timings = {**_wait(item, now_ms), "cache": _ms(item.cache_s or 0.0), "model": _ms(seconds)}
            self._decide(item, ask, fresh[item.cache_key], timings)
        self.unstored |= {key: answer for key, answer in fresh.items() if answer is not None}

    def _decide(
        self, item: WorkItem, ask: Ask, answer: Answer | None, timings: Mapping[str, float], *, cached: bool = False
    ) -> None:
        """Let the handler decide on an answer, or on a text on which the model failed: None."""
        if item.received is None:
            raise Fatal("an item without a question was answered")
        if answer is not None:
            item.outcome = self.handler.answered(item.received, ask, Answered(answer, cached, timings))
        else:
            log.error("the model failed on one text", extra=item.log_fields())
            item.outcome = self.handler.failed(item.received, ask)

    async def store(self) -> None:
        """Cache the model's answers."""
        answers, self.unstored = self.unstored, {}
        await self.cache.put_many({key: _encode(answer) for key, answer in answers.items()})

    @staticmethod
    async def _timed(asking: Sequence[Asking], computing: Awaitable[Out]) -> tuple[Out, float]:
        """Wait for the model, in a span; return what it computed, and the seconds. All ask for one task."""
        task, tokens = asking[0][1].task, sum(item.tokens for item, _ in asking)
        began = time.perf_counter()
        with (
            child_span(signals.INFER, task, task=task, texts=len(asking), tokens=tokens),
            signals.MODEL_SECONDS.timed(task=task),
        ):
            computed = await computing
        return computed, time.perf_counter() - began

    @staticmethod
    def _count(answered: Sequence[Asking]) -> None:
        """Count the texts that the model has answered, by whichever stage."""
        if answered:
            task = answered[0][1].task
            signals.MODEL_TEXTS.add(len(answered), task=task)
            signals.MODEL_TOKENS.add(sum(item.tokens for item, _ in answered), task=task)

    async def _look_up(self, asks: dict[str, Ask]) -> dict[str, Answer]:
        found = {key: self.unstored[key] for key in asks if key in self.unstored}
        if found:
            signals.CACHE_LOOKUPS.add(len(found), cache="answers", result="hit")
        if not (keys := [key for key in asks if key not in found]):
            return found
        for key, value in zip(keys, await self.cache.get_many(keys), strict=True):
            if value is not None and (answer := _decode(self.tasks, asks[key].task, value)) is not None:
                found[key] = answer
        return found


def _asking(items: Iterable[WorkItem]) -> list[Asking]:
    return [(item, item.ask) for item in items if item.ask is not None and item.outcome is None]


def _wait(item: WorkItem, now_ms: float) -> dict[str, float]:
    """Return how long a text has waited until now, in Kafka and for those before it, without the look-up."""
    return {"wait": max(0.0, round(now_ms - item.record.timestamp - 1000 * (item.cache_s or 0.0), 3))}


def _record_wait(asking: Sequence[Asking], now_ms: float) -> None:
    """Record the wait of the oldest of these texts until `now_ms`, epoch milliseconds."""
    if asking:
        wait_ms = max(_wait(item, now_ms)["wait"] for item, _ in asking)
        signals.STAGE_SECONDS.record(wait_ms / 1000, task=asking[0][1].task, stage="wait")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


_RENORMALISED: Final = "~"
_NOTHING_MISSED: Final = "="
_DOUBT: Final = "?"
"""No stage of a model begins with one of the three."""


def _encode(answer: Answer) -> bytes:
    """Write an answer for the cache: its confidence, stage and `~` where renormalised; a line break; its output.

    The chance that nothing is missed stands behind `=`, a doubt behind `?`.
    """
    missed = None if answer.nothing_missed is None else f"{_NOTHING_MISSED}{answer.nothing_missed!r}"
    optional = (answer.stage, _RENORMALISED if answer.renormalised else None, missed)
    doubt = f"{_DOUBT}{answer.doubt}" if answer.doubt else None
    words = (repr(answer.confidence), *filter(None, (*optional, doubt)))
    return f"{' '.join(words)}\n{answer.output.model_dump_json()}".encode()


def _decode(tasks: TaskTable, task: str, value: bytes) -> Answer | None:
    """Read an answer from the cache; None where it is not one, for instance because something else wrote it."""
    head, _, output = value.partition(b"\n")
    try:
        confidence, *words = head.decode().split(" ")
        missed = next((float(word[1:]) for word in words if word.startswith(_NOTHING_MISSED)), None)
        doubt = next((word.removeprefix(_DOUBT) for word in words if word.startswith(_DOUBT)), None)
        marks = (_RENORMALISED, _NOTHING_MISSED, _DOUBT)
        own = tasks[task].model_validate_json(output)
        answer = Answer(
            own,
            float(confidence),
            next((word for word in words if not word.startswith(marks)), None),
            renormalised=_RENORMALISED in words,
            nothing_missed=missed,
            doubt=doubt,
        )
    except (ValidationError, ValueError, KeyError):
        log.warning("a cached answer is not valid; it is ignored")
        return None
    return answer if _has_chances(answer) else None


def _has_chances(answer: Answer) -> bool:
    """Return whether what an answer states as probabilities can be such."""
    chances = (answer.confidence, 0.0 if answer.nothing_missed is None else answer.nothing_missed)
    return all(0.0 <= chance <= 1.0 for chance in chances)
