"""Write what the contracts publish: JSON Schemas, test vectors of the ids, the AsyncAPI document.

`make generate` runs it. It never touches `contracts/released`: that is what was promised, not what the models say now.
"""

from pathlib import Path

from contracts.generators.asyncapi import document
from contracts.generators.paths import ASYNCAPI, ROOT, SCHEMAS, TEST_VECTORS, written
from contracts.generators.schemas import messages, schema_of
from contracts.generators.vectors import vectors


def contracts() -> dict[str, str]:
    """Give the files that describe the messages and ids, by name."""
    files = {f"{event_type}.json": written(schema_of(message)) for event_type, message in messages().items()}
    return files | {TEST_VECTORS.name: written(vectors())}


def generated() -> dict[Path, str]:
    """Give every generated file as it should be."""
    return {SCHEMAS / name: text for name, text in contracts().items()} | {ASYNCAPI: written(document())}


def main() -> None:
    """Write the files, and remove schemas of messages that are no more."""
    files = generated()
    SCHEMAS.mkdir(exist_ok=True)
    for path in SCHEMAS.glob("*.json"):
        if path not in files:
            path.unlink()
            print(f"removed {path.relative_to(ROOT)}")
    for path, text in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
