"""Escalation: the event that asks a frontier model."""

import json
from collections.abc import Callable

from sprat.delivery.outcomes import Emit
from sprat.model_table import ModelTable
from sprat_contracts import FrontierRequested, Prediction, TaskOptions, Topics
from sprat_contracts.ids import REQUEST, derive

QuestionHash = Callable[[str, str, str, str], str]
"""Keyed hash of tenant, task, options and text, so that a tenant's equal questions meet in one consumer and the key
says nothing of the text."""


def request(
    prediction: Prediction, reasons: tuple[str, ...], threshold: float | None, models: ModelTable
) -> FrontierRequested:
    """Ask for a better answer. The prediction is carried whole, with the fields that this version does not know."""
    options = prediction.submitted.tasks.known[prediction.task]
    known = models.labels(prediction.task, options.model)
    return FrontierRequested(
        prediction=prediction,
        reasons=reasons,
        threshold=threshold,
        labels=known.labels if known else None,
        label_set=known.label_set if known else None,
    )


def request_event(asked: FrontierRequested, topics: Topics, question_hash: QuestionHash) -> Emit:
    """Make the event of a request, keyed by its question."""
    prediction = asked.prediction
    submitted, task = prediction.submitted, prediction.task
    key = question_hash(submitted.tenant, task, _canonical(submitted.tasks.known[task]), submitted.text)
    return Emit(
        topic=topics.frontier_requests,
        key=key.encode(),
        id=str(derive(REQUEST, prediction.text_source, prediction.text_id, task)),
        message=asked,
        extensions={"tenant": submitted.tenant},
    )


def _canonical(options: TaskOptions) -> str:
    """Give the options as JSON that is the same however the upstream ordered them."""
    return json.dumps(options.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
