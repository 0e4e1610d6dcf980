"""What the chassis asks a model, and what it gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sprat.models.card import Card
from sprat_contracts.outputs import Output


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

    @property
    def card(self) -> Card:
        """What it is."""

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
