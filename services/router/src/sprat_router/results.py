"""Results: how a pair of a text and a task ends. The router alone writes them, one for every pair."""

from dataclasses import dataclass, field, replace

from sprat.delivery.outcomes import Emit
from sprat.origin import record_key
from sprat_contracts import (
    Declined,
    Egress,
    FrontierAnswered,
    FrontierRequested,
    ModelRef,
    Output,
    Prediction,
    Result,
    Route,
    Topics,
)
from sprat_contracts.ids import RESULT, derive
from sprat_router.decisions import Decision, answer_of

TOO_LARGE = Declined(code="too_large", detail="the record would be larger than its topic allows")
NO_OUTPUT = Declined(code="no_output", detail="the frontier gave no output that answers the task, and no reason")


@dataclass(frozen=True, slots=True)
class _Ending:
    """The fields of a Result that depend on who answered; as it stands, nobody did."""

    status: str = "unanswered"
    source: str = "none"
    output: Output | None = None
    confidence: float | None = None
    model: ModelRef | None = None
    cached: bool = False
    declined: Declined | None = None
    cost_eur: float = 0.0
    egress: Egress | None = None
    timings_ms: dict[str, float] = field(default_factory=dict)


def kept(prediction: Prediction, decision: Decision) -> Result:
    """The small model's answer is good enough."""
    route = Route(decision="kept", reason=decision.reasons[0], threshold=decision.threshold)
    ending = replace(_small(prediction), status="answered", timings_ms=prediction.timings_ms)
    return _result(prediction, route, ending)


def concluded(answer: FrontierAnswered) -> Result:
    """The frontier answered; or it declined, and the small answer has to do; or there is none."""
    prediction = answer.request.prediction
    output = answer_of(prediction.task, answer.output, answer.declined)
    if output is not None:
        ending = _Ending("answered", "frontier", output, model=answer.model, cached=answer.cached)
    else:
        ending = replace(_small(prediction), declined=answer.declined or NO_OUTPUT)
    ending = replace(
        ending,
        cost_eur=answer.cost_eur,
        egress=answer.egress,
        timings_ms=_added(prediction.timings_ms, answer.timings_ms),
    )
    return _result(prediction, _escalated(answer.request), ending)


def too_large(message: Result | FrontierRequested) -> Result:
    """Give the small Result that stands for an event which its topic does not take: no output, no timings.

    What it cost and what left the house stays told.
    """
    if isinstance(message, FrontierRequested):
        return _result(message.prediction, _escalated(message), _Ending(declined=TOO_LARGE))
    nobody = _Ending(declined=TOO_LARGE, cost_eur=message.cost_eur, egress=message.egress)
    return message.model_copy(update={name: getattr(nobody, name) for name in _Ending.__dataclass_fields__})


def result_event(result: Result, topics: Topics) -> Emit:
    """Make the event of a Result, keyed as its text was."""
    return Emit(
        topic=topics.results(result.task),
        key=record_key(result.origin, result.text_id),
        id=str(derive(RESULT, result.text_source, result.text_id, result.task)),
        message=result,
        extensions={"tenant": result.tenant, "status": result.status},
    )


def _small(prediction: Prediction) -> _Ending:
    """The small answer, not good enough but better than none; or none."""
    output = answer_of(prediction.task, prediction.output, prediction.declined)
    if output is None:
        return _Ending()
    return _Ending("degraded", "small", output, prediction.confidence, prediction.model, prediction.cached)


def _escalated(request: FrontierRequested) -> Route:
    return Route(decision="escalated", reason=request.reasons[0], threshold=request.threshold)


def _result(prediction: Prediction, route: Route, ending: _Ending) -> Result:
    submitted = prediction.submitted
    return Result(
        text_id=prediction.text_id,
        text_source=prediction.text_source,
        task=prediction.task,
        requested=tuple(submitted.tasks.known),
        origin=prediction.origin,
        status=ending.status,
        output=ending.output,
        declined=ending.declined,
        confidence=ending.confidence,
        source=ending.source,
        route=route,
        model=ending.model,
        cached=ending.cached,
        cost_eur=ending.cost_eur,
        egress=ending.egress,
        timings_ms=ending.timings_ms,
        language=submitted.language,
        tenant=submitted.tenant,
        reference=submitted.reference,
    )


def _added(small: dict[str, float], frontier: dict[str, float]) -> dict[str, float]:
    """Give the time spent in every stage; where both name a stage, in both together."""
    return small | {stage: small.get(stage, 0.0) + spent for stage, spent in frontier.items()}
