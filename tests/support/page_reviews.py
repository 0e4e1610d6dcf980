"""Records of reviews and alarms about a `TracedText`, as the router, the guardian and reviewers write them."""

from sprat_contracts import (
    Accuracy,
    AlarmRaised,
    Envelope,
    FeedbackGiven,
    IntentOutput,
    ModelRef,
    Record,
    ReviewAsked,
    ReviewCell,
    ReviewClosed,
    Route,
    Traceparent,
    encode,
)

TOKEN = "0123456789abcdef" * 4
CELL = ReviewCell(tenant="acme", language="en")


def asked(text, task="intent", prediction=None, **changes):
    """The draw of the text's kept answer."""
    fields = {
        "prediction": text.predicted(task) if prediction is None else prediction,
        "cell": CELL,
        "goal": 0.9,
        "evidence": "estimated",
        "level": 0.95,
        "hash": "0001000000000000",
        "share": 0.5,
        "least_share": 0.5,
        "token": TOKEN,
    }
    return ReviewAsked(**(fields | changes))


def decided(text, estimated, *, certified=None, goal=0.95, reason=None, offset=0, **changes):
    """Return prediction and Result of a text whose small answer reaches a level; None: it was not measured."""
    worth = None if estimated is None else Accuracy(estimated=estimated, certified=certified, thresholds="0" * 16)
    predicted = text.predicted().model_copy(update={"accuracy": worth})
    kept = reason in (None, "confident") and estimated is not None and estimated >= goal
    route = Route(
        decision="kept" if kept else "escalated",
        reason=reason or ("confident" if kept else "low_confidence"),
        goal=goal,
        evidence="estimated",
        level=estimated,
    )
    cost = {} if kept else {"cost_eur": 0.01}
    prediction = record_of(text, text.topics.predictions("intent"), offset, 10, predicted)
    return [prediction, text.result(40, offset=offset, route=route, **({"tenant": text.tenant} | cost | changes))]


def draw(text, task="intent", offset=1, after_ms=300, **changes):
    return record_of(text, text.topics.reviews, offset, after_ms, asked(text, task, **changes))


def closed(text, verdict="right", task="intent", offset=1, after_ms=9_000, **changes):
    fields = {
        "text_id": text.id,
        "text_source": text.source,
        "task": task,
        "cell": ReviewCell(tenant=text.tenant, language="en"),
        "model": ModelRef(name="en-fast", version="v1"),
        "says": "some",
        "confidence": 0.97,
        "goal": 0.9,
        "evidence": "estimated",
        "level": 0.95,
        "hash": "0001000000000000",
        "share": 0.5,
        "least_share": 0.5,
        "drawn_at": text.began + 300,
        "verdict": verdict,
    }
    return record_of(text, text.topics.reviews_closed, offset, after_ms, ReviewClosed(**(fields | changes)))


def given(text, task="intent", offset=1, after_ms=5_000, **changes):
    """An answer to the draw."""
    fields = {
        "text_id": text.id,
        "text_source": text.source,
        "task": task,
        "output": IntentOutput(label="transfer"),
        "by": "somebody",
        "of": "review",
        "token": TOKEN,
    }
    return record_of(text, text.topics.feedback, offset, after_ms, FeedbackGiven(**(fields | changes)))


def alarm(text, number=1, offset=1, after_ms=10_000, **changes):
    fields = {
        "kind": "errors",
        "task": "intent",
        "cell": CELL,
        "number": number,
        "goal": 0.9,
        "e_value": 41.0,
        "needed": 40.0,
        "reviews": 90,
        "errors": 21,
        "since": text.began,
        "raised_at": text.began + after_ms,
    }
    raised = AlarmRaised(**(fields | changes))
    return record_of(text, text.topics.alarms, offset, after_ms, raised, raised.key)


def record_of(text, topic, offset, after_ms, message, key=None):
    envelope = Envelope(f"{topic}-{offset}", "/sprat/guardian", Traceparent.root("/sprat", topic))
    value, headers = encode(message, envelope)
    return Record(topic, 0, offset, text.began + after_ms, key, value, tuple(headers))
