"""Ids that every producer derives alike, so that a redelivered event carries the same id.

`uuid5(NAMESPACE, name)`, where the name is the UTF-8 of the JSON array `[stage, ce_source, ce_id, task]` without white
space, with non-ASCII characters unescaped (as `JSON.stringify` writes it). `test_vectors.json` beside the schemas
holds examples.
"""

import json
from uuid import UUID, uuid5

NAMESPACE = UUID("5b1c8a52-3f0e-5a36-9c3d-7a4e7d1f2b60")

PREDICTION = "prediction"
REQUEST = "frontier-request"
ANSWER = "frontier-answer"
RESULT = "result"
TRACE = "trace"


def derive(stage: str, source: str, id: str, task: str = "") -> UUID:
    """Give the id of what `stage` makes of the text (`source`, `id`) for `task`; `task` is empty where none applies."""
    return uuid5(NAMESPACE, name(stage, source, id, task))


def name(stage: str, source: str, id: str, task: str = "") -> str:
    """Give the name that `derive` hashes."""
    return json.dumps([stage, source, id, task], ensure_ascii=False, separators=(",", ":"))


def plain_text_identity(topic: str, partition: int, offset: int, timestamp_ms: int) -> tuple[str, str]:
    """Give (source, id) of a plain JSON record from its coordinates; every service derives the same."""
    return f"/{topic}/{partition}", f"{offset}-{timestamp_ms}"
