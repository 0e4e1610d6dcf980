"""What the tests of reviews share: predictions that were kept, and their draws."""

from typing import Any

from sprat.kafka.publisher import OutRecord
from sprat.kafka.signatures import Signatures
from sprat_contracts import (
    Envelope,
    IntentOutput,
    ModelRef,
    Origin,
    Prediction,
    ReviewAsked,
    ReviewCell,
    TaskOptions,
    Tasks,
    TextSubmitted,
    Topics,
    Traceparent,
    encode,
)
from sprat_contracts.ids import REVIEW, derive


def drawn(id: str, text: str = "please move 100 euros", label: str = "transfer", **changes: Any) -> ReviewAsked:
    """Return the draw of a kept intent."""
    prediction = Prediction(
        text_id=id,
        text_source="/test",
        task="intent",
        origin=Origin(partition=0, offset=0, appended_at=1_000),
        submitted=TextSubmitted(text=text, tasks=Tasks(intent=TaskOptions()), language="en"),
        output=IntentOutput(label=label),
        confidence=0.97,
        model=ModelRef(name="en-fast", version="0123456789abcdef"),
    )
    fields: dict[str, Any] = {
        "prediction": prediction,
        "cell": ReviewCell(tenant="default", language="en"),
        "goal": 0.97,
        "evidence": "estimated",
        "level": 0.97,
        "hash": "0147ae147ae147ae",
        "share": 0.01,
        "least_share": 0.01,
        "token": f"{abs(hash(id)):064x}",
    }
    return ReviewAsked(**fields | changes)


def draw_record(asked: ReviewAsked, topics: Topics, signatures: Signatures) -> OutRecord:
    """Return the signed record of a draw, as the router writes it."""
    prediction = asked.prediction
    id = str(derive(REVIEW, prediction.text_source, prediction.text_id, prediction.task))
    source = f"/{topics.prefix}/router"
    value, headers = encode(asked, Envelope(id=id, source=source, traceparent=Traceparent.root(source, id)))
    return signatures.sign(OutRecord(topics.reviews, prediction.task.encode(), value, headers))
