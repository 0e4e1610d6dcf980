"""The judgement of a text: which of its tasks a specialist answers, which nobody serves, which nobody knows."""

import re
from collections.abc import Iterable

from sprat.delivery.outcomes import Received
from sprat.errors import Rejected
from sprat.model_table import ModelTable
from sprat.origin import origin_of
from sprat_contracts import TASKS, Declined, Message, Prediction, TextSubmitted
from sprat_router.decisions import NO_SERVICE

_HARMLESS = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_NAMED = 5


def unserved(text: TextSubmitted, received: Received[Message], models: ModelTable) -> list[Prediction]:
    """Give a prediction that declines for each known task that no model serves; specialists answer the others."""
    return [
        _unanswered(text, received, task, options.model)
        for task, options in text.tasks.known.items()
        if models.served(task, options.model, received.appended_at) is None
    ]


def unknown_tasks(text: TextSubmitted) -> Rejected | None:
    """Give one rejection for all tasks that nobody has heard of; None where there is none.

    Names are the upstream's own words: only those that look like names are told, and not too many.
    """
    unknown = text.tasks.unknown
    if not unknown:
        return None
    return Rejected("unknown_task", f"tasks: unknown: {_told(unknown)}; known are {', '.join(TASKS)}")


def _told(names: Iterable[str]) -> str:
    names = tuple(names)
    told = [name for name in names if _HARMLESS.fullmatch(name)][:_MAX_NAMED]
    if len(told) < len(names):
        told.append(f"{len(names) - len(told)} {'more' if told else 'not shown'}")
    return ", ".join(told)


def _unanswered(text: TextSubmitted, received: Received[Message], task: str, model: str) -> Prediction:
    return Prediction(
        text_id=received.envelope.id,
        text_source=received.envelope.source,
        task=task,
        origin=origin_of(received),
        submitted=text,
        output=None,
        confidence=None,
        model=None,
        declined=Declined(code=NO_SERVICE, detail=f"no model {task}/{model} served when the text arrived"),
    )
