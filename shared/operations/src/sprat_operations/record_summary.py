"""A summary of a record in a few words, never with the text: for the demo's trace and for `sprat trace`."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sprat.base.model import DEFAULT_MODEL, display_name
from sprat.base.words import counted
from sprat_contracts import ReasonCode, Topics


class RecordKind(StrEnum):
    """Kinds of records, in the order in which they cause each other."""

    text = "text"
    prediction = "prediction"
    request = "request"
    egress = "egress"
    answer = "answer"
    result = "result"
    dead_letter = "dead_letter"
    review = "review"
    feedback = "feedback"
    review_closed = "review_closed"
    alarm = "alarm"


ATTEMPT = "attempt"
"""The phase of an egress record that is written before the call."""
OUTCOME = "outcome"
"""That of the one after it."""
REVIEWED = "reviewed"
"""The decision of feedback that answers a review."""

TIER_ANSWERED = frozenset({"kept", ReasonCode.UNSURE})
"""Outcomes of tiers that gave an answer."""
TIER_OUTCOMES: Mapping[str, str] = {
    ReasonCode.NO_CONFIDENCE: "not asked, its answer would have no confidence",
    ReasonCode.TASK: "not asked for this task",
    ReasonCode.POLICY: "not asked, the policy lets nothing leave to it",
}
"""In words: outcomes of tiers whose codes do not say that they were not asked."""

CAUSAL_ORDER = {kind: number for number, kind in enumerate(RecordKind)}


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """The content of a record in a few words."""

    sentence: str = ""
    decision: str = ""
    """The decision in one word: kept, escalated, declined, …"""
    reason: str = ""
    """The code of the reason, or several."""


def record_kinds(topics: Topics) -> dict[str, RecordKind]:
    """Return the kind of the records of each topic."""
    return {
        topics.texts: RecordKind.text,
        **{topics.predictions(task): RecordKind.prediction for task in topics.tasks},
        topics.frontier_requests: RecordKind.request,
        topics.egress: RecordKind.egress,
        topics.frontier_answers: RecordKind.answer,
        **{topics.results(task): RecordKind.result for task in topics.tasks},
        topics.dead_letters: RecordKind.dead_letter,
        topics.reviews: RecordKind.review,
        topics.feedback: RecordKind.feedback,
        topics.reviews_closed: RecordKind.review_closed,
        topics.alarms: RecordKind.alarm,
    }


def summarise(kind: RecordKind, value: Mapping[str, Any]) -> RecordSummary:
    """Return the summary of a record's value; where the value does not fit its topic, an empty one, but of a text."""
    try:
        return _SUMMARISERS[kind](value) if kind in _SUMMARISERS else RecordSummary()
    except (KeyError, TypeError, ValueError, AttributeError):
        return RecordSummary("what it asks for cannot be read" if kind is RecordKind.text else "")


def percent(confidence: float) -> str:
    """Return a confidence for a reader, to a tenth of a per cent, rounded down: one below 1 is not shown as 100 %."""
    return f"{math.floor(round(confidence * 1000, 6)) / 10:.1f} %"


def causes_in_words(causes: Iterable[tuple[str, str]]) -> str:
    """Return the causes of a declined answer in order, each by its code and its detail, which may be empty."""
    return "; then ".join(f"{code}: {detail}" if detail else code for code, detail in causes)


def _causes(declined: Mapping[str, Any]) -> str:
    causes = declined.get("causes") or (declined,)
    return causes_in_words((each["code"], each.get("detail") or "") for each in causes)


def _text(value: Mapping[str, Any]) -> RecordSummary:
    models = requested_model_names(value["tasks"])
    return RecordSummary(f"asks for {', '.join(display_name(task, model) for task, model in models.items())}")


def requested_model_names(tasks: Mapping[str, Any]) -> dict[str, str]:
    """Return the model that a text asks for, by task; the options are not validated. Null does not ask."""
    asked = {task: options for task, options in tasks.items() if options is not None}
    models = {task: options.get("model") if isinstance(options, dict) else None for task, options in asked.items()}
    return {task: model if isinstance(model, str) else DEFAULT_MODEL for task, model in models.items()}


def _prediction(value: Mapping[str, Any]) -> RecordSummary:
    if value["declined"] is not None:
        code = value["declined"]["code"]
        return RecordSummary(f"the small model declines: {_causes(value['declined'])}", "declined", code)
    sure = "" if value["confidence"] is None else f", {percent(value['confidence'])} sure"
    sure += " among the labels asked for" * bool(value.get("renormalised"))
    worth = value.get("accuracy") or {}
    levels = "".join(f", {name} {worth[name]:g}" for name in ("estimated", "certified") if worth.get(name) is not None)
    sentence = f"{value['model']['name']}: {short_answer(value['output'], value['task'])}{sure}{levels}"
    return RecordSummary(sentence, "predicted", "from the cache" if value.get("cached") else "")


def _request(value: Mapping[str, Any]) -> RecordSummary:
    reasons = ", ".join(value["reasons"])
    asked = asked_in_words(value) if value["prediction"]["confidence"] is not None else ""
    return RecordSummary(f"escalated: {reasons}{asked and f', {asked}'}", "escalated", reasons)


def asked_in_words(route: Mapping[str, Any]) -> str:
    """Return what was asked of an answer and what it reaches: `goal 0.97, reaches 0.95`; empty where nothing was."""
    threshold, goal, level = (route.get(name) for name in ("threshold", "goal", "level"))
    parts = [] if goal is None else [f"goal {goal:g}{' certified' if route.get('evidence') == 'certified' else ''}"]
    parts += [] if level is None else [f"reaches {level:g}"]
    parts += [] if threshold is None else [f"needs {100 * threshold:.4g} %"]
    return ", ".join(parts)


