"""The model of a task with several labels a text: from texts to the labels that apply, and a calibrated confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sprat.base.model import Answer, Question
from sprat_contracts import Alternative, LabelsOutput, ScoredLabel
from sprat_encoder.label_model import ALTERNATIVES, LabellingModel
from sprat_encoder.networks import NETWORKS, LogitsNetwork
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.label_sets import APPLIES_FROM, MULTI_LABEL, SetCalibration

_PROBE = Question("where is my order", "en")


@dataclass(frozen=True, slots=True)
class LabelSets:
    """What the model computes for some texts; row i belongs to text i."""

    chances: NDArray[np.float64]
    """float64, texts × labels. Calibrated chance that each label applies."""
    applies: NDArray[np.bool_]
    """Texts × labels. The decision."""
    confidence: NDArray[np.float64]
    """float64. Calibrated chance that every label of the text is decided rightly."""


class LabelSetModel:
    """A network with a logit per label, and a calibration of each label and of the whole set.

    Thread-safe; holds no state between calls.
    """

    def __init__(self, card: Card, network: LogitsNetwork, calibration: SetCalibration) -> None:
        self.card = card
        self._labels = card.labels or ()
        self._network = network
        self._calibration = calibration

    def with_card(self, **changed: Any) -> Self:
        """Return this model with another task, name or languages in its card; what it computes is the same."""
        return type(self)(self.card.model_copy(update=changed), self._network, self._calibration)

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and compute a probe batch.

        Raises:
            BrokenArtefact: when the artefact cannot be served.
        """
        card = load_artefact(folder, reader=tuple(NETWORKS)).card
        if card.kind != MULTI_LABEL or not card.labels or card.lexical is not None:
            raise BrokenArtefact(f"{folder}: not a model that gives a text several labels")
        calibration = SetCalibration.of(card.calibration, len(card.labels))
        return cls(card, NETWORKS[card.reader](folder, card, threads), calibration)

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens that this question costs."""
        return self._network.tokenizer.upper_bound(question.text)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.base.model.Model`."""
        if not questions:
            return []
        sets = self.classify([each.text for each in questions], [each.language for each in questions])
        return [
            self._answer(question, chances, applies, float(confidence))
            for question, chances, applies, confidence in zip(
                questions, sets.chances, sets.applies, sets.confidence, strict=True
            )
        ]

    def probe(self) -> None:
        """Compute one real batch; see :class:`sprat.base.model.Model`."""
        self.answer([_PROBE])

    def classify(self, texts: Sequence[str], languages: Sequence[str]) -> LabelSets:
        """Return chances and decisions for at least one text, for answers and for evaluation.

        Args:
            texts: the texts.
            languages: the BCP 47 tag of each.

        Raises:
            ModelError: when the network fails.
        """
        logits, empty = self._network.read(texts, languages)
        chances = self._calibration.chances(logits)
        chances[empty] = 0.0  # no token to read: no label
        # The calibration was fitted on short texts. In one n times as long, n sections have to be read rightly.
        sections = np.array([self._sections(text) for text in texts])
        confidence = self._calibration.all_right(chances) ** sections
        confidence[empty] = 1.0  # and nothing to escalate
        return LabelSets(chances, chances >= APPLIES_FROM, confidence)

    def _sections(self, text: str) -> float:
        return max(len(text) / self.card.calibration.longest_code_points, 1.0)

    def _answer(
        self, question: Question, chances: NDArray[np.float64], applies: NDArray[np.bool_], confidence: float
    ) -> Answer:
        """Return the answer to one text; see :class:`sprat.base.model.Answer` for one that asks for some labels."""
        if question.labels is None:
            return Answer(self._output(chances, applies, np.arange(len(chances))), confidence)
        asked = np.flatnonzero(np.isin(self._labels, question.labels))
        output = self._output(chances, applies, asked)
        if applies[asked].sum() == applies.sum():
            return Answer(output, confidence)
        # Each label has its own chance, so that those asked for are decided as before; no fit says how sure all are.
        decided = np.maximum(chances, 1.0 - chances)[asked]
        return Answer(output, float(decided.prod() ** self._sections(question.text)), renormalised=True)

    def _output(
        self, chances: NDArray[np.float64], applies: NDArray[np.bool_], asked: NDArray[np.int64]
    ) -> LabelsOutput:
        """Return the output of one text, of which each label has its chance; `asked` are the places of the labels."""
        order = asked[np.argsort(-chances[asked], kind="stable")]
        others = [place for place in order if not applies[place]][:ALTERNATIVES]
        return LabelsOutput(
            labels=tuple(self._scored(chances, place) for place in order if applies[place]),
            alternatives=tuple(
                Alternative(label=self._labels[place], probability=float(chances[place])) for place in others
            ),
        )

    def _scored(self, chances: NDArray[np.float64], place: int) -> ScoredLabel:
        return ScoredLabel(label=self._labels[place], probability=float(chances[place]))


TaskModel = LabellingModel | LabelSetModel
"""The model of a task with labels: one label a text, or several."""


def load_task_model(folder: Path, threads: int = 1) -> TaskModel:
    """Load the artefact in `folder`, whichever of the two its card says that it is.

    Raises:
        BrokenArtefact: when the artefact cannot be served.
    """
    kind: type[LabellingModel | LabelSetModel] = (
        LabelSetModel if load_artefact(folder).card.kind == MULTI_LABEL else LabellingModel
    )
    return kind.load(folder, threads)
