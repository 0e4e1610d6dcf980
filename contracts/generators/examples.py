"""An example of every message: one text on its way through the whole system; and of thresholds."""

from functools import cache
from typing import Any

from sprat_contracts import (
    AlarmRaised,
    Alternative,
    Declined,
    Egress,
    EgressRecord,
    FeedbackGiven,
    FrontierAnswered,
    FrontierRequested,
    IntentOutput,
    Message,
    ModelAnnounced,
    ModelRef,
    Origin,
    Prediction,
    Result,
    ReviewAsked,
    ReviewCell,
    ReviewClosed,
    Route,
    TaskOptions,
    Tasks,
    TextName,
    TextSubmitted,
    Usage,
)
from sprat_contracts.thresholds import NONE, SOME, Cell, Certificate, Measurement, Step, Thresholds, content_version

TEXT_ID = "order-4711/message-3"
TEXT_SOURCE = "/shop/chat"
APPENDED_AT = 1_767_225_600_000
PROVIDER = "mistral_ai"
PROVIDER_MODEL = "mistral-medium-latest"

_OUTPUT = IntentOutput(
    label="transfer",
    alternatives=(
        Alternative(label="transfer", probability=0.62),
        Alternative(label="pay_bill", probability=0.21),
        Alternative(label="balance", probability=0.05),
    ),
)
_RIGHT = IntentOutput(label="pay_bill")
_LABELS = ("balance", "pay_bill", "transfer")
_SMALL = ModelRef(name="en-fast", version="2f8d51a09c3e", stage="lexical")
_EGRESS = Egress(left=True, masked={}, provider=PROVIDER, region="eu")


@cache
def examples() -> dict[str, Message]:
    """Return an example of every message, by its CloudEvents type: a hard case, escalated and answered."""
    submitted = TextSubmitted(
        text="Could you send what I owe for the electricity over to them?",
        tasks=Tasks(intent=TaskOptions()),
        language="en",
        tenant="shop",
        frontier="allow",
        deadline_ms=60_000,
        reference={"conversation": "c-193"},
    )
    accuracy = thresholds().accuracy(0.62, submitted.language, SOME)
    prediction = Prediction(
        text_id=TEXT_ID,
        text_source=TEXT_SOURCE,
        task="intent",
        origin=Origin(partition=3, offset=41, appended_at=APPENDED_AT, key="YzE5Mw=="),
        submitted=submitted,
        output=_OUTPUT,
        confidence=0.62,
        model=_SMALL,
        accuracy=accuracy,
        timings_ms={"wait": 4.1, "model": 2.3},
    )
    request = FrontierRequested(
        prediction=prediction,
        reasons=("low_confidence",),
        goal=0.97,
        evidence="estimated",
        level=accuracy.estimated,
        labels=_LABELS,
        label_set="9c1e0b7d",
    )
    answer = FrontierAnswered(
        request=request,
        output=_RIGHT,
        model=ModelRef(name=PROVIDER_MODEL, version=PROVIDER_MODEL),
        usage=Usage(input_tokens=181, output_tokens=9),
        cost_eur=0.00011,
        egress=_EGRESS,
        sent=submitted.text,
        timings_ms={"frontier": 412.0, "frontier_call": 398.5},
    )
    messages = (submitted, prediction, request, answer, _result(answer), _announcement(), _egress_record(), _feedback())
    return {message.event_type: message for message in (*messages, *_reviews(prediction))}


def thresholds() -> Thresholds:
    """Return the thresholds of the model of the example."""
    low = Step(accuracy=0.9, threshold=0.58, kept=412, right=372)
    goal = Step(accuracy=0.97, threshold=0.71, kept=366, right=357)
    certified = Step(accuracy=0.97, threshold=0.84, kept=298, right=296)
    measured = Measurement(
        at="2026-12-01",
        by="evaluate",
        rows=520,
        outside=52,
        drawn="traffic",
        attempt=1,
        spent=0.015,
        data="5f1d3a90c2b7e846",
    )
    draft = Thresholds(
        thresholds_version="0" * 16,
        task="intent",
        model=_SMALL.name,
        model_version=_SMALL.version,
        label_set="9c1e0b7d",
        right="the label, or none",
        recommended_goal=0.97,
        cells=(
            Cell(says=SOME, rows=461, estimated=(low, goal), certified=(certified,)),
            Cell(says=NONE, rows=59, estimated=(Step(accuracy=0.9, threshold=0.66, kept=39, right=36),)),
        ),
        certificate=Certificate(goals=(0.97,), spent=0.015, drawn="traffic", rows=520, outside=52),
        measurements=(measured,),
    )
    return draft.model_copy(update={"thresholds_version": content_version(draft.model_dump(mode="json"))})


