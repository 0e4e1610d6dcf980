"""Write what the contracts publish: JSON Schemas, test vectors of the ids, the AsyncAPI document.

`make generate` runs it. It never changes `contracts/released`: that is what was promised, not what the models are now.
"""

from pathlib import Path

from contracts.generators.asyncapi import document
from contracts.generators.paths import ASYNCAPI, ROOT, SCHEMAS, TEST_VECTORS, to_json, write
from contracts.generators.schemas import THRESHOLDS, messages, schema_of, schema_of_thresholds
from contracts.generators.vectors import vectors


def contracts() -> dict[str, str]:
    """Return the files that describe messages, thresholds and ids, by name."""
    files = {f"{event_type}.json": to_json(schema_of(message)) for event_type, message in messages().items()}
    return files | {f"{THRESHOLDS}.json": to_json(schema_of_thresholds()), TEST_VECTORS.name: to_json(vectors())}


def generated(root: Path = ROOT) -> dict[Path, str]:
    """Return the expected text of every generated file."""
    schemas, asyncapi = (root / path.relative_to(ROOT) for path in (SCHEMAS, ASYNCAPI))
    return {schemas / name: text for name, text in contracts().items()} | {asyncapi: to_json(document())}


def main(root: Path = ROOT) -> None:
    """Write the files, and remove the schemas of messages that no longer exist."""
    files = generated(root)
    schemas = root / SCHEMAS.relative_to(ROOT)
    for path in schemas.glob("*.json"):
        if path not in files:
            path.unlink()
            print(f"removed {path.relative_to(root)}")
    write(files, root)


if __name__ == "__main__":
    main()
