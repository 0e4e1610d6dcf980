"""The input of `sprat send` as records to publish, validated as the router validates them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from sprat.base.errors import UserError
from sprat_cli.text_input import TextLines
from sprat_contracts import (
    BUILT_IN,
    SIGNATURE_HEADER,
    Envelope,
    IntentOutput,
    LabelsOutput,
    Output,
    TaskTable,
    TextSubmitted,
    Traceparent,
    TranslationOutput,
    WireError,
    decode,
    encode,
    sign,
)
from sprat_contracts.languages import LanguageTag
from sprat_contracts.signing import MIN_KEY_BYTES
from sprat_contracts.wire import read_envelope

SOURCE = "/sprat/send"
"""The CloudEvents source of what is sent from the command line without another."""

_TASK = re.compile(r"(?P<task>[^@=]+)(@(?P<model>[^@=]+))?(=(?P<choice>.+))?")
_INTERNAL = "sprat.cli"
_LANGUAGE: TypeAdapter[str | None] = TypeAdapter(LanguageTag | None)


@dataclass(frozen=True, slots=True)
class Submission:
    """A text that is ready to be published."""

    envelope: Envelope
    message: TextSubmitted
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    line: int | None = None
    """Of the file or of standard input, from 1; None where it is no line of several."""

    @property
    def trace_id(self) -> str:
        """Return the trace that this text has on every topic."""
        return self.envelope.traceparent.trace_id


@dataclass(frozen=True, slots=True)
class _Unsent:
    """A record in the form that a consumer gets."""

    value: bytes
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None = None
    topic: str = _INTERNAL
    partition: int = 0
    offset: int = 0
    timestamp: int = 0


def task_words(tasks: Iterable[str]) -> tuple[str, ...]:
    """Return each task as `--task` reads it."""
    return tuple("translation=de" if task == "translation" else task for task in tasks)


def parse_tasks(words: Iterable[str], known: TaskTable = BUILT_IN) -> dict[str, dict[str, Any]]:
    """Read `intent`, `intent@hr` (a model by name), `translation=de` (its target), `intent=refund,complaint` (labels).

    Raises:
        UserError: not of that form, an unknown task, a target missing or superfluous, or a task named twice.
    """
    tasks: dict[str, dict[str, Any]] = {}
    for word in words:
        found = _TASK.fullmatch(word)
        if found is None or found["task"] not in known:
            near = get_close_matches(word.partition("@")[0].partition("=")[0], known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise UserError(
                f"--task {word}: {hint}known are {', '.join(task_words(known))}; a model by name: intent@NAME"
            )
        task = found["task"]
        if task in tasks:
            raise UserError(f"--task {task} is given twice: a text has one answer for each task")
        options = {"model": found["model"], **_choice(word, known[task], found["choice"])}
        tasks[task] = {name: value for name, value in options.items() if value is not None}
    return tasks


def _choice(word: str, form: type[Output], given: str | None) -> dict[str, Any]:
    """Return what follows `=` in the word of a task, as an option of a task of this form.

    Raises:
        UserError: the task has no such option, or needs one.
    """
    if form is TranslationOutput and given is None:
        raise UserError(f"--task {word}: it needs its target language, as in translation=de")
    if given is None:
        return {}
    if form is TranslationOutput:
        return {"target": given}
    if form in {IntentOutput, LabelsOutput}:
        return {"labels": [label.strip() for label in given.split(",")]}
    raise UserError(f"--task {word}: it has neither a target nor labels; leave out what follows =")


def parse_reference(words: Iterable[str]) -> dict[str, str]:
    """Read `key=value` pairs.

    Raises:
        UserError: one is not of that form.
    """
    pairs = [word.partition("=") for word in words]
    if wrong := [word for word, equals, _ in pairs if not (word and equals)]:
        raise UserError(f"--reference {wrong[0]}: needs KEY=VALUE")
    return {key: value for key, _, value in pairs}


def signing_key(variable: str, environment: Mapping[str, str]) -> bytes:
    """Return the key that a variable holds.

    Raises:
        UserError: it is not set, or its value is too short.
    """
    key = environment.get(variable, "").encode("utf-8", "surrogateescape")
    if len(key) < MIN_KEY_BYTES:
        has = f"has {len(key)} bytes" if key else "is not set"
        raise UserError(f"--sign-with {variable}: the variable {has}; it holds a key of {MIN_KEY_BYTES} bytes or more")
    return key


def prepare(
    lines: TextLines,
    options: dict[str, Any],
    *,
    id: str | None,
    key: str | None,
    plain: bool = False,
    source: str = SOURCE,
    sign_with: bytes | None = None,
) -> list[Submission]:
    """Make the records; `options` fill in what a text leaves out; `sign_with` is the key that signs them.

    A text that begins with `{` is a whole TextSubmitted, unless `plain`.

    Raises:
        UserError: a text is not valid (the message names line, field and reason), or one id for several texts.
    """
    if id is not None and len(lines.texts) > 1:
        raise UserError(f"--id is for one text, these are {len(lines.texts)}")
    made = [
        _submission(where, text, options, id, key, plain=plain, source=source, sign_with=sign_with)
        for where, text in lines.texts
    ]
    numbers: Sequence[int | None] = lines.numbers or [None] * len(made)
    return [replace(each, line=number) for each, number in zip(made, numbers, strict=True)]


def _submission(
    where: str,
    text: str,
    options: dict[str, Any],
    id: str | None,
    key: str | None,
    *,
    plain: bool,
    source: str,
    sign_with: bytes | None,
) -> Submission:
    fields = {**options, "text": text} if plain or not text.startswith("{") else {**options, **_object(where, text)}
    _check(where, fields)
    chosen = id if id is not None else str(uuid4())
    envelope = Envelope(id=chosen, source=source, traceparent=Traceparent.root(source, chosen))
    try:
        value = json.dumps(fields, ensure_ascii=False).encode()  # as given: the Result warns of what is misspelt
        message = decode(_Unsent(value, ()), TextSubmitted).message
        _, headers = encode(message, envelope)
        if sign_with is not None:
            headers.append((SIGNATURE_HEADER, sign(sign_with, message.tenant, source, chosen, value)))
        read_envelope(_Unsent(value, headers), TextSubmitted)
        return Submission(envelope, message, None if key is None else key.encode(), value, headers)
    except UnicodeEncodeError:
        raise UserError(f"{where}: not valid Unicode; is it UTF-8?") from None
    except WireError as error:
        raise UserError(f"{where}: {error.detail}") from None


def _check(where: str, fields: dict[str, Any]) -> None:
    """Refuse the most frequent mistakes with words for the user; decoding finds the others.

    Raises:
        UserError: the text is empty, or the language is not a tag.
    """
    if fields.get("text") == "":
        raise UserError(f"{where}: text: the text is empty")
    try:
        _LANGUAGE.validate_python(fields.get("language"))
    except ValidationError:
        raise UserError(f"{where}: language: not a language tag, e.g. de") from None


def _object(where: str, text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise UserError(f"{where}: begins like JSON but is not: {error}; to send it as it is, add --text") from None
    if not isinstance(fields, dict):
        raise UserError(f"{where}: not a JSON object")
    return fields
