"""An intent service whose model waits without CPU, as one on another machine: `python -m support.waiting_intent`.

What instances add shows on few cores: an instance has eight texts with its model at a time, for 20 ms.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from sprat.base.model import Answer, Question
from sprat.processing.batch_choices import BATCH_TOKENS
from sprat_contracts import IntentOutput
from sprat_encoder.networks import NETWORKS
from sprat_inference.artefact import load_artefact
from sprat_inference.card import Card
from sprat_inference.serving import Specialist
from sprat_intent.__main__ import SHIPPED

MODULE = "support.waiting_intent"
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[1])}
BATCH_S = 0.02
BATCH_TEXTS = 8


class WaitingModel:
    """Answers the first label of a card after a wait."""

    def __init__(self, card: Card) -> None:
        self.card = card

    @classmethod
    def load(cls, folder: Path, _threads: int = 1) -> Self:
        return cls(load_artefact(folder, reader=tuple(NETWORKS)).card)

    def tokens(self, _: Question) -> int:
        """Bound a batch by the bound of its tokens."""
        return BATCH_TOKENS // BATCH_TEXTS

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        time.sleep(BATCH_S)
        return [Answer(IntentOutput(label=self.card.labels[0]), 0.9) for _ in questions]

    def probe(self) -> None:
        """Do nothing: there is nothing to break."""


SERVICE = Specialist("intent", dict.fromkeys(NETWORKS, WaitingModel.load), SHIPPED)

if __name__ == "__main__":
    raise SystemExit(SERVICE.run())
