"""The sample texts that the demo publishes, with gold answers written by people.

A folder contains `texts.jsonl` (valid texts with gold answers) and `broken.jsonl` (records that must end as one dead
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

T = TypeVar("T", "Sample", "BrokenSample")


class SamplesError(ValueError):
    """A samples file that cannot be used; the message names file, line and field, never the text."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text that every service accepts."""

    id: str
    submitted: dict[str, Any]
    """The value of the record: a `TextSubmitted`, with only those fields that the file contains."""
    gold: dict[str, Any]
    """Gold answer by task: intent → label, or None out of scope; ner → [{start, end, text, label}] with offsets in code
    points; translation → text."""


@dataclass(frozen=True, slots=True)
class BrokenSample:
    """A record that ends as exactly one dead letter."""

    id: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    what: str
    """What is wrong with it."""
    expect: str
    """The dead letter's code, a colon, and the reason in words."""
    accepted_tasks: tuple[str, ...]
    """The tasks that get a Result besides the dead letter; usually none."""


@dataclass(frozen=True, slots=True)
class Samples:
    """All samples of a folder, in the files' order."""

    texts: tuple[Sample, ...]
    broken: tuple[BrokenSample, ...]


def load_samples(folder: Path) -> Samples:
    """Read both files of a folder.

    Raises:
        SamplesError: a file is missing or not UTF-8, a line is not of the documented form, or an id is used twice.
    """
    ids: set[str] = set()
    return Samples(
        texts=tuple(_load(folder / TEXTS, _sample, ids)),
        broken=tuple(_load(folder / BROKEN, _broken, ids)),
    )


def _load(path: Path, parse: Callable[[dict[str, Any]], T], ids: set[str]) -> Iterator[T]:
    """Parse a file line by line, without blank lines. `ids` collects the ids of all files."""
    try:
        # Not splitlines(): it also splits at U+2028 and other characters that JSON strings may contain.
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise SamplesError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise SamplesError(f"{path}: not UTF-8") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = _object(line)
            if record.get("published") is False:  # an answer for the simulator alone
                continue
            parsed = parse(record)
            _add_id(parsed.id, ids)
        except SamplesError as error:
            raise SamplesError(f"{path}:{number}: {error}") from None
        yield parsed


def _add_id(sample_id: str, ids: set[str]) -> None:
    if sample_id in ids:
        raise SamplesError(f"id: {sample_id} is used twice")
    ids.add(sample_id)


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
    if extra := sorted(gold.keys() - tasks.keys()):
        raise SamplesError(f"gold: answers for tasks that are not requested: {', '.join(extra)}")
    _string(record, "text")
    submitted = {field: content for field, content in record.items() if field not in ("id", "gold")}
    return Sample(name, submitted, gold)


def _broken(record: dict[str, Any]) -> BrokenSample:
    name = _string(record, "id")
    if ("value_base64" in record) == ("generate" in record):
        raise SamplesError("value_base64, generate: exactly one of the two is needed")
    value = _generated(record["generate"]) if "generate" in record else _bytes(record["value_base64"], "value_base64")
    accepted = record.get("accepted_tasks", [])
    if not isinstance(accepted, list) or not all(isinstance(task, str) for task in accepted):
        raise SamplesError("accepted_tasks: not a list of strings")
    return BrokenSample(
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
    """Join literal parts and `{"repeat": "a", "times": 20001}`: large values stay readable in the file."""
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
        raise SamplesError("generate: a lone surrogate, which UTF-8 cannot encode") from None


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
