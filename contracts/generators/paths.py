"""The paths of the published files, their JSON format (the same bytes each time), and how they are written."""

import json
from collections.abc import Mapping
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


def write(files: Mapping[Path, str], root: Path) -> None:
    """Write the files whose text has changed, and print their paths below the root."""
    for path, text in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(root)}")