def degraded() -> Result:
    """Return a Result with the small model's answer, because the frontier declined."""
    answer = examples()[FrontierAnswered.event_type]
    if not isinstance(answer, FrontierAnswered):
        raise TypeError("the example is of another type")
    declined = Declined(code="deadline", detail="the answer did not come in time")
    return _result(answer).model_copy(
        update={
            "status": "degraded",
            "source": "small",
            "output": _OUTPUT,
            "confidence": 0.62,
            "model": _SMALL,
            "declined": declined,
            "cost_eur": 0.0,
            "egress": Egress(left=False),
        }
    )


def _result(answer: FrontierAnswered) -> Result:
    prediction = answer.request.prediction
    return Result(
        text_id=prediction.text_id,
        text_source=prediction.text_source,
        task=prediction.task,
        requested=(prediction.task,),
        origin=prediction.origin,
        status="answered",
        output=answer.output,
        source="frontier",
        route=Route(
            decision="escalated", reason="low_confidence", goal=0.97, evidence="estimated", level=answer.request.level
        ),
        model=answer.model,
        cost_eur=answer.cost_eur,
        usage=answer.usage,
        egress=answer.egress,
        timings_ms=dict(prediction.timings_ms) | dict(answer.timings_ms),
        language=prediction.submitted.language,
        tenant=prediction.submitted.tenant,
        reference=prediction.submitted.reference,
    )


def _announcement() -> ModelAnnounced:
    return ModelAnnounced(
        task="intent",
        version=_SMALL.version,
        labels=_LABELS,
        label_set="9c1e0b7d",
        languages=("en",),
        owns_from=APPENDED_AT - 3_600_000,
        card={"name": _SMALL.name, "licence": "Apache-2.0"},
        thresholds=thresholds().announced(),
    )


def _egress_record() -> EgressRecord:
    return EgressRecord(
        call_id="01J9Z7-1",
        phase="outcome",
        tenant="shop",
        task="intent",
        provider=PROVIDER,
        region="eu",
        model=PROVIDER_MODEL,
        bytes_out=912,
        usage=Usage(input_tokens=181, output_tokens=9),
        cost_eur=0.00011,
        text_hash="b7f0c2",
        outcome="answered",
    )


def _feedback() -> FeedbackGiven:
    return FeedbackGiven(text_id=TEXT_ID, text_source=TEXT_SOURCE, task="intent", output=_RIGHT, by="agent-17")


def _reviews(prediction: Prediction) -> tuple[Message, ...]:
    """Return the draw of a prediction that was kept, how it ended, and an alarm."""
    accuracy = thresholds().accuracy(0.93, "en", SOME)
    kept = prediction.model_copy(update={"confidence": 0.93, "accuracy": accuracy})
    cell = ReviewCell(tenant="shop", language="en")
    drawn: dict[str, Any] = {"hash": "0147ae147ae147ae", "share": 0.01, "least_share": 0.01}
    route: dict[str, Any] = {"goal": 0.97, "evidence": "estimated", "level": 0.97}
    asked = ReviewAsked(prediction=kept, cell=cell, **route, **drawn, token="6b" * 32)
    closed = ReviewClosed(
        text_id=TEXT_ID,
        text_source=TEXT_SOURCE,
        task="intent",
        cell=cell,
        model=_SMALL,
        says=SOME,
        confidence=0.93,
        **route,
        **drawn,
        drawn_at=APPENDED_AT,
        verdict="wrong",
        by="agent-17",
    )
    alarm = AlarmRaised(
        kind="errors",
        task="intent",
        cell=cell,
        number=1,
        steps=1,
        model=_SMALL,
        goal=0.97,
        evidence="estimated",
        e_value=71.4,
        needed=65.8,
        reviews=93,
        errors=11,
        since=APPENDED_AT - 86_400_000,
        raised_at=APPENDED_AT + 60_000,
        texts=(TextName(text_source=TEXT_SOURCE, text_id=TEXT_ID),),
    )
    return asked, closed, alarm
