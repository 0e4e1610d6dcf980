"""The sample texts that the demo publishes, with gold answers written by people.

A folder contains `texts.jsonl` (valid texts with gold answers) and `broken.jsonl` (records that must end as one dead
letter each). `compose/samples/README.md` documents both formats.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """A text that every service accepts."""

    id: str
    submitted: dict[str, Any]
    """The value of the record: a `TextSubmitted`, with only those fields that the file contains."""
    gold: dict[str, Any]
    """Gold answer by task: intent → label, or None out of scope; ner → [{start, end, text, label}] with offsets in code
    points; translation → text."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that must get a Result."""
        return tuple(self.submitted["tasks"])


@dataclass(frozen=True, slots=True)
class BrokenSample:
    """A record that ends as exactly one dead letter."""

    id: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    code: str
    """The code of the dead letter."""
    tasks: tuple[str, ...] = ()
    """The tasks that get a Result besides the dead letter; usually none."""


@dataclass(frozen=True, slots=True)
class Samples:
    """All samples of a folder, in the files' order."""

    texts: tuple[Sample, ...]
    broken: tuple[BrokenSample, ...]


def load_samples(folder: Path) -> Samples:
    """Read both files of a folder. They are part of the package, so a wrong line is a bug, which the tests find."""
    texts = [line for line in _lines(folder / "texts.jsonl") if line.get("published", True)]
    return Samples(tuple(map(_sample, texts)), tuple(map(_broken, _lines(folder / "broken.jsonl"))))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    # Not splitlines(): it also splits at U+2028 and other characters that JSON strings may contain.
    return (json.loads(line) for line in path.read_text("utf-8").split("\n") if line)


def _sample(line: dict[str, Any]) -> Sample:
    submitted = {field: content for field, content in line.items() if field not in {"id", "gold"}}
    return Sample(line["id"], submitted, line["gold"])


def _broken(line: dict[str, Any]) -> BrokenSample:
    value = _generated(line["generate"]) if "generate" in line else base64.b64decode(line["value_base64"])
    headers = tuple((name, base64.b64decode(content)) for name, content in line.get("headers", ()))
    code = line["expect"].partition(":")[0]
    return BrokenSample(line["id"], value, headers, code, tuple(line.get("accepted_tasks", ())))


def _generated(parts: list[Any]) -> bytes:
    """Join literal parts and `{"repeat": "a", "times": 20001}`: large values stay readable in the file."""
    return "".join(part if isinstance(part, str) else part["repeat"] * part["times"] for part in parts).encode()
