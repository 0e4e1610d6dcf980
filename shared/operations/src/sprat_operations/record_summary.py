"""What a record says, in a few words and never with the text: for the demo's trace and for `sprat trace`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sprat.model import DEFAULT_MODEL, display_name
from sprat_contracts import TASKS, Topics


class Kind(StrEnum):
    """What a record is. In the order in which they cause each other."""

    text = "text"
    prediction = "prediction"
    request = "request"
    egress = "egress"
    answer = "answer"
    result = "result"
    dead_letter = "dead_letter"
    feedback = "feedback"


ATTEMPT = "attempt"
"""The phase of an egress record that is written before the call."""

DEPTH = {kind: number for number, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What a record says."""

    says: str = ""
    decision: str = ""
    """What was decided, in a word: kept, escalated, declined, …"""
    reason: str = ""
    """Why; a code or several."""


def kinds(topics: Topics) -> dict[str, Kind]:
    """Give what each topic holds."""
    return {
        topics.texts: Kind.text,
        **{topics.predictions(task): Kind.prediction for task in TASKS},
        topics.frontier_requests: Kind.request,
        topics.egress: Kind.egress,
        topics.frontier_answers: Kind.answer,
        **{topics.results(task): Kind.result for task in TASKS},
        topics.dead_letters: Kind.dead_letter,
        topics.feedback: Kind.feedback,
    }


def summarise(kind: Kind, value: Mapping[str, Any]) -> RecordSummary:
    """Say what a record's value says; nothing where it is not what its topic holds."""
    try:
        return _WORDS[kind](value) if kind in _WORDS else RecordSummary()
    except (KeyError, TypeError, ValueError, AttributeError):
        return RecordSummary()


def _text(value: Mapping[str, Any]) -> RecordSummary:
    return RecordSummary(
        f"asks for {', '.join(display_name(task, model) for task, model in asked_models(value['tasks']).items())}"
    )


def asked_models(tasks: Mapping[str, Any]) -> dict[str, str]:
    """Give the model that is asked for of each of a text's tasks; the options may be anything."""
    models = {task: options.get("model") if isinstance(options, dict) else None for task, options in tasks.items()}
    return {task: model if isinstance(model, str) else DEFAULT_MODEL for task, model in models.items()}


def _prediction(value: Mapping[str, Any]) -> RecordSummary:
    if value["declined"] is not None:
        code = value["declined"]["code"]
        return RecordSummary(f"the small model declines: {code}", "declined", code)
    says = f"{value['model']['name']}: {_short(value['output'])}, {100 * value['confidence']:.0f} % sure"
    return RecordSummary(says, "predicted", "from the cache" if value.get("cached") else "")


def _request(value: Mapping[str, Any]) -> RecordSummary:
    reasons = ", ".join(value["reasons"])
    threshold = value["threshold"]
    needs = f", {100 * threshold:.0f} % needed" if threshold is not None else ""
    return RecordSummary(f"escalated: {reasons}{needs}", "escalated", reasons)


def _egress(value: Mapping[str, Any]) -> RecordSummary:
    if value["phase"] == ATTEMPT:
        says = f"{value['bytes_out']:,} bytes are about to leave for {value['provider']} ({value['region']})"
        return RecordSummary(says, ATTEMPT, _masked(value.get("masked") or {}))
    outcome = value["outcome"]
    return RecordSummary(f"{value['provider']}: {outcome}, €{value['cost_eur']:.6f}", "outcome", outcome)


def _masked(counts: Mapping[str, int]) -> str:
    return "masked: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) if counts else ""


def _answer(value: Mapping[str, Any]) -> RecordSummary:
    if value["declined"] is not None:
        code = value["declined"]["code"]
        return RecordSummary(f"the frontier declines: {code}", "declined", code)
    says = f"{value['model']['name']}: {_short(value['output'])}"
    return RecordSummary(says, "answered", "from an earlier answer" if value.get("cached") else "")


def _result(value: Mapping[str, Any]) -> RecordSummary:
    route = value["route"]
    says = f"{value['status']} by {value['source']}: {_short(value['output'])}"
    return RecordSummary(says, route["decision"], route["reason"])


def _feedback(value: Mapping[str, Any]) -> RecordSummary:
    return RecordSummary(f"right would be: {_short(value['output'])}", "corrected", f"by {value['by']}")


def _short(output: Mapping[str, Any] | None) -> str:
    if output is None:
        return "nothing"
    if "label" in output:
        return str(output["label"] or "outside every intent")
    return f"{len(output['entities'])} names" if "entities" in output else f"a text in {output['target']}"


_WORDS: Mapping[Kind, Callable[[Mapping[str, Any]], RecordSummary]] = {
    Kind.text: _text,
    Kind.prediction: _prediction,
    Kind.request: _request,
    Kind.egress: _egress,
    Kind.answer: _answer,
    Kind.result: _result,
    Kind.feedback: _feedback,
}
