"""Answers from the cache, else from the model, off the event loop.

A batch on which the model fails is bisected to the one text that causes it.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import ValidationError

from sprat.cache import Cache, cache_key
from sprat.errors import Fatal
from sprat.keys import KeyedHash
from sprat.model import Answer, Model, Question
from sprat.processing.handler import Answered, Ask, ModelHandler
from sprat.processing.measure import SMALL_STAGES
from sprat.processing.records import WorkItem
from sprat.telemetry import signals
from sprat.telemetry.spans import child_span
from sprat_contracts import BUILT_IN, TaskTable

log = logging.getLogger(__name__)


class Inference:
    """One worker thread for one model; the model spreads a batch over its own threads."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    async def answer(self, questions: Sequence[Question]) -> list[Answer | None]:
        """Answer all questions; None for a text on which the model failed."""
        if not questions:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._bisect, list(questions))

    def close(self) -> None:
        """End the thread after its current batch."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _bisect(self, questions: list[Question]) -> list[Answer | None]:
        answers = self._valid_answers(questions)
        if answers is not None:
            return [*answers]
        if len(questions) == 1:
            return [None]
        middle = len(questions) // 2
        return self._bisect(questions[:middle]) + self._bisect(questions[middle:])

    def _valid_answers(self, questions: list[Question]) -> list[Answer] | None:
        """Return the answers; None where the model fails, or returns something else: NaN is not a confidence."""
        try:
            answers = list(self._model.answer(questions))
        except Exception as error:  # noqa: BLE001 - the boundary: a model may raise anything
            log.warning("the model failed on a batch of %d texts: %s", len(questions), type(error).__name__)
            return None
        valid = len(answers) == len(questions) and all(0.0 <= answer.confidence <= 1.0 for answer in answers)
        return answers if valid else None


@dataclass(slots=True)
class CachedInference:
    """The part of the batch loop that a service with a model adds."""

    handler: ModelHandler
    model: Model
    inference: Inference
    cache: Cache
    keyed_hash: KeyedHash
    tasks: TaskTable = BUILT_IN

    def prepare(self, item: WorkItem, ask: Ask) -> None:
        """Record the question of a work item."""
        item.ask = ask
        item.cache_key = cache_key(self.keyed_hash, ask.tenant, ask.question.text, *ask.cache_key)
        item.tokens = self.model.tokens(ask.question)

    async def answer(self, items: Sequence[WorkItem]) -> dict[str, Answer]:
        """Decide all items that ask: look the answers up, and run the model on the misses.

        Equal questions are asked once. Where the model fails on a text, the handler decides what becomes of it.

        Returns:
            The model's answers by their keys, for `store`.
        """
        asking = [item for item in items if item.ask is not None and item.outcome is None]
        if not asking:
            return {}
        began, now_ms = time.perf_counter(), time.time() * 1000
        asks = {item.cache_key: item.ask for item in asking if item.ask is not None}
        cached = await self._look_up(asks)
        looked_up = time.perf_counter()
        misses = [key for key in asks if key not in cached]
        tokens = {item.cache_key: item.tokens for item in asking}
        answers = await self._infer([asks[key] for key in misses], sum(tokens[key] for key in misses))
        model_ms = round((time.perf_counter() - looked_up) * 1000, 3)
        fresh = dict(zip(misses, answers, strict=True))
        cache_ms = round((looked_up - began) * 1000, 3)
        self._record_stages(asking, now_ms, cache_ms, model_ms if misses else None)
        for item in asking:
            hit = cached.get(item.cache_key)
            timings = {"wait": max(0.0, round(now_ms - item.record.timestamp, 3)), "cache": cache_ms}
            if hit is None:
                timings["model"] = model_ms
            answer = hit or fresh[item.cache_key]
            if item.received is None or item.ask is None:
                raise Fatal("an item without a question was answered")
            if answer is not None:
                answered = Answered(answer, hit is not None, timings)
                item.outcome = self.handler.answered(item.received, item.ask, answered)
            else:
                log.error("the model failed on one text", extra=item.log_fields())
                item.outcome = self.handler.failed(item.received, item.ask)
        return {key: answer for key, answer in fresh.items() if answer is not None}

    async def store(self, answers: Mapping[str, Answer]) -> None:
        """Cache answers of the model."""
        await self.cache.put_many({key: _encode(answer) for key, answer in answers.items()})

    @staticmethod
    def _record_stages(items: Sequence[WorkItem], now_ms: float, cache_ms: float, model_ms: float | None) -> None:
        """Record how long a batch spent in each stage; of the wait in Kafka, that of its oldest text."""
        wait_ms = max(0.0, now_ms - min(item.record.timestamp for item in items))
        task = next(item.ask.task for item in items if item.ask is not None)
        for stage, spent_ms in zip(SMALL_STAGES, (wait_ms, cache_ms, model_ms), strict=True):
            if spent_ms is not None:
                signals.STAGE_SECONDS.record(spent_ms / 1000, task=task, stage=stage)

    async def _infer(self, asks: Sequence[Ask], tokens: int) -> list[Answer | None]:
        """Run the model; all ask for the one task of this service."""
        if not asks:
            return []
        task = asks[0].task
        with (
            child_span(signals.INFER, task, task=task, texts=len(asks), tokens=tokens),
            signals.MODEL_SECONDS.timed(task=task),
        ):
            answers = await self.inference.answer([ask.question for ask in asks])
        signals.MODEL_TEXTS.add(len(asks), task=task)
        signals.MODEL_TOKENS.add(tokens, task=task)
        return answers

    async def _look_up(self, asks: dict[str, Ask]) -> dict[str, Answer]:
        keys = list(asks)
        found: dict[str, Answer] = {}
        for key, value in zip(keys, await self.cache.get_many(keys), strict=True):
            if value is not None and (answer := _decode(self.tasks, asks[key].task, value)) is not None:
                found[key] = answer
        return found


def _encode(answer: Answer) -> bytes:
    """Write an answer for the cache: the confidence, the stage where there is one, a line break, the output as JSON."""
    stage = f" {answer.stage}" if answer.stage else ""
    return f"{answer.confidence!r}{stage}\n{answer.output.model_dump_json()}".encode()


def _decode(tasks: TaskTable, task: str, value: bytes) -> Answer | None:
    """Read an answer from the cache; None where it is not one, for instance because something else wrote it."""
    head, _, output = value.partition(b"\n")
    confidence, _, stage = head.partition(b" ")
    try:
        answer = Answer(tasks[task].model_validate_json(output), float(confidence), stage.decode() or None)
    except (ValidationError, ValueError, KeyError):
        log.warning("a cached answer is not valid; it is ignored")
        return None
    return answer if 0.0 <= answer.confidence <= 1.0 else None
