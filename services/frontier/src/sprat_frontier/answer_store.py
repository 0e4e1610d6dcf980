"""Answers as they are stored, and their keys. An answer to a masked text is stored with its placeholders."""

import json

from pydantic import ValidationError

from sprat.processing.cache import cache_key
from sprat_contracts import Declined, Egress, ModelRef, Output, Usage
from sprat_contracts.base import Part, Probability
from sprat_frontier.answers import InvalidAnswerError, check
from sprat_frontier.prompts import PROMPT_VERSION, FrontierQuestion
from sprat_frontier.protocols import HashFunction, Provider


class PaidAnswer(Part):
    """What a provider was paid for, with everything that an escalation reports of it."""

    asked_by: str
    """Id of the answer event that the call was made for: only this one reports the cost."""
    output: Output | None
    """None where the provider was paid for no usable answer, and the case went on to another."""
    declined: Declined | None = None
    """Why there is no output."""
    confidence: Probability | None = None
    model: ModelRef
    usage: Usage
    cost_eur: float
    egress: Egress
    call_ms: float


def answer_key(
    hash: HashFunction, question: FrontierQuestion, rule: str, masker_version: str, provider: Provider, endpoint: str
) -> str:
    """Return the key of an answer: equal for equal questions of one tenant to one provider, and for nothing else.

    `masker_version` is empty where the text is not masked.
    """
    return cache_key(
        hash,
        question.tenant,
        question.text,
        "frontier-answer",
        PROMPT_VERSION,
        question.task,
        question.options,
        rule,
        masker_version,
        question.label_set,
        json.dumps(question.labels, ensure_ascii=False) + question.guidance,
        provider.name,
        provider.region,
        provider.model,
        endpoint,
        question.language,
    )


def read_answer(value: bytes | None, question: FrontierQuestion, answer_id: str) -> PaidAnswer | None:
    """Return the stored answer; None where the value is no answer or does not fit the question.

    That a provider was paid for nothing is a fact for the escalation alone that paid: others get another chance.
    """
    if value is None:
        return None
    try:
        answer = PaidAnswer.model_validate_json(value)
        if answer.output is None:
            return answer if answer.asked_by == answer_id and answer.declined is not None else None
        check(question, answer.output)
    except (ValidationError, InvalidAnswerError):
        return None
    return answer
