"""What every message shares: frozen, strict, tolerant of unknown fields; its errors never show its content."""

import re
from typing import Annotated, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

EpochMs = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
TASK_NAME: Final = re.compile(r"^[a-z][a-z0-9_-]{0,31}$")
TaskName = Annotated[str, Field(pattern=TASK_NAME.pattern)]
TimingsMs = dict[str, Annotated[float, Field(ge=0)]]

TASKS = ("intent", "ner", "translation", "language-id")
"""The tasks of this version. Readers must expect others: an installation may add its own (`TaskTable`)."""


class Part(BaseModel):
    """A part of a message.

    Unknown fields are kept and passed on, so that a newer writer's field survives every hop. Validation errors never
    carry the input: texts must not reach headers, logs or spans.
    """

    model_config = ConfigDict(
        frozen=True, extra="allow", strict=True, hide_input_in_errors=True, allow_inf_nan=False, protected_namespaces=()
    )


class Message(Part):
    """A message on a topic: the JSON value of a Kafka record."""

    event_type: ClassVar[str]
    """The CloudEvents `type` of this message; a breaking change gets a new one."""

    max_bytes: ClassVar[int | None] = None
    """The largest value that is read, in bytes; None where the topic's own limit is enough."""

    signed: ClassVar[bool] = False
    """Whether its records carry the installation's signature (header `sprat_signature`): services alone write them."""

    plain_json_allowed: ClassVar[bool] = False
    """Whether the record may have no `ce_` header at all: plain JSON."""
