"""Corrections by people: judged as the contract says before they are published."""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from pydantic import ValidationError

from sprat.delivery.publisher import OutRecord
from sprat_contracts import OUTPUTS, TASKS, Envelope, FeedbackGiven, NerOutput, encode
from sprat_contracts.ids import root_traceparent

SOURCE: Final = "/sprat/feedback"
"""The CloudEvents source of what is published from the command line."""


class NotACorrection(ValueError):
    """Fields that are no correction. The message names field and reason, never a text."""


def correction(fields: Mapping[str, Any]) -> FeedbackGiven:
    """Make a correction; `label` stands for an intent's output where there is none.

    Raises:
        NotACorrection: a field is missing or wrong.
    """
    given = dict(fields)
    if "label" in given and "output" not in given and given.get("task") == "intent":
        given["output"] = {"label": given.pop("label")}
    task = given.get("task")
    kind = OUTPUTS.get(task) if isinstance(task, str) else None
    try:
        if kind is None and "task" in given:
            raise NotACorrection(f"task: unknown; known are {', '.join(TASKS)}")
        if kind is not None and "output" in given:
            kind.model_validate_json(json.dumps(given["output"]))
        message = FeedbackGiven.model_validate_json(json.dumps(given))
    except ValidationError as error:
        raise NotACorrection(_told(error, within=error.title if error.title in _OUTPUT_NAMES else None)) from None
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, NotACorrection) else NotACorrection("not valid JSON") from None
    if kind is not None and not isinstance(message.output, kind):
        raise NotACorrection(f"output: holds what another task gives; {task} needs {', '.join(_needed(kind))}")
    if isinstance(message.output, NerOutput):
        _check_spans(message.output)
    return message


def feedback_record(message: FeedbackGiven, topic: str) -> OutRecord:
    """Give the record of a correction. Corrections of one text have one key, so the last one is the last for all."""
    envelope = Envelope(
        id=str(uuid4()), source=SOURCE, traceparent=root_traceparent(message.text_source, message.text_id)
    )
    value, headers = encode(message, envelope)
    return OutRecord(topic, message.text_id.encode(), value, headers)


_OUTPUT_NAMES = frozenset(kind.__name__ for kind in OUTPUTS.values())


def _needed(kind: type[Any]) -> list[str]:
    return [name for name, field in kind.model_fields.items() if field.is_required()]


def _check_spans(output: NerOutput) -> None:
    for number, entity in enumerate(output.entities):
        if entity.end - entity.start != len(entity.text):
            raise NotACorrection(
                f"output.entities.{number}: end - start is {entity.end - entity.start}, but the text has "
                f"{len(entity.text)} code points"
            )


def _told(error: ValidationError, within: str | None) -> str:
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    start = ("output",) if within else ()
    return "; ".join(".".join(map(str, (*start, *problem["loc"]))) + f": {problem['msg']}" for problem in problems[:5])
