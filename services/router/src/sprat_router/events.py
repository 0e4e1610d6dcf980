"""The events that the router writes: requests to the frontier, and one Result for every pair of a text and a task."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sprat.base.model import DEFAULT_MODEL
from sprat.processing.handler import Emit, record_key
from sprat.registry.model_table import ModelTable
from sprat_contracts import (
    Cause,
    Declined,
    Egress,
    FrontierAnswered,
    FrontierRequested,
    IntentOutput,
    LabelsOutput,
    ModelRef,
    Output,
    Prediction,
    ReasonCode,
    Result,
    ReviewAsked,
    Route,
    SmallAnswer,
    TaskOptions,
    TaskTable,
    TextWarning,
    TierStep,
    Topics,
    Usage,
)
from sprat_contracts.ids import REQUEST, RESULT, REVIEW, derive
from sprat_router.decisions import UNKNOWN_LABEL, RouteDecision, answer_of, labels_of

TOO_LARGE = Declined(code=ReasonCode.TOO_LARGE, detail="the record would be larger than its topic allows")
NO_OUTPUT = Declined(
    code=ReasonCode.NO_OUTPUT, detail="the frontier gave no output that answers the task, and no reason"
)
NOT_ANNOUNCED = Declined(
    code=ReasonCode.UNKNOWN_LABEL,
    detail="the small model's answer has a label that it has not announced, or that the text does not ask for",
)
NOT_OFFERED = Declined(
    code=ReasonCode.INVALID_ANSWER, detail="the frontier's answer has a label that was not among those to choose from"
)

QuestionHash = Callable[[str, str, str, str], str]
"""Keyed hash of tenant, task, options and text: equal questions of a tenant meet in one consumer, and the key does not
reveal the text."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """The fields of a Result that depend on its answer; the defaults are those of an unanswered pair."""

    status: str = "unanswered"
    source: str = "none"
    output: Output | None = None
    confidence: float | None = None
    renormalised: bool = False
    model: ModelRef | None = None
    cached: bool = False
    declined: Declined | None = None
    cost_eur: float = 0.0
    usage: Usage | None = None
    egress: Egress | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)
    tiers: tuple[TierStep, ...] = ()
    small: SmallAnswer | None = None


def frontier_request(
    prediction: Prediction,
    decision: RouteDecision,
    models: ModelTable,
    labels: tuple[str, ...] | None = None,
) -> FrontierRequested:
    """Return the request for a better answer, with the whole prediction, including fields unknown to this version.

    The labels to choose from are those of `offered_labels`.
    """
    offered, label_set = offered_labels(prediction, models, labels)
    return FrontierRequested(
        prediction=prediction,
        reasons=decision.reasons,
        threshold=decision.threshold,
        goal=decision.goal,
        evidence=decision.evidence,
        level=decision.level,
        labels=offered,
        label_set=label_set,
    )


def offered_labels(
    prediction: Prediction, models: ModelTable, labels: tuple[str, ...] | None
) -> tuple[tuple[str, ...] | None, str | None]:
    """Return the labels for a large model to choose from, and the hash of all that its small model announces.

    They are those of the announced model, else `labels`; where the text asks for some, these.
    """
    options = requested_options(prediction)
    known = models.labels(prediction.task, options.model)
    offered = known.labels if known else labels
    if options.labels is not None and offered is not None:
        own = frozenset(offered)
        offered = tuple(label for label in dict.fromkeys(options.labels) if label in own)
    return offered, known.label_set if known else None


def requested_options(prediction: Prediction) -> TaskOptions:
    """Return the options with which its text asks for the task of a prediction.

    Raises:
        KeyError: it does not ask for it.
    """
    options = prediction.submitted.tasks.options(prediction.task)
    if options is None:
        raise KeyError(prediction.task)
    return options


def kept(prediction: Prediction, decision: RouteDecision, tasks: TaskTable) -> Result:
    """Return the Result of a kept prediction; `tasks` are those of the installation."""
    ending = _small(prediction, tasks, "answered", prediction.timings_ms)
    return _result(prediction, _route("kept", decision), ending, tasks)


def concluded(answer: FrontierAnswered, tasks: TaskTable) -> Result:
    """Return the Result of an escalation: the frontier's answer, else the small model's, else none."""
    request, prediction = answer.request, answer.request.prediction
    output = answer_of(tasks[prediction.task], answer.output, answer.declined)
    if output is None:
        ending = _fallback(request, answer.declined or NO_OUTPUT, tasks)
    elif not _offered(output, request):
        ending = _fallback(request, NOT_OFFERED, tasks)
    else:
        ending = _Ending("answered", "frontier", output, model=answer.model, cached=answer.cached)
    ending = replace(
        ending,
        cost_eur=answer.cost_eur,
        usage=answer.usage,
        egress=answer.egress,
        timings_ms=_added(prediction.timings_ms, answer.timings_ms),
        tiers=answer.without_sent().tiers,  # Results stand for longer, and more people may read them
        small=_said(request),
    )
    result = _result(prediction, _escalated(request), ending, tasks)
    return result.model_copy(update={"warnings": (*result.warnings, *_unserved_model(result, prediction.declined))})


def too_large(message: Result | FrontierRequested, tasks: TaskTable) -> Result:
    """Return the small Result that replaces an event too large for its topic: no output and no timings.

    It still reports cost, usage, egress and tiers.
    """
    if isinstance(message, FrontierRequested):
        declined = _in_order(_small_cause(message), TOO_LARGE)
        return _result(message.prediction, _escalated(message), _Ending(declined=declined), tasks)
    declined = _in_order(message.declined, TOO_LARGE)
    ending = _Ending(
        declined=declined,
        cost_eur=message.cost_eur,
        usage=message.usage,
        egress=message.egress,
        tiers=message.tiers,
    )
    return message.model_copy(update={name: getattr(ending, name) for name in _Ending.__dataclass_fields__})


def request_event(request: FrontierRequested, topics: Topics, question_hash: QuestionHash) -> Emit:
    """Return the event of a request, keyed by its question."""
    prediction = request.prediction
    submitted, task = prediction.submitted, prediction.task
    key = question_hash(submitted.tenant, task, _canonical(requested_options(prediction)), submitted.text)
    return Emit(
        topic=topics.frontier_requests,
        key=key.encode(),
        id=str(derive(REQUEST, prediction.text_source, prediction.text_id, task)),
        message=request,
        extensions={"tenant": submitted.tenant},
    )


def result_event(result: Result, topics: Topics) -> Emit:
    """Return the event of a Result, with the key of its text."""
    return Emit(
        topic=topics.results(result.task),
        key=record_key(result.origin, result.text_id),
        id=str(derive(RESULT, result.text_source, result.text_id, result.task)),
        message=result,
        extensions={"tenant": result.tenant, "status": result.status},
    )


def review_event(asked: ReviewAsked, topics: Topics) -> Emit:
    """Return the event of a draw, keyed by its task."""
    prediction = asked.prediction
    return Emit(
        topic=topics.reviews,
        key=prediction.task.encode(),
        id=str(derive(REVIEW, prediction.text_source, prediction.text_id, prediction.task)),
        message=asked,
        extensions={"tenant": prediction.submitted.tenant},
    )


def _canonical(options: TaskOptions) -> str:
    """Return the options as JSON that does not depend on the upstream's order of fields."""
    return json.dumps(options.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _offered(output: Output, request: FrontierRequested) -> bool:
    """Return whether the request offers all labels of the output; names of entities are open where it offers none."""
    if request.labels is None:
        return not isinstance(output, IntentOutput | LabelsOutput) or not labels_of(output)
    return labels_of(output) <= frozenset(request.labels)


def _said(request: FrontierRequested) -> SmallAnswer | None:
    """Return what the small model said; None where it gave no answer, or one that it may not give."""
    prediction = request.prediction
    if prediction.output is None or prediction.model is None or _small_cause(request) is not None:
        return None
    match prediction.output:
        case IntentOutput(label=str(label)):
            labels: tuple[str, ...] = (label,)
        case LabelsOutput():
            labels = tuple(each.label for each in prediction.output.labels)
        case _:
            labels = ()
    confidence = None if prediction.renormalised else prediction.confidence
    return SmallAnswer(model=prediction.model, labels=labels, confidence=confidence)


def _unserved_model(result: Result, declined: Declined | None) -> tuple[TextWarning, ...]:
    """Return a warning where a large model answered because nobody served the model that the text names.

    A misspelt name would else be paid for unnoticed. Where there is no answer, `declined` says it.
    """
    if declined is None or declined.code != ReasonCode.NO_SERVICE:
        return ()
    if result.output is None or result.asked_model == DEFAULT_MODEL:
        return ()
    return (TextWarning(code=declined.code, detail=declined.detail),)


def _fallback(request: FrontierRequested, declined: Declined, tasks: TaskTable) -> _Ending:
    """Return the ending without a frontier's answer: the small model's, unless that has an unknown label."""
    small = _Ending() if UNKNOWN_LABEL in request.reasons else _small(request.prediction, tasks)
    return replace(small, declined=_in_order(_small_cause(request), declined))


def _small_cause(request: FrontierRequested) -> Declined | None:
    """Return why the small model's answer cannot stand; None where it can."""
    return NOT_ANNOUNCED if UNKNOWN_LABEL in request.reasons else request.prediction.declined


def _in_order(first: Declined | None, last: Declined) -> Declined:
    """Return the first cause with all causes in order: why there is no small answer, and no answer of the frontier."""
    causes = [cause for each in (first, last) if each is not None for cause in each.causes or (each,)]
    return Declined(
        code=causes[0].code,
        detail=causes[0].detail,
        causes=tuple(Cause(code=each.code, detail=each.detail) for each in causes),
    )


def _small(
    prediction: Prediction, tasks: TaskTable, status: str = "degraded", timings_ms: dict[str, float] | None = None
) -> _Ending:
    """Return the ending with the small model's answer; the unanswered one where there is none."""
    output = answer_of(tasks[prediction.task], prediction.output, prediction.declined)
    if output is None:
        return _Ending()
    return _Ending(
        status,
        "small",
        output,
        confidence=prediction.confidence,
        renormalised=prediction.renormalised,
        model=prediction.model,
        cached=prediction.cached,
        timings_ms=timings_ms or {},
    )


def _escalated(request: FrontierRequested) -> Route:
    return _route("escalated", request)


def _route(decision: str, by: RouteDecision | FrontierRequested) -> Route:
    return Route(
        decision=decision,
        reason=by.reasons[0],
        threshold=by.threshold,
        goal=by.goal,
        evidence=by.evidence,
        level=by.level,
    )


def _result(prediction: Prediction, route: Route, ending: _Ending, tasks: TaskTable) -> Result:
    submitted = prediction.submitted
    return Result(
        text_id=prediction.text_id,
        text_source=prediction.text_source,
        task=prediction.task,
        asked_model=requested_options(prediction).model,
        requested=tuple(submitted.tasks.known_to(tasks)),
        origin=prediction.origin,
        status=ending.status,
        output=ending.output,
        declined=ending.declined,
        confidence=ending.confidence,
        renormalised=ending.renormalised,
        source=ending.source,
        route=route,
        model=ending.model,
        cached=ending.cached,
        cost_eur=ending.cost_eur,
        usage=ending.usage,
        egress=ending.egress,
        timings_ms=ending.timings_ms,
        tiers=ending.tiers,
        small=ending.small,
        language=submitted.language,
        language_detected=prediction.language_detected,
        tenant=submitted.tenant,
        reference=submitted.reference,
        warnings=prediction.warnings,
    )


def _added(small: dict[str, float], frontier: dict[str, float]) -> dict[str, float]:
    """Return the time spent in each stage, added up for a stage that both name."""
    return small | {stage: small.get(stage, 0.0) + spent for stage, spent in frontier.items()}
