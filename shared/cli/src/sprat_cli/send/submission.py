"""What a person gives to `sprat send`, as records to publish: judged here as the router will judge them."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

from sprat.errors import UserError
from sprat_contracts import TASKS, Envelope, TextSubmitted, Traceparent, WireError, decode, encode
from sprat_contracts.wire import read_envelope

SOURCE = "/sprat/send"
"""The CloudEvents source of everything that is sent from the command line."""

_TASK = re.compile(r"(?P<task>[^@=]+)(@(?P<model>[^@=]+))?(=(?P<target>.+))?")
_PATH_LIKE = re.compile(r"[^\s]*(/|\\)[^\s]*|[^\s]+\.(jsonl|json|txt|csv|md)", re.IGNORECASE)
_INTERNAL = "sprat.cli"


@dataclass(frozen=True, slots=True)
class Submission:
    """A text that is ready to be published."""

    envelope: Envelope
    message: TextSubmitted
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]

    @property
    def trace_id(self) -> str:
        """Give the trace that this text has on every topic."""
        return self.envelope.traceparent.trace_id


@dataclass(frozen=True, slots=True)
class _Unsent:
    """A record as a broker would hand it over."""

    value: bytes
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None = None
    topic: str = _INTERNAL
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


@dataclass(frozen=True, slots=True)
class Given:
    """Texts, each with its place for error messages, and in words what they were taken for."""

    texts: Sequence[tuple[str, str]] = field(repr=False)
    taken_for: str


def read_given(argument: str, stdin: TextIO, *, as_text: bool, whole: bool) -> Given:
    """Decide what the argument is: `-` is standard input, the path of a file its lines, all else the text itself.

    Raises:
        UserError: nothing to send, a file that cannot be read, or words that look like a path where no file is.
    """
    if argument == "-" and not as_text:
        return _lines(stdin.read(), "standard input", whole=whole)
    path = Path(argument)
    if not as_text and _is_file(path):
        try:
            content = path.read_text("utf-8")
        except UnicodeDecodeError:
            raise UserError(f"{path}: not UTF-8") from None
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        return _lines(content, f"file {path}", whole=whole)
    if not as_text and _PATH_LIKE.fullmatch(argument):
        raise UserError(f"there is no file {argument!r}; to send these words themselves, add --text")
    return Given([("the text", argument)], "the text itself")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text is longer than a file name may be, or holds a NUL
        return False


def _lines(content: str, where: str, *, whole: bool) -> Given:
    """Not splitlines(): texts may hold U+2028 and other characters that it takes for line ends."""
    if whole:
        texts = [(where, content.strip())] if content.strip() else []
    else:
        lines = enumerate(content.split("\n"), 1)
        texts = [(f"{where}, line {number}", line.strip()) for number, line in lines if line.strip()]
    if not texts:
        raise UserError(f"{where}: nothing to send")
    return Given(texts, f"{where}: {len(texts)} {'text' if len(texts) == 1 else 'texts'}")


def parse_tasks(given: Iterable[str]) -> dict[str, dict[str, str]]:
    """Read `intent`, `intent@hr` (a model by name), `translation=de` (its target), `translation@fast=de`.

    Raises:
        UserError: not of that form, an unknown task, a target missing or too much, or a task named twice.
    """
    tasks: dict[str, dict[str, str]] = {}
    for word in given:
        found = _TASK.fullmatch(word)
        if found is None or found["task"] not in TASKS:
            raise UserError(f"--task {word}: known are intent, ner, translation=de; a model by name: intent@NAME")
        task = found["task"]
        if task in tasks:
            raise UserError(f"--task {task} stands twice: one answer a text and task")
        if (task == "translation") != (found["target"] is not None):
            hint = "it needs its target language, as in translation=de" if task == "translation" else "it has no target"
            raise UserError(f"--task {word}: {hint}")
        options = {"model": found["model"], "target": found["target"]}
        tasks[task] = {name: value for name, value in options.items() if value is not None}
    return tasks


def parse_reference(given: Iterable[str]) -> dict[str, str]:
    """Read `key=value` pairs.

    Raises:
        UserError: one is not of that form.
    """
    pairs = [word.partition("=") for word in given]
    if wrong := [word for word, equals, _ in pairs if not (word and equals)]:
        raise UserError(f"--reference {wrong[0]}: needs KEY=VALUE")
    return {key: value for key, _, value in pairs}


def prepare(
    given: Given, options: dict[str, Any], *, id: str | None, key: str | None, plain: bool = False
) -> list[Submission]:
    """Make the records; `options` fill what a text does not say.

    A text that begins with `{` is a whole TextSubmitted, unless `plain`.

    Raises:
        UserError: a text is not valid; it names line, field and reason. Or one id for several texts.
    """
    if id is not None and len(given.texts) > 1:
        raise UserError(f"--id is for one text, these are {len(given.texts)}")
    return [_submission(where, text, options, id, key, plain=plain) for where, text in given.texts]


def _submission(
    where: str, text: str, options: dict[str, Any], id: str | None, key: str | None, *, plain: bool
) -> Submission:
    fields = {**options, "text": text} if plain or not text.startswith("{") else {**options, **_object(where, text)}
    chosen = id if id is not None else str(uuid4())
    envelope = Envelope(id=chosen, source=SOURCE, traceparent=Traceparent.root(SOURCE, chosen))
    try:
        message = decode(_Unsent(json.dumps(fields, ensure_ascii=False).encode(), ()), TextSubmitted).message
        value, headers = encode(message, envelope)
        read_envelope(_Unsent(value, headers), TextSubmitted)
        return Submission(envelope, message, None if key is None else key.encode(), value, headers)
    except UnicodeEncodeError:
        raise UserError(f"{where}: not valid Unicode; is it UTF-8?") from None
    except WireError as error:
        raise UserError(f"{where}: {error.detail}") from None


def _object(where: str, text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise UserError(f"{where}: begins like JSON but is not: {error}; to send it as it is, add --text") from None
    if not isinstance(fields, dict):
        raise UserError(f"{where}: not a JSON object")
    return fields
