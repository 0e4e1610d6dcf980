"""The intent model: texts in; label or none, the likeliest labels, and a calibrated confidence out. No Kafka in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sprat.model import Answer, Question
from sprat_contracts.outputs import Alternative, IntentOutput
from sprat_encoder import load as load_shared
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.encoder import SentenceEncoder
from sprat_inference.heads import LABEL_READER, LabelHead
from sprat_inference.label_calibration import OUTSIDE, RIGHT, CalibratorsByLanguage, softmax

ALTERNATIVES = 3

SURELY_OUTSIDE = (0.0, 0.0, 1.0)
"""The chances of a text that is certainly outside every label."""

_PROBE = Question("where is my order", "en")


@dataclass(frozen=True, slots=True)
class Readings:
    """What the model sees in some texts; row i belongs to text i."""

    logits: NDArray[np.float32]
    """Texts × labels, raw."""
    best: NDArray[np.int64]
    """Index of the likeliest label, whether or not the text is outside."""
    right: NDArray[np.float64]
    """Calibrated chance that the likeliest label is right."""
    outside: NDArray[np.float64]
    """Calibrated chance that the text is outside every label."""
    is_outside: NDArray[np.bool_]
    """The decision: outside is likelier than the best label. The output is null there."""
    confidence: NDArray[np.float64]
    """Chance that the decision is right."""


class IntentModel:
    """A frozen sentence encoder with a linear head. Thread-safe."""

    def __init__(
        self, card: Card, encoder: SentenceEncoder, head: LabelHead, calibrators: CalibratorsByLanguage
    ) -> None:
        self.card = card
        self._labels = card.labels or ()
        self._encoder = encoder
        self._head = head
        self._calibrators = calibrators

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and try it.

        Raises:
            BrokenArtefact: when it cannot be served.
        """
        card = load_artefact(folder, reader=LABEL_READER).card
        if not card.labels:
            raise BrokenArtefact(f"{folder}: its card names no labels; run the recipe again")
        head = LabelHead.load(folder, len(card.labels))
        calibrators = CalibratorsByLanguage.of(card.calibration)
        return cls(card, load_encoder(folder, card, threads), head, calibrators)

    @property
    def calibrated(self) -> tuple[str, ...]:
        """Languages with a calibration of their own, the one that the head was fitted in first."""
        return tuple(self._calibrators.by_language)

    def tokens(self, question: Question) -> int:
        """Upper bound of the tokens that this question costs."""
        return self._encoder.tokenizer.upper_bound(question.text)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.models.Model`."""
        if not questions:
            return []
        readings = self.read([question.text for question in questions], [question.language for question in questions])
        alternatives = self._alternatives(readings)
        return [
            Answer(
                IntentOutput(label=None if outside else three[0].label, alternatives=three),
                confidence=float(confidence),
            )
            for outside, confidence, three in zip(readings.is_outside, readings.confidence, alternatives, strict=True)
        ]

    def probe(self) -> None:
        """Compute one real batch; see :class:`sprat.models.Model`."""
        self.answer([_PROBE])

    def read(self, texts: Sequence[str], languages: Sequence[str]) -> Readings:
        """Everything the model knows of at least one text, for answers and for measuring.

        Args:
            texts: what to read.
            languages: the tag of each.
        """
        encoded = self._encoder.encode(texts)
        logits = self._head.logits(encoded.vectors, languages)
        chances = self._calibrators.chances(logits, languages)
        chances[encoded.empty] = SURELY_OUTSIDE  # nothing to read: no intent, and no need to ask anyone
        right, outside = chances[:, RIGHT], chances[:, OUTSIDE]
        is_outside = outside > right
        # A long text is outside only when each of its stretches is, and the calibration has seen but one stretch: its
        # claim is raised to their number. So a request buried in a long letter is escalated, not thrown away.
        stretches = np.array([len(text) / self.card.calibration.longest_code_points for text in texts])
        confidence = np.where(is_outside, outside ** np.maximum(stretches, 1.0), right)
        return Readings(logits, logits.argmax(axis=1), right, outside, is_outside, confidence)

    def _alternatives(self, readings: Readings) -> list[tuple[Alternative, ...]]:
        """The likeliest labels of each text: the best with its calibrated chance, the others sharing what is left.

        What is left is the chance that another label is right, split as the head would; none is put above the best.
        """
        shares = softmax(readings.logits)
        order = np.argsort(-shares, axis=1, kind="stable")[:, :ALTERNATIVES]
        top = np.take_along_axis(shares, order, axis=1)
        others = np.maximum(1.0 - readings.right - readings.outside, 0.0) / np.maximum(1.0 - top[:, 0], 1e-9)
        chances = np.minimum(top * others[:, None], readings.right[:, None])
        chances[:, 0] = readings.right
        return [
            tuple(
                Alternative(label=self._labels[place], probability=float(chance))
                for place, chance in zip(places, row, strict=True)
            )
            for places, row in zip(order, chances, strict=True)
        ]


def load_encoder(folder: Path, card: Card, threads: int = 1) -> SentenceEncoder:
    """Load the encoder in `folder`, or the shared one when the card says that the model was built on it.

    Raises:
        BrokenArtefact: when it is another one than the card says, or cannot be used.
    """
    if card.built_on is None:
        return SentenceEncoder.load(folder, max_tokens=card.max_tokens, threads=threads)
    return load_shared(card.built_on, max_tokens=card.max_tokens, threads=threads)
