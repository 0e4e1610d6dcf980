"""What spans and metrics say about a message: who asked for what, what was decided, and how it ended; never a text."""

import math
from collections.abc import Mapping

from opentelemetry.trace import SpanContext

from sprat.telemetry import signals
from sprat.telemetry.instruments import Value
from sprat_contracts import (
    FrontierAnswered,
    FrontierRequested,
    Message,
    ModelRef,
    Prediction,
    Result,
    ReviewAsked,
    Route,
    TaskTable,
    TextSubmitted,
)
from sprat_contracts.languages import primary_subtag
from sprat_contracts.predictions import is_outside
from sprat_contracts.results import EACH_NAME

SMALL_STAGES = ("wait", "cache", "model")
"""What the service of a small model measures by the batch: to record it for each Result costs more than all else."""
NONE = "none"
"""The reason of what was not declined, and the stage of a model that has one alone."""


def span_attributes(message: Message, tasks: TaskTable) -> Mapping[str, Value]:
    """Return what the span of processing a record says about the message that it caused, or that it holds.

    Of the tasks that a text asks for, it names those in `tasks` alone: others are the words of who wrote the text.
    """
    match message:
        case TextSubmitted():
            return {"tenant": message.tenant, "tasks": tuple(message.tasks.known_to(tasks))}
        case Prediction():
            declined = message.declined.code if message.declined else None
            attributes = {"task": message.task, "tenant": message.submitted.tenant, "reason": declined}
            return attributes | _answer(message.model, message.confidence) | {"cached": message.cached or None}
        case FrontierRequested():
            decided: dict[str, Value] = {"decision": "escalated", "reason": message.reasons[0]}
            return {**span_attributes(message.prediction, tasks), **decided, **_asked(message)}
        case FrontierAnswered():
            ended: dict[str, Value] = {"cached": message.cached or None}
            reason = message.declined.code if message.declined else message.request.reasons[0]
            return {**span_attributes(message.request, tasks), **ended, "reason": reason}
        case Result():
            route: dict[str, Value] = {
                "task": message.task,
                "tenant": message.tenant,
                "decision": message.route.decision,
                "reason": message.route.reason,
                "status": message.status,
                "cached": message.cached or None,
            }
            return route | _asked(message.route) | _answer(message.model, message.confidence)
        case _:
            return {}


def _asked(of: Route | FrontierRequested) -> dict[str, Value]:
    """Return what was asked of the small model's answer, and what it reaches."""
    goal = None if of.goal is None else f"{of.goal:g}"
    return {"threshold": of.threshold, "goal": goal, "evidence": of.evidence, "level": of.level}


def _answer(model: ModelRef | None, confidence: float | None) -> dict[str, Value]:
    return {
        "model": model.name if model else None,
        "model_version": model.version if model else None,
        "model_stage": model.stage if model else None,
        "confidence_bucket": None if confidence is None else f"{min(9, math.floor(confidence * 10)) / 10:.1f}",
    }


def count_text(text: TextSubmitted, tasks: TaskTable) -> None:
    """Count the pairs of a text that the router has accepted: those of a task in `tasks`."""
    for task in text.tasks.known_to(tasks):
        signals.PAIRS.add(1, task=task, tenant=text.tenant)


def count_sent(message: Message, appended_ms: int | None, span: SpanContext) -> None:
    """Count a message that Kafka has acknowledged.

    Args:
        message: what was published.
        appended_ms: when the broker appended it, epoch milliseconds; None where that is not known.
        span: becomes the exemplar.
    """
    match message:
        case Prediction():
            reason = message.declined.code if message.declined else NONE
            stage = (message.model.stage if message.model else None) or NONE
            language = primary_subtag(message.text_language)
            signals.PREDICTIONS.add(1, task=message.task, language=language, reason=reason, model_stage=stage)
        case FrontierRequested():
            measured = message.goal is None or message.prediction.accuracy is not None
            _count_answer(message.prediction, "escalated", span, is_measured=measured)
        case Result():
            _count_result(message, appended_ms, span)
        case ReviewAsked():
            signals.REVIEWS_DRAWN.add(1, task=message.prediction.task, tenant=message.cell.tenant or NONE)
        case _:
            pass


def _count_result(result: Result, appended_ms: int | None, span: SpanContext) -> None:
    task, decision = result.task, result.route.decision
    signals.RESULTS.add(
        1, task=task, tenant=result.tenant, decision=decision, reason=result.route.reason, status=result.status
    )
    if appended_ms is not None:
        seconds = max(0, appended_ms - result.origin.appended_at) / 1000
        signals.RESULT_SECONDS.record(seconds, span, task=task, decision=decision)
    for stage, spent_ms in result.timings_ms.items():
        if stage not in SMALL_STAGES:
            signals.STAGE_SECONDS.record(spent_ms / 1000, span, task=task, stage=stage)
    if decision == "kept":
        route = result.route
        measured = route.goal is None or route.level is not None or route.reason == EACH_NAME
        _count_answer(result, decision, span, is_measured=measured)


def _count_answer(answer: Prediction | Result, decision: str, span: SpanContext, *, is_measured: bool) -> None:
    if answer.confidence is not None and answer.model is not None:
        model, version = answer.model.name, answer.model.version
        signals.CONFIDENCE.record(
            answer.confidence, span, task=answer.task, model=model, model_version=version, decision=decision
        )
        if answer.output is not None and is_outside(answer.output):
            signals.OUTSIDE.add(1, task=answer.task)
        if not is_measured:
            signals.NOT_MEASURED.add(1, task=answer.task, model=model)
