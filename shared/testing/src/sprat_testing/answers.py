"""Fixed answers: what the small models and the frontier model say in the mode without models.

The test writes them into a file, and the process that answers reads it again when it has changed: an answer holds for
every text that is published after it was given.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sprat_contracts import (
    OUTPUTS,
    Entity,
    IntentOutput,
    LabelsOutput,
    MaskedOutput,
    NerOutput,
    Output,
    ScoredLabel,
    TextOutput,
    TranslationOutput,
)
from sprat_contracts.thresholds import LEVELS

VARIABLE = "SPRAT_TESTING_ANSWERS"
"""Names the file for the process that answers."""
NO_ANSWER = "no_answer"
"""The code with which a text is declined that no fixed answer fits."""
NO_ANSWER_DETAIL = "no fixed answer fits this text: give one with sprat.answer(…)"
NOT_ASKED_DETAIL = "the fixed answer for this text has a label that the text does not ask for"

By = Literal["small", "frontier"]


class FixedAnswer(BaseModel):
    """One answer to every text that contains or equals a text."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    task: str
    by: By = "small"
    contains: str = ""
    equals: str | None = None
    label: str | None = None
    entities: tuple[tuple[str, str], ...] = ()
    """Text and label of each; the offsets are found in the text."""
    translation: str = ""
    confidence: float = Field(default=0.99, ge=0, le=1)
    level: float | None = LEVELS[-1]
    """That it reaches by the thresholds of its model, unless it is more likely wrong than right; None: no level."""
    labels: tuple[str, ...] | None = None
    """All labels, of a task with several."""
    content: str | None = None
    """What a large model has written."""
    masked: str | None = None
    """The text without its personal data."""
    declined: str | None = None
    """The code with which the model declines."""

    def fits(self, text: str, task: str, by: By) -> bool:
        """Return whether it answers this text."""
        if (self.task, self.by) != (task, by):
            return False
        return text == self.equals if self.equals is not None else self.contains in text

    def output(self, text: str, target: str | None) -> Output:
        """Return the answer to a text that it fits."""
        if self.labels is not None:
            scored = (ScoredLabel(label=label, probability=self.confidence) for label in self.labels)
            return LabelsOutput(labels=tuple(scored))
        if self.content is not None:
            return TextOutput(content=self.content)
        if self.masked is not None:
            return MaskedOutput(masked=self.masked, spans=())
        if OUTPUTS.get(self.task, IntentOutput) is IntentOutput:
            return IntentOutput(label=self.label)
        if OUTPUTS.get(self.task) is NerOutput:
            return NerOutput(entities=tuple(_entities(text, self.entities, self.confidence)))
        return TranslationOutput(text=self.translation, target=target or "")

    def written(self) -> str:
        """Return the answer as a frontier model writes it: JSON of the task's schema."""
        if self.labels is not None:
            return json.dumps({"labels": self.labels})
        if self.content is not None:
            return json.dumps({"content": self.content})
        if OUTPUTS.get(self.task, IntentOutput) is IntentOutput:
            return json.dumps({"label": self.label})
        if OUTPUTS.get(self.task) is NerOutput:
            return json.dumps({"entities": [{"text": text, "label": label} for text, label in self.entities]})
        return json.dumps({"text": self.translation})


def _entities(text: str, wanted: Sequence[tuple[str, str]], probability: float) -> Iterable[Entity]:
    """Yield the named entities in the order of the text; each name is looked for behind the one before it."""
    end = 0
    for name, label in wanted:
        start = text.find(name, end)
        if start >= 0:
            end = start + len(name)
            yield Entity(start=start, end=end, text=name, label=label, probability=probability)


class FixedAnswers(BaseModel):
    """All answers, and the labels that the intent model announces beside those of its answers."""

    answers: tuple[FixedAnswer, ...] = ()
    labels: tuple[str, ...] = ()

    def find(self, text: str, task: str, by: By) -> FixedAnswer | None:
        """Return the last given answer that fits; None where none does."""
        return next((answer for answer in reversed(self.answers) if answer.fits(text, task, by)), None)

    def all_labels(self) -> tuple[str, ...]:
        """Return every label of an intent."""
        own = {answer.label for answer in self.answers if answer.task == "intent" and answer.label is not None}
        return tuple(sorted(own | set(self.labels)))

    def write(self, file: Path) -> None:
        """Replace the file in one step: a reader never finds half of it."""
        part = file.with_suffix(".part")
        part.write_text(self.model_dump_json(), "utf-8")
        part.replace(file)


class AnswersFile:
    """The file as the process that answers reads it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read: tuple[int, int] | None = None
        self._answers = FixedAnswers()

    def current(self) -> FixedAnswers:
        """Return what the file says now."""
        stat = self._file.stat()
        if self._read != (stat.st_ino, stat.st_mtime_ns):
            self._answers = FixedAnswers.model_validate_json(self._file.read_bytes())
            self._read = (stat.st_ino, stat.st_mtime_ns)
        return self._answers
