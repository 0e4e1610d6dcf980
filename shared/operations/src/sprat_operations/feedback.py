"""Corrections of results: validate, publish, read, and join with their texts."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args
from uuid import uuid4

from pydantic import ValidationError

from sprat.base.model import DEFAULT_MODEL
from sprat.kafka.publisher import OutRecord
from sprat_contracts import (
    BUILT_IN,
    Envelope,
    FeedbackGiven,
    IntentOutput,
    KafkaRecord,
    LabelsOutput,
    NerOutput,
    Output,
    TaskTable,
    TextSubmitted,
    Topics,
    Traceparent,
    WireError,
    decode,
    encode,
)
from sprat_contracts.ids import plain_text_identity
from sprat_operations.dead_letters import Identity, identity_of
from sprat_operations.topic_reader import OnReadProgress, TopicReader, no_progress, read_since

SOURCE: Final = "/sprat/feedback"
"""The CloudEvents source of corrections that are published from the command line."""

SUPERSEDED: Final = "superseded"
UNREADABLE: Final = "unreadable"
WRONG_OUTPUT: Final = "wrong_output"
REVIEW: Final = "review"
EXPIRED: Final = "expired"
NOT_FOUND: Final = "not_found"
INVALID_TEXT: Final = "invalid_text"

WHY: Final[Mapping[str, str]] = {
    REVIEW: "answers to reviews, which measure and train nothing",
    SUPERSEDED: "corrected again later",
    UNREADABLE: "records that are no correction",
    WRONG_OUTPUT: "the output is not one of the task",
    EXPIRED: "given before the oldest text that is still there",
    NOT_FOUND: "no text that is still there has this id and source",
    INVALID_TEXT: "the text was not valid",
}
"""An explanation of each reason, in the order in which they are reported."""

OF_THE_TEXT: Final = "the correction is of the text, whichever model answered"
"""Why a correction names a task, and no model."""


class InvalidCorrection(ValueError):
    """The fields are not a valid correction. The message names field and reason, never a text."""


def correction(fields: Mapping[str, Any], tasks: TaskTable = BUILT_IN) -> FeedbackGiven:
    """Validate the fields of a correction; `label` and `labels` are short forms of the output of a task with labels.

    Raises:
        InvalidCorrection: a field is missing or wrong.
    """
    given = dict(fields)
    if "label" in given and "output" not in given and tasks.get(str(given.get("task"))) is IntentOutput:
        given["output"] = {"label": given.pop("label")}
    if "labels" in given and "output" not in given and tasks.get(str(given.get("task"))) is LabelsOutput:
        labels = given.pop("labels")
        if not isinstance(labels, list | tuple):
            raise InvalidCorrection("labels: not a list of labels")
        given["output"] = {"labels": [{"label": label} for label in labels]}
    task = given.get("task")
    kind = tasks.get(task) if isinstance(task, str) else None
    try:
        if kind is None and "task" in given:
            alone = task_alone(str(task), tasks)
            known = f"unknown; known are {', '.join(tasks)}"
            raise InvalidCorrection(f"task: {known if alone is None else f'write {alone}: {OF_THE_TEXT}'}")
        if kind is not None and "output" in given:
            kind.model_validate_json(json.dumps(given["output"]))
        message = FeedbackGiven.model_validate_json(json.dumps(given))
    except ValidationError as error:
        raise InvalidCorrection(
            _problems(error, within=error.title if error.title in _OUTPUT_NAMES else None)
        ) from None
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, InvalidCorrection) else InvalidCorrection("not valid JSON") from None
    if kind is not None and not isinstance(message.output, kind):
        raise InvalidCorrection(f"output: holds what another task gives; {task} needs {', '.join(_needed(kind))}")
    if isinstance(message.output, NerOutput):
        _check_spans(message.output)
    return message


def task_alone(name: str, tasks: TaskTable) -> str | None:
    """Return the task of a name with a model, as `intent@hr` or `intent/hr`; None where it is none."""
    task, *model = name.replace("@", "/", 1).split("/", 1)
    return task if model and task in tasks else None


def feedback_record(message: FeedbackGiven, topic: str) -> OutRecord:
    """Return the record of a correction. Those of one text share a key, so their order is kept."""
    envelope = Envelope(
        id=str(uuid4()), source=SOURCE, traceparent=Traceparent.root(message.text_source, message.text_id)
    )
    value, headers = encode(message, envelope)
    return OutRecord(topic, message.text_id.encode(), value, headers)


_OUTPUT_NAMES = frozenset(kind.__name__ for kind in get_args(Output))


def _needed(kind: type[Any]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if field.is_required()]


def _check_spans(output: NerOutput) -> None:
    for number, entity in enumerate(output.entities):
        if entity.end - entity.start != len(entity.text):
            raise InvalidCorrection(
                f"output.entities.{number}: end - start is {entity.end - entity.start}, but the text has "
                f"{len(entity.text)} code points"
            )


def _problems(error: ValidationError, within: str | None) -> str:
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    start = ("output",) if within else ()
    return "; ".join(".".join(map(str, (*start, *problem["loc"]))) + f": {problem['msg']}" for problem in problems[:5])


@dataclass(frozen=True, slots=True)
class Correction:
    """The right output, and who gave it."""

    output: Output
    by: str
    given_at: int
    """By the broker's clock: epoch milliseconds."""


