"""An answer as it is kept, and how it is found again. One to a masked text is kept with its placeholders."""

import json

from pydantic import ValidationError

from sprat_contracts import Egress, ModelRef, Output, Usage
from sprat_contracts.base import Part
from sprat_frontier.answers import InvalidAnswerError, check
from sprat_frontier.ports import Hash, Provider
from sprat_frontier.prompts import PROMPT_VERSION
from sprat_frontier.questions import FrontierQuestion


class StoredAnswer(Part):
    """All that an answered case needs. `asked_by` is the id of the event that the call was made for."""

    asked_by: str
    output: Output
    model: ModelRef
    usage: Usage
    cost_eur: float
    egress: Egress
    call_ms: float


def answer_key(
    hash: Hash, question: FrontierQuestion, rule: str, perimeter: str, provider: Provider, endpoint: str
) -> str:
    """Give the key of the answer: equal for equal questions of one tenant to one provider, and for nothing else.

    `perimeter` is the version of what masked the question's text; empty where nothing did.
    """
    return hash(
        "frontier-answer",
        PROMPT_VERSION,
        question.tenant,
        question.task,
        question.options,
        rule,
        perimeter,
        question.label_set,
        json.dumps(question.labels, ensure_ascii=False),
        provider.name,
        provider.region,
        provider.model,
        endpoint,
        question.language,
        question.text,
    )


def read_stored(value: bytes | None, question: FrontierQuestion) -> StoredAnswer | None:
    """Read a kept answer; what is not one, or does not fit the question, was not there."""
    if value is None:
        return None
    try:
        stored = StoredAnswer.model_validate_json(value)
        check(question, stored.output)
    except (ValidationError, InvalidAnswerError):
        return None
    return stored