def _egress(value: Mapping[str, Any]) -> RecordSummary:
    if value["phase"] == ATTEMPT:
        sentence = f"{value['bytes_out']:,} bytes are about to leave for {value['provider']} ({value['region']})"
        return RecordSummary(sentence, ATTEMPT, _masked(value.get("masked") or {}))
    outcome = value["outcome"]
    return RecordSummary(f"{value['provider']}: {outcome}, €{value['cost_eur']:.6f}", OUTCOME, outcome)


def _masked(counts: Mapping[str, int]) -> str:
    return "masked: " + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) if counts else ""


def _answer(value: Mapping[str, Any]) -> RecordSummary:
    without_label = _without_label(value["output"] or value["request"]["prediction"].get("output") or {})
    tiers = " → ".join(_tier(step, without_label) for step in value.get("tiers") or ())
    asked = f" ({tiers})" if tiers else ""
    if value["declined"] is not None:
        code = value["declined"]["code"]
        return RecordSummary(f"the frontier declines: {_causes(value['declined'])}{asked}", "declined", code)
    task = value["request"]["prediction"]["task"]
    sentence = f"{value['model']['name']}: {short_answer(value['output'], task)}{asked}"
    return RecordSummary(sentence, "answered", "from an earlier answer" if value.get("cached") else "")


def tier_confidence(stated: float | None, calibrated: float | None) -> str:
    """Return how sure a tier is, and what it states of itself where that was calibrated; empty where it states none."""
    if calibrated is None or stated is None:
        return "" if stated is None else percent(stated)
    return f"{percent(calibrated)} (it states {percent(stated)})"


def _without_label(output: Mapping[str, Any]) -> str:
    """Return what an answer like this one says without a label; empty of tasks without labels."""
    return "none of the labels" if "labels" in output else "outside every label" if "label" in output else ""


def _tier(step: Mapping[str, Any], without_label: str) -> str:
    """Return what a tier said; also of one inside the house, for which nothing is in the audit."""
    sure = tier_confidence(step["confidence"], step.get("calibrated"))
    labels = ", ".join([step["label"]] if step.get("label") is not None else step.get("labels") or ())
    if step["outcome"] in TIER_ANSWERED:
        labels = labels or without_label
    outcome = TIER_OUTCOMES.get(step["outcome"], step["outcome"])
    return f"{step['tier']}: {' '.join(filter(None, (outcome, labels, sure)))}"


def _result(value: Mapping[str, Any]) -> RecordSummary:
    route, causes = value["route"], _causes(value["declined"]) if value.get("declined") else ""
    if value["output"] is None:
        sentence = f"{value['status']}{f', {causes}' if causes else ''}"
    else:
        said = short_answer(value["output"], value["task"])
        sentence = f"{value['status']} by {_source(value)}: {said}{f' ({causes})' if causes else ''}"
    unclear = causes_in_words((each["code"], each.get("detail") or "") for each in value.get("warnings") or ())
    sentence += f" · warning: {unclear}" if unclear else ""
    return RecordSummary(sentence, route["decision"], route["reason"])


def _source(value: Mapping[str, Any]) -> str:
    """Return who answered: the small model, the frontier, or which tier."""
    tier = next((each["tier"] for each in value.get("tiers") or () if each["outcome"] == "kept"), None)
    return str(value["source"]) if tier is None or value["source"] == "small" else f"tier {tier}"


def _review(value: Mapping[str, Any]) -> RecordSummary:
    return RecordSummary(f"drawn to be reviewed by {value['by']}, share {percent(value['share'])}", "drawn")


def _feedback(value: Mapping[str, Any]) -> RecordSummary:
    by, said = f"by {value['by']}", short_answer(value["output"], value["task"])
    if value.get("of") != "review":
        return RecordSummary(f"right would be: {said}", "corrected", by)
    return RecordSummary(f"review: {_verdict(value) or said}", REVIEWED, by)


def _review_closed(value: Mapping[str, Any]) -> RecordSummary:
    by, other = value.get("by"), ", another answer differs" * bool(value.get("disputed"))
    return RecordSummary(f"review closed: {_verdict(value)}{other}", "closed", f"by {by}" if by else "")


def _verdict(value: Mapping[str, Any]) -> str:
    return (value.get("verdict") or "").replace("_", " ")


def short_answer(output: Mapping[str, Any] | None, task: str) -> str:
    """Return what an output says in a few words: labels and counts, nothing of the text."""
    if output is None:
        return "nothing"
    if "label" in output:
        return str(output["label"] or f"outside every {'intent' if task == 'intent' else f'label of {task}'}")
    if "labels" in output:
        return ", ".join(each["label"] for each in output["labels"]) or f"none of the labels of {task}"
    if "masked" in output:
        return f"a text without {counted(len(output['spans']), 'personal value')}"
    if "content" in output:
        return "a text"
    return _names(output["entities"]) if "entities" in output else f"a text in {output['target']}"


def _names(entities: Sequence[Mapping[str, Any]]) -> str:
    uncertain = sum(bool(each.get("uncertain")) for each in entities)
    return counted(len(entities), "name") + (f", {uncertain} uncertain" if uncertain else "")


_SUMMARISERS: Mapping[RecordKind, Callable[[Mapping[str, Any]], RecordSummary]] = {
    RecordKind.text: _text,
    RecordKind.prediction: _prediction,
    RecordKind.request: _request,
    RecordKind.egress: _egress,
    RecordKind.answer: _answer,
    RecordKind.result: _result,
    RecordKind.review: _review,
    RecordKind.feedback: _feedback,
    RecordKind.review_closed: _review_closed,
}