@dataclass(slots=True)
class Corrections:
    """The last correction of each text of one task; the others are counted by the reason for leaving them out."""

    task: str
    form: type[Output]
    """Of the task's output."""
    latest: dict[Identity, Correction] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    not_found: list[Identity] = field(default_factory=list)
    """Texts that are counted as `NOT_FOUND`."""

    def add(self, record: KafkaRecord) -> None:
        """Add a record of the feedback topic; ignore those of other tasks."""
        try:
            message = decode(record, FeedbackGiven).message
        except WireError:
            self.left_out[UNREADABLE] += 1
            return
        if message.task != self.task:
            return
        if message.is_review:  # its text was drawn to measure the model: what trains on it can no longer be measured
            self.left_out[REVIEW] += 1
            return
        if not isinstance(message.output, self.form):
            self.left_out[WRONG_OUTPUT] += 1
            return
        text = (message.text_source, message.text_id)
        before = self.latest.get(text)
        if before is not None:
            self.left_out[SUPERSEDED] += 1
        if before is None or before.given_at <= record.timestamp:
            self.latest[text] = Correction(message.output, message.by, record.timestamp)


@dataclass(frozen=True, slots=True)
class CorrectedText:
    """A text and its right output."""

    text: TextSubmitted = field(repr=False)
    output: Output
    identity: Identity
    by: str = ""
    """Who corrected it, as the correction says: nothing proves it."""
    given_at: int = 0
    """By the broker's clock: epoch milliseconds."""


async def read_corrections(
    client: Mapping[str, Any],
    topics: Topics,
    task: str,
    since_ms: int | None,
    *,
    progress: OnReadProgress = no_progress,
) -> Corrections:
    """Read the corrections of a task given at `since_ms` (epoch) or later, None: all.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
    """
    corrections = Corrections(task, topics.tasks[task])
    async for record in read_since(client, [topics.feedback], since_ms, progress=progress):
        corrections.add(record)
    return corrections


async def join(
    client: Mapping[str, Any], texts: str, corrections: Corrections, *, progress: OnReadProgress = no_progress
) -> list[CorrectedText]:
    """Return the corrected texts in the order of their arrival; count in `left_out` why others are not there.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
    """
    wanted = TextSearch(set(corrections.latest))
    await find_texts(client, texts, wanted, progress=progress)
    for identity in sorted(wanted.missing):
        expired = wanted.oldest is None or corrections.latest[identity].given_at < wanted.oldest
        reason = INVALID_TEXT if identity in wanted.invalid else EXPIRED if expired else NOT_FOUND
        corrections.left_out[reason] += 1
        if reason == NOT_FOUND:
            corrections.not_found.append(identity)
    found = sorted(wanted.found.items(), key=lambda each: each[1].appended_at)
    given = corrections.latest
    return [
        CorrectedText(text.text, right.output, identity, right.by, right.given_at)
        for identity, text in found
        if (right := given[identity])
    ]


@dataclass(frozen=True, slots=True)
class FoundText:
    """A text, and when it was appended."""

    text: TextSubmitted = field(repr=False)
    appended_at: int
    """By the broker's clock: epoch milliseconds."""


@dataclass(slots=True)
class TextSearch:
    """Texts to find. Of several texts with one id the first valid one counts, as it does for results."""

    missing: set[Identity]
    found: dict[Identity, FoundText] = field(default_factory=dict)
    invalid: set[Identity] = field(default_factory=set)
    """Texts that were found and not valid; one may have been fixed and sent again under its id."""
    oldest: int | None = None
    """When the oldest text that is still there was appended; None: there is none."""

    def take(self, record: KafkaRecord) -> None:
        """Check a record of the topic of texts."""
        self.oldest = record.timestamp if self.oldest is None else min(self.oldest, record.timestamp)
        identity = identity_of_text(record)
        if identity not in self.missing:
            return
        try:
            self.found[identity] = FoundText(decode(record, TextSubmitted).message, record.timestamp)
        except WireError:
            self.invalid.add(identity)
        else:
            self.missing.discard(identity)
            self.invalid.discard(identity)


async def find_texts(
    client: Mapping[str, Any], topic: str, wanted: TextSearch, *, progress: OnReadProgress = no_progress
) -> None:
    """Read the headers of all texts until every wanted one is found; what was found is kept if it raises.

    Raises:
        UserError: there is no such topic.
        TimeoutError: the broker returns no more records.
    """
    async with TopicReader(client, progress) as reader:
        async for records in reader.read_since([topic], None):
            for record in records:
                wanted.take(record)
            if not wanted.missing:
                break


def requested_model(text: TextSubmitted, task: str) -> str:
    """Return the model of a task that a text asks for, else the default."""
    options = text.tasks.options(task)
    return DEFAULT_MODEL if options is None else options.model


def identity_of_text(record: KafkaRecord) -> Identity:
    """Return source and id of a text; of plain JSON, those that are derived from its place."""
    return identity_of(record.headers, record.value) or plain_text_identity(
        record.topic, record.partition, record.offset, record.timestamp
    )
