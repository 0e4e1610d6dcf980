"""Results of a model whose confidences, on the measured rows, are equally often anywhere from 0 to 1."""

from typing import Any

from sprat_contracts import IntentOutput, ModelRef, Origin, Result, Route, SmallAnswer, Thresholds
from sprat_contracts.predictions import DOUBTS
from sprat_contracts.thresholds import Cell, Step, content_version

GOAL_AT = 0.7
MEASURED = Cell(
    says="some",
    rows=1000,
    estimated=tuple(
        Step(
            accuracy=accuracy, threshold=threshold, kept=1000 * (1 - threshold), right=1000 * (1 - threshold) * accuracy
        )
        for accuracy, threshold in ((0.9, 0.5), (0.97, GOAL_AT), (0.99, 0.9))
    ),
)
"""30 % of the answers reach the goal."""
SAYS_NONE = MEASURED.model_copy(update={"says": "none"})


def even_thresholds(*cells: Cell, version: str = "v1") -> Thresholds:
    draft = Thresholds(
        thresholds_version="0" * 16,
        task="intent",
        model="small",
        model_version=version,
        right="the label",
        recommended_goal=0.97,
        cells=cells or (MEASURED, SAYS_NONE),
    )
    return draft.model_copy(update={"thresholds_version": content_version(draft.model_dump(mode="json"))})


def result_of(confidence: float | None, *, label: str | None = "transfer", version: str = "v1", **fields: Any) -> bytes:
    """Return the Result of an answer that is kept by the goal, or escalated and answered by a large model.

    Where `reason` is a doubt, it is escalated whatever its confidence is.
    """
    escalated = confidence is None or confidence < GOAL_AT or fields.get("reason") in DOUBTS
    model = ModelRef(name="small", version=version)
    route = Route(
        decision="escalated" if escalated else "kept",
        reason=fields.pop("reason", "low_confidence" if escalated else "confident"),
        goal=0.97,
        evidence="estimated",
    )
    small = None
    if escalated and confidence is not None:
        labels = () if label is None else (label,)
        small = SmallAnswer(model=model, labels=labels, confidence=confidence)
    given: dict[str, Any] = {
        "text_id": "t-1",
        "text_source": "/app",
        "task": "intent",
        "asked_model": "default",
        "requested": ("intent",),
        "origin": Origin(partition=0, offset=0, appended_at=0),
        "status": "answered",
        "output": IntentOutput(label="other" if escalated else label),
        "confidence": None if escalated else confidence,
        "source": "frontier" if escalated else "small",
        "route": route,
        "model": ModelRef(name="large", version="large") if escalated else model,
        "language": "en",
        "tenant": "shop",
        "small": small,
    }
    return Result(**given | fields).model_dump_json().encode()
