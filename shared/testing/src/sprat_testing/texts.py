"""The text that a test publishes."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode


@dataclass(frozen=True, slots=True)
class Text:
    """A text for `Sprat.publish`, with an id of its own. The fields are those of the contract `TextSubmitted`."""

    text: str
    tasks: Sequence[str] | Mapping[str, Mapping[str, Any]] = ("intent",)
    """Names of tasks, or their options by name: `{"translation": {"target": "de"}}`."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the event: `{"language": "de", "tenant": "acme-bank", "reference": {"ticket": "7"}}`."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    source: str = "/tests"
    key: bytes | None = None

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks."""
        return tuple(self.tasks)

    def record(self) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Return the value and the headers of its record.

        Raises:
            ValidationError: it is not a valid text. `Sprat.publish_record` publishes any bytes.
        """
        tasks = self.tasks if isinstance(self.tasks, Mapping) else {task: {} for task in self.tasks}
        message = TextSubmitted.model_validate({**self.fields, "text": self.text, "tasks": tasks})
        return encode(message, Envelope(self.id, self.source, Traceparent.root(self.source, self.id)))
