"""What the chassis asks a model, and how a task and its model are named."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from sprat_contracts import Output, TaskOptions

DEFAULT_MODEL: Final = TaskOptions().model
"""The model of a text that names none."""


def display_name(task: str, model: str | None) -> str:
    """Return `intent` for the default model of a task, `intent@hr` for one with a name; None: no model is known."""
    return task if model in (None, DEFAULT_MODEL) else f"{task}@{model}"


@dataclass(frozen=True, slots=True)
class Question:
    """One text for one task. That the model serves language and target has been checked."""

    text: str
    language: str
    target: str | None = None
    labels: tuple[str, ...] | None = None
    """The labels to choose from, at least one, each of the model's own; None: all of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to one question."""

    output: Output
    confidence: float
    """Calibrated probability, 0–1, that the whole `output` is right."""
    stage: str | None = None
    """Which stage of the model answered; None where it has one alone."""
    renormalised: bool = False
    """Whether the answer over all labels is none of the question's, so that `confidence` is over these alone. Then it
    is not calibrated."""
    nothing_missed: float | None = None
    """Of names: calibrated probability, 0–1, that none, or no further one, is missed; None where the model has none."""
    doubt: str | None = None
    """Why it is to be escalated whatever `confidence` is, as :data:`sprat_contracts.predictions.DENIED`."""


class Model(Protocol):
    """One model of one task. Thread-safe and blocking: the chassis calls it on a worker thread."""

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens to compute, without tokenising: it bounds batches."""

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all questions in their order; each answer depends on its question alone, up to rounding.

        Raises:
            ModelError: the batch cannot be answered as a whole; the chassis then asks in halves.
        """

    def probe(self) -> None:
        """Compute one real batch.

        Raises:
            ModelError: the model does not work.
        """


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A question that is not answered yet, and what the first stage of a model has found on it."""

    question: Question
    found: object = None


@runtime_checkable
class StagedModel(Model, Protocol):
    """A model whose first stage answers many questions at little cost, and leaves the others to the rest of it.

    The chassis publishes what the first stage answers while the rest computes: both are called at the same time.
    """

    @property
    def is_staged(self) -> bool:
        """Return whether this one has a first stage; without one, `begin` and `finish` are not called."""

    def begin(self, questions: Sequence[Question]) -> list[Answer | Unfinished]:
        """Return for each question the first stage's answer, or what `finish` is to be called with.

        The chassis calls it for a few questions on its event loop, so it must take no more than milliseconds for them.

        Raises:
            ModelError: the batch cannot be read as a whole; the chassis then asks in halves.
        """

    def finish(self, unfinished: Sequence[Unfinished]) -> list[Answer]:
        """Answer what `begin` has left; both together answer as `answer` does.

        Raises:
            ModelError: as in `answer`.
        """
