"""Ids that every producer derives in the same way, so that a redelivered event carries the same id.

`uuid5(NAMESPACE, name)`, where the name is the UTF-8 of the JSON array `[stage, ce_source, ce_id, task]` without white
space, with non-ASCII characters unescaped (as `JSON.stringify` writes it). `test_vectors.json` beside the schemas
holds examples.
"""

from hashlib import sha1
from uuid import UUID

from pydantic_core import to_json

NAMESPACE = UUID("5b1c8a52-3f0e-5a36-9c3d-7a4e7d1f2b60")

PREDICTION = "prediction"
REQUEST = "frontier-request"
ANSWER = "frontier-answer"
RESULT = "result"
REVIEW = "review"
REVIEW_ANSWER = "review-answer"
REVIEW_CLOSED = "review-closed"
TRACE = "trace"
TEXT = "text"
"""The text itself, as the HTTP front door names it: `/v1/texts/{uuid}`."""


def derive(stage: str, source: str, id: str, task: str = "") -> UUID:
    """Return the id of what `stage` makes of a text for a task; `task` is empty where none applies."""
    named = sha1(NAMESPACE.bytes + name(stage, source, id, task).encode(), usedforsecurity=False)
    return UUID(bytes=named.digest()[:16], version=5)  # as uuid5 does it, in half the time


def name(stage: str, source: str, id: str, task: str = "") -> str:
    """Return the name that `derive` hashes."""
    return to_json((stage, source, id, task)).decode()


def plain_text_identity(topic: str, partition: int, offset: int, timestamp_ms: int) -> tuple[str, str]:
    """Return source and id of a plain JSON record, derived from its place; every service derives the same."""
    return f"/{topic}/{partition}", f"{offset}-{timestamp_ms}"
