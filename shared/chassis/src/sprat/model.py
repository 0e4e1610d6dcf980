"""A task and which of its models, as people read and write it: `intent`, and `intent@hr` for a model by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sprat_contracts import TaskOptions
from sprat_contracts.outputs import Output

DEFAULT_MODEL: Final = TaskOptions().model
"""The model that a text asks for where it names none."""


def named(task: str, model: str | None) -> str:
    """Give the task, with its model where that has a name of its own; None: it is not known, or there is none."""
    return task if model in (None, DEFAULT_MODEL) else f"{task}@{model}"


# What the chassis asks a model, and what it gets.


@dataclass(frozen=True, slots=True)
class Question:
    """One text for one task. That language and target are served has been checked before it is asked."""

    text: str
    language: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model makes of one question."""

    output: Output
    confidence: float
    """Calibrated chance, 0–1, that `output` as it stands is right."""


class Model(Protocol):
    """One model of one task. Thread-safe, and blocking: the chassis calls it on a worker thread."""

    def tokens(self, question: Question) -> int:
        """Give an upper bound of the tokens to be computed, without tokenising: batches are bounded by it."""

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in the order asked; each answer depends on its own question alone, up to rounding.

        Raises:
            ModelError: when the batch cannot be answered as a whole; the chassis then asks in halves.
        """

    def probe(self) -> None:
        """Compute one real batch.

        Raises:
            ModelError: when the model is broken.
        """
