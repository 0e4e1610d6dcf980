"""The intent model: from texts to a label or none, the likeliest labels, and a calibrated confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sprat.model import Answer, Question
from sprat_contracts import Alternative, IntentOutput
from sprat_encoder import load as load_shared
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.encoder import SentenceEncoder
from sprat_inference.heads import LABEL_READER, LabelHead
from sprat_inference.label_calibration import OUTCOMES, OUTSIDE, RIGHT, CalibratorsByLanguage, features, softmax
from sprat_inference.lexical import BY_ENCODER, BY_WORDS, LexicalReading, LexicalStage

ALTERNATIVES = 3

SURELY_OUTSIDE = (0.0, 0.0, 1.0)
"""The chances of the outcomes for a text that is certainly outside every label."""

_PROBE = Question("where is my order", "en")


@dataclass(frozen=True, slots=True)
class Classification:
    """What the model computes for some texts; row i belongs to text i."""

    logits: NDArray[np.float32]
    """float32, texts × labels."""
    best: NDArray[np.int64]
    """int64. Index of the likeliest label, whether or not the text is outside."""
    right: NDArray[np.float64]
    """float64. Calibrated chance that the likeliest label is right."""
    outside: NDArray[np.float64]
    """float64. Calibrated chance that the text is outside every label."""
    is_outside: NDArray[np.bool_]
    """The decision: outside is likelier than the best label, so the label of the output is null."""
    confidence: NDArray[np.float64]
    """float64. Calibrated chance that the decision is right."""
    by_words: NDArray[np.bool_]
    """The lexical stage answered; the encoder did not read the text."""


class IntentModel:
    """A frozen sentence encoder with a linear head, and before it, where the card names one, a lexical stage.

    Thread-safe; holds no state between calls.
    """

    def __init__(
        self,
        card: Card,
        encoder: SentenceEncoder,
        head: LabelHead,
        calibrators: CalibratorsByLanguage,
        lexical: LexicalStage | None = None,
    ) -> None:
        self.card = card
        self._labels = card.labels or ()
        self._encoder = encoder
        self._head = head
        self._calibrators = calibrators
        self._lexical = lexical

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and compute a probe batch.

        Raises:
            BrokenArtefact: when the artefact cannot be served.
        """
        card = load_artefact(folder, reader=LABEL_READER).card
        if not card.labels:
            raise BrokenArtefact(f"{folder}: its card names no labels; run the recipe again")
        head = LabelHead.load(folder, len(card.labels))
        calibrators = CalibratorsByLanguage.of(card.calibration)
        lexical = LexicalStage.load(folder, card)
        return cls(card, load_encoder(folder, card, threads), head, calibrators, lexical)

    @property
    def calibrated(self) -> tuple[str, ...]:
        """The languages with a calibration of their own; the language of the training texts comes first."""
        return tuple(self._calibrators.by_language)

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens that this question costs."""
        return self._encoder.tokenizer.upper_bound(question.text)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.model.Model`."""
        if not questions:
            return []
        classification = self.classify(
            [question.text for question in questions], [question.language for question in questions]
        )
        alternatives = self._alternatives(classification)
        return [
            Answer(
                IntentOutput(label=None if outside else three[0].label, alternatives=three),
                confidence=float(confidence),
                stage=stage,
            )
            for outside, confidence, three, stage in zip(
                classification.is_outside,
                classification.confidence,
                alternatives,
                self._stages(classification),
                strict=True,
            )
        ]

    def _stages(self, classification: Classification) -> list[str | None]:
        """Return the stage that answered each text; None where the model has one alone."""
        if self._lexical is None:
            return [None] * len(classification.by_words)
        return [BY_WORDS if words else BY_ENCODER for words in classification.by_words]

    def probe(self) -> None:
        """Compute one real batch; see :class:`sprat.model.Model`."""
        self.answer([_PROBE])

    def classify(self, texts: Sequence[str], languages: Sequence[str]) -> Classification:
        """Return labels, chances and decisions for at least one text, for answers and for evaluation.

        Args:
            texts: the texts.
            languages: the BCP 47 tag of each.

        Raises:
            ModelError: when the encoder fails.
        """
        logits = np.empty((len(texts), len(self._labels)), np.float32)
        chances = np.empty((len(texts), len(OUTCOMES)))
        answered = np.zeros(len(texts), bool)
        words = None if self._lexical is None else self._lexical.read(texts, languages)
        if words is not None:
            answered = words.answers
            logits[answered], chances[answered] = words.logits[answered], words.chances[answered]
        left = np.flatnonzero(~answered)
        if len(left):
            logits[left], chances[left] = self._encoded(texts, languages, left, words)
        right, outside = chances[:, RIGHT], chances[:, OUTSIDE]
        is_outside = outside > right
        # The calibration was fitted on short texts. A text n times as long is outside only if each of its n sections
        # is, so its chance is raised to the power of n. A request within a long letter is then escalated, not dropped.
        sections = np.array([len(text) / self.card.calibration.longest_code_points for text in texts])
        confidence = np.where(is_outside, outside ** np.maximum(sections, 1.0), right)
        return Classification(logits, logits.argmax(axis=1), right, outside, is_outside, confidence, answered)

    def _encoded(
        self, texts: Sequence[str], languages: Sequence[str], left: NDArray[np.int64], words: LexicalReading | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the logits and the chances of the texts in `left`, of which the lexical stage was not sure enough."""
        spoken = [languages[place] for place in left]
        encoded = self._encoder.encode([texts[place] for place in left])
        logits = self._head.logits(encoded.vectors, spoken)
        chances = self._calibrators.chances(logits, spoken)
        if self._lexical is not None and words is not None:
            read = words.reads[left]
            logits[read] += np.float32(self._lexical.evidence) * words.logits[left][read]
            chances[read] = self._lexical.passed_on.chances(features(logits[read])) if read.any() else chances[read]
        chances[encoded.empty] = SURELY_OUTSIDE  # no token to read: no intent, and nothing to escalate
        return logits, chances

    def _alternatives(self, result: Classification) -> list[tuple[Alternative, ...]]:
        """Return the likeliest labels of each text with their chances.

        The best has its calibrated chance. The others share the chance that another label is right, in proportion to
        their softmax; none gets more than the best.
        """
        shares = softmax(result.logits)
        order = np.argsort(-shares, axis=1, kind="stable")[:, :ALTERNATIVES]
        top = np.take_along_axis(shares, order, axis=1)
        others = np.maximum(1.0 - result.right - result.outside, 0.0) / np.maximum(1.0 - top[:, 0], 1e-9)
        chances = np.minimum(top * others[:, None], result.right[:, None])
        chances[:, 0] = result.right
        return [
            tuple(
                Alternative(label=self._labels[place], probability=float(chance))
                for place, chance in zip(places, row, strict=True)
            )
            for places, row in zip(order, chances, strict=True)
        ]


def load_encoder(folder: Path, card: Card, threads: int = 1) -> SentenceEncoder:
    """Load the encoder in `folder`, or the shared one if the card says that the model was built on it.

    Raises:
        BrokenArtefact: when the encoder is not the one that the card names, or cannot be used.
    """
    if card.built_on is None:
        return SentenceEncoder.load(folder, max_tokens=card.max_tokens, threads=threads)
    return load_shared(card.built_on, max_tokens=card.max_tokens, threads=threads)
