"""Records as the router receives them, and a router to receive them."""

import json
import time
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from sprat.base.keys import Keys
from sprat.base.review_tokens import ReviewTokens
from sprat.kafka.signatures import Signatures
from sprat.processing.handler import Outcome, Received
from sprat.registry.model_table import ModelTable, model_key
from sprat_contracts import (
    Envelope,
    FrontierAnswered,
    FrontierRequested,
    Message,
    ModelAnnounced,
    Origin,
    Prediction,
    Result,
    TextSubmitted,
    Topics,
    Traceparent,
)
from sprat_policy import Policy, TenantGuard
from sprat_router.alarms import StandingAlarms
from sprat_router.draws import Draws
from sprat_router.handler import RouterHandler

TOPICS = Topics()
KEYS = Keys(SecretStr("the secret of this installation"))
SIGNATURES = Signatures(KEYS)
TOKENS = ReviewTokens(KEYS)
APPENDED_AT = 1_700_000_000_000
LABELS = ("balance", "transfer")
INTENT = {"label": "transfer", "alternatives": [{"label": "transfer", "probability": 0.9}]}
OUTPUTS_BY_TASK: dict[str, dict[str, Any]] = {
    "intent": INTENT,
    "ner": {"entities": [{"start": 0, "end": 4, "text": "Move", "label": "ORG"}]},
    "translation": {"text": "Überweise 100 Euro", "target": "de"},
    "language-id": {"label": "en", "alternatives": [{"label": "en", "probability": 0.99}]},
}
ALL_TASKS: dict[str, Any] = {"intent": {}, "ner": {}, "translation": {"target": "de"}, "language-id": {}}
MODEL = {"name": "en-fast", "version": "v1"}
EGRESS = {
    "left": True,
    "masked": {"IBAN": 1},
    "provider": "simulator",
    "region": "local",
    "call_id": "c-1",
    "simulated": True,
}
PAID = {
    "output": INTENT | {"label": "balance"},
    "cost_eur": 0.002,
    "usage": {"input_tokens": 120, "output_tokens": 4},
    "egress": EGRESS,
}
ANSWERED = PAID | {"model": {"name": "large", "version": "large"}, "timings_ms": {"wait": 10.0, "call": 300.0}}


def table(*announced: ModelAnnounced) -> ModelTable:
    models = ModelTable()
    for announcement in announced:
        assert models.apply(model_key(announcement.task, announcement.model), announcement)
    return models


def announced(task: str = "intent", owns_from: int | None = APPENDED_AT, **fields: Any) -> ModelAnnounced:
    labels = {"labels": LABELS, "label_set": "h1"} if task == "intent" else {}
    return ModelAnnounced(**{"task": task, "version": "v1", "owns_from": owns_from, **labels, **fields})


def question_hash(*parts: str) -> str:
    """Show what was hashed, so that a test can look."""
    return "|".join(parts)


def router(
    *announced: ModelAnnounced,
    policy: Policy | None = None,
    strict_texts: bool = False,
    clock: Callable[[], float] = time.time,
    alarms: StandingAlarms | None = None,
) -> RouterHandler:
    chosen = policy or Policy()
    guard = TenantGuard(chosen, {})
    standing = alarms or StandingAlarms(SIGNATURES)
    draws = Draws(TOKENS, chosen.named_tenants, lambda task: 1.0, clock)
    return RouterHandler(
        TOPICS, chosen, guard, table(*announced), question_hash, draws, standing, strict_texts=strict_texts
    )


def text(**fields: Any) -> TextSubmitted:
    return TextSubmitted.model_validate({"text": "Move 100 euros", "tasks": {"intent": {}}} | fields)


def worth(estimated: float | None, certified: float | None = None) -> dict[str, Any]:
    """Return what an answer is worth, as a prediction says it."""
    return {"estimated": estimated, "certified": certified, "thresholds": "0123456789abcdef", "rows": 400}


def prediction(task: str = "intent", **fields: Any) -> Prediction:
    """Return a prediction; without `accuracy`, one of a confidence of 0.8 or more is worth 0.97 by estimate."""
    submitted = fields.pop("submitted", None) or text(tasks={task: ALL_TASKS[task]})
    # Through JSON, as it comes from Kafka: unions and tuples are then what the wire makes of them.
    known = Prediction(
        text_id="t-1",
        text_source="/app",
        task=task,
        origin=Origin(partition=3, offset=7, appended_at=APPENDED_AT, key=fields.pop("key", None)),
        submitted=submitted,
        output=None,
        confidence=0.9,
        model=None,
        timings_ms={"model": 2.0, "wait": 1.0},
    ).model_dump(mode="json")
    accuracy = worth(0.97 if (fields.get("confidence", 0.9) or 0) >= 0.8 else None)
    return reread(Prediction, known | {"output": OUTPUTS_BY_TASK[task], "model": MODEL, "accuracy": accuracy} | fields)


def declined(code: str = "target") -> dict[str, Any]:
    return {"output": None, "confidence": None, "declined": {"code": code, "detail": ""}}


def answer(of: Prediction | None = None, **fields: Any) -> FrontierAnswered:
    """Return an answer; `labels` and `reasons` are those of its request."""
    asked = of or prediction(confidence=0.3)
    request = FrontierRequested(
        prediction=asked,
        reasons=fields.pop("reasons", ("low_confidence", "other")),
        goal=0.97,
        evidence="estimated",
        labels=fields.pop("labels", LABELS if asked.task == "intent" else None),
    )
    return reread(FrontierAnswered, {"request": request.model_dump(mode="json")} | fields)


def reread(kind: type[Any], fields: dict[str, Any]) -> Any:
    """Read a message as it comes from the wire."""
    return kind.model_validate_json(json.dumps(fields))


def received(message: Message, *, key: bytes | None = None, replay_for: str | None = None) -> Received[Message]:
    topic = {TextSubmitted: TOPICS.texts, FrontierAnswered: TOPICS.frontier_answers}.get(type(message), "")
    envelope = Envelope(id="t-1", source="/app", traceparent=Traceparent("1" * 32, "2" * 16), replay_for=replay_for)
    return Received(message, envelope, topic, partition=3, offset=7, appended_at=APPENDED_AT, key=key)


def results(outcome: Outcome) -> list[Result]:
    return [emit.message for emit in outcome.events if isinstance(emit.message, Result)]


def requests(outcome: Outcome) -> list[FrontierRequested]:
    return [emit.message for emit in outcome.events if isinstance(emit.message, FrontierRequested)]
