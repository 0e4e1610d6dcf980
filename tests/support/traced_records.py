"""The records that one text causes on its way, made by hand."""

import json
from dataclasses import replace

from sprat_contracts import (
    AlarmRaised,
    DeadLetterReason,
    Declined,
    Egress,
    EgressRecord,
    Envelope,
    FeedbackGiven,
    FrontierAnswered,
    FrontierRequested,
    IntentOutput,
    ModelRef,
    Origin,
    Prediction,
    Record,
    Result,
    ReviewAsked,
    ReviewCell,
    ReviewClosed,
    Route,
    TextName,
    TextSubmitted,
    Topics,
    Traceparent,
    encode,
)
from sprat_contracts.ids import derive, plain_text_identity

BEGAN = 1_764_086_400_000
SAID = "the words of a person"
TRANSFER = IntentOutput(label="transfer")


class TracedText:
    """Makes the records of one text; each stands at the offset and the millisecond given."""

    def __init__(self, id="order-7", source="/crm", tasks=("intent",), topics=None, traceparent=None, tenant="acme"):
        self.topics = topics or Topics()
        self.tenant = tenant
        self.id, self.source, self.tasks = id, source, tasks
        self.options = {task: {} for task in tasks}
        self.place = (self.topics.texts, 0, 41)
        self.began = BEGAN
        self.traceparent = traceparent or Traceparent.root(source, id)

    @classmethod
    def plain(cls, place, began, **more):
        """The way of a text without headers, at this place."""
        source, id = plain_text_identity(*place, began)
        way = cls(id, source, **more)
        way.place, way.began = place, began
        return way

    @property
    def origin(self):
        _, partition, offset = self.place
        return Origin(partition=partition, offset=offset, appended_at=self.began)

    @property
    def submitted(self):
        return TextSubmitted(text=SAID, tasks=self.options, tenant=self.tenant)

    def text(self, after_ms=0, *, headers=True):
        value, standard = encode(self.submitted, Envelope(self.id, self.source, self.traceparent))
        return Record(*self.place, self.began + after_ms, None, value, tuple(standard) if headers else ())

    def predicted(self, task="intent", model="en-fast"):
        return Prediction(
            text_id=self.id,
            text_source=self.source,
            task=task,
            origin=self.origin,
            submitted=self.submitted,
            output=TRANSFER if model else None,
            confidence=0.71 if model else None,
            model=ModelRef(name=model, version="v1") if model else None,
            declined=None if model else Declined(code="no_service"),
        )

    def models(self, task="intent", model="en-fast"):
        reason = "low_confidence" if model else "no_service"
        return FrontierRequested(
            prediction=self.predicted(task, model), reasons=(reason,), threshold=0.8, labels=("a",)
        )

    def prediction(self, after_ms=10, task="intent", offset=1):
        topic = self.topics.predictions(task)
        return self._record(topic, offset, after_ms, self.predicted(task), task, task)

    def request(self, after_ms=20, task="intent", offset=2, model="en-fast"):
        return self._record(self.topics.frontier_requests, offset, after_ms, self.models(task, model), "router", task)

    def answer(self, after_ms=200, task="intent", offset=3, **changes):
        fields = {
            "request": self.models(task),
            "output": TRANSFER,
            "model": ModelRef(name="large", version="large"),
            "egress": Egress(left=True, provider="mistral", region="eu"),
        }
        message = FrontierAnswered(**(fields | changes))
        return self._record(self.topics.frontier_answers, offset, after_ms, message, "frontier", task)

    def call(
        self, phase, after_ms, call_id="call-1", offset=4, task="intent", traceparent=None, tenant="acme", **changes
    ):
        fields = {
            "call_id": call_id,
            "phase": phase,
            "tenant": tenant,
            "task": task,
            "provider": "mistral",
            "region": "eu",
            "model": "large",
            "bytes_out": 1234,
            "cost_eur": 0.0 if phase == "attempt" else 0.0001,
            "masked": {"PERSON": 2},
            "text_hash": "h",
            "outcome": None if phase == "attempt" else "answered",
        }
        record = EgressRecord(**(fields | changes))
        made = self._record(self.topics.egress, offset, after_ms, record, "frontier", f"{call_id}-{phase}")
        if traceparent is None:
            return made
        headers = [
            (name, str(traceparent).encode() if name == "traceparent" else value) for name, value in made.headers
        ]
        return replace(made, headers=tuple(headers))

    def result(self, after_ms=210, task="intent", offset=5, decision="escalated", reason="low_confidence", **changes):
        fields = {
            "text_id": self.id,
            "text_source": self.source,
            "task": task,
            "requested": self.tasks,
            "origin": self.origin,
            "status": "answered",
            "output": TRANSFER,
            "source": "small" if decision == "kept" else "frontier",
            "route": Route(decision=decision, reason=reason),
            "language": "en",
            "tenant": self.tenant,
        }
        topic = self.topics.results(task)
        return self._record(topic, offset, after_ms, Result(**(fields | changes)), "router", f"result-{task}")

    def feedback(self, after_ms=9_000, task="intent", offset=6):
        given = FeedbackGiven(text_id=self.id, text_source=self.source, task=task, output=TRANSFER, by="agent-3")
        return self._record(self.topics.feedback, offset, after_ms, given, "desk", f"feedback-{task}")

    def drawn(self):
        cell = ReviewCell(tenant="default", language="en")
        return {"cell": cell, "hash": "0" * 16, "share": 0.01, "least_share": 0.01}

    def review(self, after_ms=215, task="intent", offset=8):
        asked = ReviewAsked(prediction=self.predicted(task), token="0" * 64, **self.drawn())
        return self._record(self.topics.reviews, offset, after_ms, asked, "router", f"review-{task}")

    def reviewed(self, after_ms=8_000, task="intent", offset=9, **changes):
        fields = {"of": "review", "token": "0" * 64, "by": "agent-3", "output": TRANSFER}
        given = FeedbackGiven(text_id=self.id, text_source=self.source, task=task, **(fields | changes))
        return self._record(self.topics.feedback, offset, after_ms, given, "desk", f"reviewed-{task}")

    def review_closed(self, after_ms=8_010, task="intent", offset=10, **changes):
        fields = {
            "text_id": self.id,
            "text_source": self.source,
            "task": task,
            "model": ModelRef(name="en-fast", version="v1"),
            "says": "some",
            "confidence": 0.71,
            "drawn_at": self.began,
            "verdict": "right",
            "by": "agent-3",
        }
        closed = ReviewClosed(**(fields | self.drawn() | changes))
        return self._record(self.topics.reviews_closed, offset, after_ms, closed, "guardian", f"closed-{task}")

    def alarm(self, *others, after_ms=8_020, task="intent", offset=11):
        named = tuple(TextName(text_source=each.source, text_id=each.id) for each in (self, *others))
        alarm = AlarmRaised(kind="errors", task=task, number=1, raised_at=self.began, texts=named)
        record = self._record(self.topics.alarms, offset, after_ms, alarm, "guardian", f"alarm-{task}")
        return replace(record, key=alarm.key)

    def letter(self, record, code="invalid_text", service="router", after_ms=30, offset=7, value=...):
        place = (record.topic, record.partition, record.offset, record.timestamp)
        reason = DeadLetterReason(code, "tasks: missing", *place, service, "1.2.3")
        kept = record.value if value is ... else value
        headers = tuple(reason.headers(record.headers, record.value))
        return Record(self.topics.dead_letters, 0, offset, self.began + after_ms, record.key, kept, headers)

    def _record(self, topic, offset, after_ms, message, service, stage):
        id = str(derive(stage, self.source, self.id))
        value, headers = encode(message, Envelope(id, f"/{self.topics.prefix}/{service}", self.traceparent))
        return Record(topic, 0, offset, self.began + after_ms, None, value, tuple(headers))

    def whole(self):
        """All that an escalated intent causes."""
        return [
            self.text(),
            self.prediction(),
            self.request(),
            self.call("attempt", 30),
            self.call("outcome", 190, offset=5),
            self.answer(),
            self.result(),
        ]


def without(record, *fields):
    """The record without some fields of its value."""
    value = {name: each for name, each in json.loads(record.value).items() if name not in fields}
    return replace(record, value=json.dumps(value).encode())
