"""The paths of the published files, and their JSON format: the same bytes each time."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "contracts"
SCHEMAS = CONTRACTS / "schemas"
TEST_VECTORS = SCHEMAS / "test_vectors.json"
ASYNCAPI = CONTRACTS / "asyncapi.json"
RELEASED = CONTRACTS / "released"


def to_json(document: Any) -> str:
    """Return a document as JSON for people: indented, in its own order, characters not escaped."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
