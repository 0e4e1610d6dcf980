"""The sample texts: what the demo publishes, with the answers that people gave.

A folder holds `texts.jsonl` (valid texts with gold answers) and `broken.jsonl` (records that must end as one dead
letter each). `compose/samples/README.md` documents both formats.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

TEXTS = "texts.jsonl"
BROKEN = "broken.jsonl"

T = TypeVar("T", "Sample", "Broken")


class SamplesError(ValueError):
    """A samples file that cannot be used; the message names file, line and field, never the text."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text that every service accepts."""

    id: str
    submitted: dict[str, Any]
    """The value of the record: a `TextSubmitted`, with only those fields that the file gives."""
    gold: dict[str, Any]
    """The right answer by task: intent → label, or None out of scope; ner → [{start, end, text, label}] with offsets in
    code points; translation → text."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that ends as exactly one dead letter."""

    id: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    what: str
    """What is wrong with it, for people."""
    expect: str
    """The dead letter's code, a colon, and the reason in words."""
    accepted_tasks: tuple[str, ...]
    """The tasks that get a Result in spite of the dead letter; mostly none."""


@dataclass(frozen=True, slots=True)
class Samples:
    """All samples of a folder, in the files' order."""

    texts: tuple[Sample, ...]
    broken: tuple[Broken, ...]


def load_samples(folder: Path) -> Samples:
    """Read both files of a folder.

    Raises:
        SamplesError: a file is missing or not UTF-8, a line is not of the documented form, or an id stands twice.
    """
    seen: set[str] = set()
    return Samples(
        texts=tuple(_load(folder / TEXTS, _sample, seen)),
        broken=tuple(_load(folder / BROKEN, _broken, seen)),
    )


def _load(path: Path, parse: Callable[[dict[str, Any]], T], seen: set[str]) -> Iterator[T]:
    """Parse a file line by line; blank lines are left out. `seen` collects the ids of all files."""
    try:
        # Not splitlines(): JSON strings may hold U+2028 and other characters that it takes for line ends.
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise SamplesError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SamplesError(f"{path}: not UTF-8") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            parsed = parse(_object(line))
            _remember(parsed.id, seen)
        except SamplesError as error:
            raise SamplesError(f"{path}:{number}: {error}") from None
        yield parsed


def _remember(name: str, seen: set[str]) -> None:
    if name in seen:
        raise SamplesError(f"id: {name} stands twice")
    seen.add(name)


def _object(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise SamplesError(f"not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(record, dict):
        raise SamplesError("not a JSON object")
    return record


def _sample(record: dict[str, Any]) -> Sample:
    name = _string(record, "id")
    gold = record.get("gold")
    tasks = record.get("tasks")
    if not isinstance(tasks, dict) or not tasks:
        raise SamplesError("tasks: not an object with at least one task")
    if not isinstance(gold, dict) or not gold:
        raise SamplesError("gold: not an object with at least one answer")
    if strange := sorted(gold.keys() - tasks.keys()):
        raise SamplesError(f"gold: answers tasks that are not asked for: {', '.join(strange)}")
    _string(record, "text")
    submitted = {field: content for field, content in record.items() if field not in ("id", "gold")}
    return Sample(name, submitted, gold)


def _broken(record: dict[str, Any]) -> Broken:
    name = _string(record, "id")
    if ("value_base64" in record) == ("generate" in record):
        raise SamplesError("value_base64, generate: exactly one of the two is needed")
    value = _generated(record["generate"]) if "generate" in record else _bytes(record["value_base64"], "value_base64")
    accepted = record.get("accepted_tasks", [])
    if not isinstance(accepted, list) or not all(isinstance(task, str) for task in accepted):
        raise SamplesError("accepted_tasks: not a list of strings")
    return Broken(
        id=name,
        value=value,
        headers=_headers(record.get("headers", [])),
        what=_string(record, "what"),
        expect=_string(record, "expect"),
        accepted_tasks=tuple(accepted),
    )


def _headers(pairs: object) -> tuple[tuple[str, bytes], ...]:
    if not isinstance(pairs, list):
        raise SamplesError("headers: not a list")
    headers = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise SamplesError('headers: each must be ["name", "base64 of the value"]')
        headers.append((pair[0], _bytes(pair[1], f"headers: {pair[0]}")))
    return tuple(headers)


def _generated(parts: object) -> bytes:
    """Join literal parts and `{"repeat": "a", "times": 20001}`: huge values stay readable in the file."""
    if not isinstance(parts, list):
        raise SamplesError("generate: not a list")
    pieces = []
    for part in parts:
        match part:
            case str():
                pieces.append(part)
            case {"repeat": str() as unit, "times": int() as times} if len(part) == 2 and times > 0:
                pieces.append(unit * times)
            case _:
                raise SamplesError('generate: each part must be a string or {"repeat": string, "times": count}')
    try:
        return "".join(pieces).encode()
    except UnicodeEncodeError:
        raise SamplesError("generate: a lone surrogate, which UTF-8 cannot hold") from None


def _bytes(encoded: object, field: str) -> bytes:
    try:
        return base64.b64decode(encoded if isinstance(encoded, str) else "?", validate=True)
    except binascii.Error:
        raise SamplesError(f"{field}: not base64") from None


def _string(record: dict[str, Any], field: str) -> str:
    text = record.get(field)
    if not isinstance(text, str) or not text:
        raise SamplesError(f"{field}: missing, empty or not a string")
    return text
