"""Where the published files stand, and how they are written: the same bytes each time."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "contracts"
SCHEMAS = CONTRACTS / "schemas"
TEST_VECTORS = SCHEMAS / "test_vectors.json"
ASYNCAPI = CONTRACTS / "asyncapi.json"
RELEASED = CONTRACTS / "released"


def written(document: Any) -> str:
    """Write a document as JSON for people: indented, in its own order, characters as they are."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
