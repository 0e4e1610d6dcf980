"""Read, validate and publish the corrections of `sprat feedback`; nothing is sent before all are valid."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sprat.base.errors import SpratError, UserError
from sprat.base.settings import KafkaSettings
from sprat.kafka.publisher import Acknowledged, NotAcknowledged, Publisher, TooLarge
from sprat_cli.terminal import printable, say, say_json
from sprat_cli.text_input import read_lines
from sprat_contracts import BUILT_IN, FeedbackGiven, IntentOutput, LabelsOutput, TaskTable
from sprat_operations.feedback import OF_THE_TEXT, InvalidCorrection, correction, feedback_record, task_alone
from sprat_training.datasets.reader import split_labels

_OPTIONS = {"text_id": "--text-id", "text_source": "--source", "task": "--task", "by": "--by"}


@dataclass(frozen=True, slots=True)
class CorrectionOptions:
    """The options of `sprat feedback` for one correction."""

    text_id: str | None
    source: str | None
    task: str | None
    label: str | None
    outside: bool
    output: str | None
    by: str | None
    tasks: TaskTable = BUILT_IN
    """Those of the installation."""

    def check(self) -> None:
        """Check the task.

        Raises:
            UserError: it is not known, or names a model.
        """
        if self.task is not None and (alone := task_alone(self.task, self.tasks)) is not None:
            raise UserError(f"--task {self.task}: write --task {alone}: {OF_THE_TEXT}")
        if self.task is not None and self.task not in self.tasks:
            raise UserError(f"--task {self.task}: no such task; known are {', '.join(self.tasks)}")

    @property
    def common(self) -> dict[str, Any]:
        """Return the fields that hold for all corrections."""
        said = {"text_source": self.source, "task": self.task, "by": self.by}
        return {name: value for name, value in said.items() if value is not None}


def read_one(options: CorrectionOptions) -> list[FeedbackGiven]:
    """Return the correction described by the options.

    Raises:
        UserError: an option is missing, superfluous or wrong.
    """
    fields = options.common | ({} if options.text_id is None else {"text_id": options.text_id}) | _output(options)
    if missing := [option for name, option in _OPTIONS.items() if name not in fields]:
        raise UserError(f"{', '.join(missing)}: missing; or name a file of corrections with --from")
    try:
        return [correction(fields, options.tasks)]
    except InvalidCorrection as error:
        raise UserError(str(error)) from None


def read_bulk(argument: str, options: CorrectionOptions, stdin: TextIO) -> list[FeedbackGiven]:
    """Return the corrections of a file or of standard input, one JSON object a line; options fill what a line lacks.

    Raises:
        UserError: the file cannot be read, or a line is not a correction; the message names the line.
    """
    if options.text_id is not None or options.label is not None or options.outside or options.output is not None:
        raise UserError("--text-id, --label, --outside and --output are for one correction, not for those of --from")
    if argument != "-" and not Path(argument).is_file():
        raise UserError(f"there is no file {argument!r}")
    lines = read_lines(argument, stdin, as_text=False, whole=False).texts
    return [_line(where, line, options) for where, line in lines]


def _line(where: str, line: str, options: CorrectionOptions) -> FeedbackGiven:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f"{where}: not JSON") from None
    if not isinstance(fields, dict):
        raise UserError(f"{where}: not a JSON object")
    if "source" in fields and "text_source" not in fields:
        raise UserError(f"{where}: source: the field is called text_source")
    try:
        return correction({**options.common, **fields}, options.tasks)
    except InvalidCorrection as error:
        raise UserError(f"{where}: {error}") from None


def _output(options: CorrectionOptions) -> dict[str, Any]:
    """Return the field `output` described by the options."""
    said = [options.label is not None, options.outside, options.output is not None]
    if sum(said) != 1:
        raise UserError("what is right? One of --label LABEL, --outside, --output JSON|FILE")
    if options.output is None:
        if options.task is not None and options.tasks[options.task] is LabelsOutput:
            return {"labels": split_labels(options.label or "")}
        if options.task is not None and options.tasks[options.task] is not IntentOutput:
            raise UserError(f"--label and --outside are for labels; {options.task} needs --output JSON|FILE")
        return {"output": {"label": options.label}}
    try:
        content = options.output if options.output.lstrip().startswith("{") else Path(options.output).read_text("utf-8")
        return {"output": json.loads(content)}
    except OSError as error:
        raise UserError(f"--output: neither JSON nor a file that can be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError("--output: not JSON in UTF-8") from None


_CHUNK = 200
_AUTHORS = 5
"""So many authors a sum names."""
_HOLD_S = 20.0


async def publish(kafka: KafkaSettings, messages: Sequence[FeedbackGiven], *, as_json: bool) -> None:
    """Publish all, and print the place of each record: with `as_json`, or where there is one. Else print a sum.

    Raises:
        UserError: one is too large; those before it are published.
        SpratError: Kafka did not acknowledge some.
    """
    publisher = Publisher(kafka, "sprat-feedback")
    topic = kafka.topics.feedback
    done = 0
    try:
        await publisher.start()
        for start in range(0, len(messages), _CHUNK):
            chunk = messages[start : start + _CHUNK]
            places = await publisher.publish([feedback_record(message, topic) for message in chunk], _HOLD_S)
            for message, place in zip(chunk, places, strict=True):
                if as_json or len(messages) == 1:
                    _show(message, topic, place, as_json=as_json)
            done += len(chunk)
    except TooLarge:
        raise UserError(f"a correction is larger than {topic} takes; {done:,} are published") from None
    except NotAcknowledged as error:
        raise SpratError(f"{error}; at least {done:,} are published; is there a topic {topic}?") from None
    finally:
        await publisher.stop()
    if len(messages) > 1 and not as_json:
        say(_sum(messages, topic))


def _sum(messages: Sequence[FeedbackGiven], topic: str) -> str:
    """Return how many corrections of how many texts were published, by task and by author."""
    texts = len({(each.text_source, each.text_id) for each in messages})
    tasks = Counter(each.task for each in messages)
    authors = Counter(each.by for each in messages)
    by_task = ", ".join(f"{task} {count:,}" for task, count in tasks.most_common())
    by_author = ", ".join(f"{printable(name, 60)} {count:,}" for name, count in authors.most_common(_AUTHORS))
    more = f" and {len(authors) - _AUTHORS} more" if len(authors) > _AUTHORS else ""
    return (
        f"published: {len(messages):,} corrections of {texts:,} texts  · {by_task}  · by {by_author}{more}  · {topic}"
    )


def _show(message: FeedbackGiven, topic: str, record: Acknowledged, *, as_json: bool) -> None:
    if as_json:
        place = {"topic": topic, "partition": record.partition, "offset": record.offset}
        names = {"text_id": message.text_id, "text_source": message.text_source, "task": message.task}
        say_json({"type": "feedback", **names, **place, "given_at": record.timestamp_ms})
        return
    what = message.task
    if isinstance(message.output, LabelsOutput):
        what += f" {', '.join(each.label for each in message.output.labels) or ': none of the labels'}"
    if isinstance(message.output, IntentOutput):
        what += f" {message.output.label}" if message.output.label else ": none of the known labels"
    say(f"published: {printable(message.text_id)} is {printable(what)}  · {topic} {record.partition}@{record.offset}")
