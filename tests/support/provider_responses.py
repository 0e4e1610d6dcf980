"""Responses of providers that no test can call, in the form that each one documents.

The forms are theirs, the texts and numbers are not: nothing here was received from a provider. Sources, looked up in
November 2026:

* OpenAI Decisions: the types of the pinned `openai` 3.57.0, `openai.types.Decision` and `DecisionCreateParams`.
* System One: the API reference of Fireworks (docs.fireworks.ai/api-reference/post-systemone) and Upstage
  (console.upstage.ai/api/systemone.md), and a published record of requests to `jev-1.13` of 2026-09-20: there
  `confidence` was 0.91 beside a probability of 0.94, probabilities summed to 0.99 or 1, and `usage` had a `cost`.
* Mistral: docs.mistral.ai, chat completions and the error glossary (/resources/error-glossary).
"""

from typing import Any

DECISION: dict[str, Any] = {
    "model": "gpt-6-luna",
    "answers": [
        {
            "type": "choice",
            "name": "intent",
            "choice": "balance",
            "confidence": 0.7,
            "probabilities": [
                {"value": "transfer", "probability": 0.1},
                {"value": "balance", "probability": 0.8},
                {"value": "card_declined", "probability": 0.06},
                {"value": "none of these", "probability": 0.04},
            ],
        }
    ],
    "usage": {
        "input_tokens": 96,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 100,
    },
}
REFUSAL: dict[str, Any] = DECISION | {"answers": [{"type": "refusal", "name": "intent"}]}

SYSTEM_ONE: dict[str, Any] = {
    "model": "jev-1.13.0",
    "answers": {
        "intent": {
            "type": "choice",
            "choice": "balance",
            "probabilities": {"transfer": 0.05, "balance": 0.94, "card_declined": 0, "none of these": 0},
            "confidence": 0.91,
        }
    },
    "usage": {"input_tokens": 98, "output_tokens": 21, "cost": 0.0000041},
}
UNANSWERED: dict[str, Any] = SYSTEM_ONE | {"answers": {}}

MISTRAL: dict[str, Any] = {
    "id": "cmpl-e5cc70bb28c444948073e77776eb30ef",
    "object": "chat.completion",
    "model": "mistral-medium-latest",
    "created": 1_702_256_327,
    "usage": {"prompt_tokens": 120, "completion_tokens": 9, "total_tokens": 129},
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "tool_calls": None, "content": '{"label": "balance"}', "prefix": False},
        }
    ],
}
MISTRAL_LIMITED: dict[str, Any] = {
    "object": "error",
    "message": "Rate limit exceeded",
    "type": "rate_limited",
    "param": None,
    "code": "1300",
    "raw_status_code": 429,
}
MISTRAL_UNAUTHORISED: dict[str, Any] = {"detail": "Unauthorized"}
MISTRAL_UNKNOWN_MODEL: dict[str, Any] = {
    "object": "error",
    "message": "Invalid model: mistral-none",
    "type": "invalid_model",
    "param": None,
    "code": "1500",
}
MISTRAL_INVALID: dict[str, Any] = {
    "object": "error",
    "message": {
        "detail": [{"type": "extra_forbidden", "loc": ["body", "logprobs"], "msg": "Extra inputs are not allowed"}]
    },
    "type": "invalid_request_error",
    "param": None,
    "code": None,
}


def mistral_says(content: object, **choice: object) -> dict[str, Any]:
    """Return a chat completion of Mistral with another content, or another field of its choice."""
    (first,) = MISTRAL["choices"]
    return MISTRAL | {"choices": [first | {"message": first["message"] | {"content": content}} | choice]}
