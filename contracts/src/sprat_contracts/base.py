"""What every message shares: frozen, strict, tolerant of unknown fields; its errors never show its content."""

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

EpochMs = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
TASK_NAME: Final = re.compile(r"^[a-z][a-z0-9_-]{0,31}$")
TaskName = Annotated[str, Field(pattern=TASK_NAME.pattern)]
TimingsMs = dict[str, Annotated[float, Field(ge=0)]]


class OwnTask(NamedTuple):
    """A task of this version, which a service of the same name answers."""

    form: Literal["label", "entities", "translation"]
    """Form of the output."""
    asks: str
    """Description of the field by which a text asks for the task."""
    goal: float
    """Recommended accuracy of the answers that are kept, 0–1."""
    on_request: bool = False
    """Whether an installation runs the service only where the service is named: few texts ask for the task."""
    asks_frontier: bool = True
    """Whether a large model may be asked."""


OWN_TASKS: Final[Mapping[str, OwnTask]] = {
    "intent": OwnTask("label", "Classify what the writer wants.", goal=0.97),
    "ner": OwnTask("entities", "Find the named entities.", goal=0.95),
    "translation": OwnTask("translation", "Translate into `target`.", goal=0.9),
    # Whether a text may leave, and what is masked in it, depends on its language, which here nobody knows.
    "language-id": OwnTask("label", "Find the language of the text.", goal=0.95, on_request=True, asks_frontier=False),
}
"""The list of the services with a small model: a further one is a line here and a folder in `services/`. Schemas, the
policy's sections, images, Compose, the chart and the import rules follow from the list (`make generate`)."""

TASKS = tuple(OWN_TASKS)
"""The names of the tasks of this version. Readers must expect others: an installation may add its own (`TaskTable`)."""


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
