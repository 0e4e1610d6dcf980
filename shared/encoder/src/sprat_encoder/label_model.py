"""The model of a task with labels: from texts to a label or none, the likeliest labels, and a calibrated confidence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sprat.base.model import Answer, Question, Unfinished
from sprat_contracts import Alternative, IntentOutput
from sprat_encoder import load as load_shared
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.classifier import ClassCalibration, Classifier
from sprat_inference.encoder import SentenceEncoder
from sprat_inference.heads import CLASSIFIER_READER, LABEL_READER, ONNX_CLASSIFIER_READER, POOLED_READER, LabelHead
from sprat_inference.label_calibration import (
    OUTCOMES,
    OUTSIDE,
    RIGHT,
    WRONG,
    CalibratorsByLanguage,
    features,
    softmax,
)
from sprat_inference.label_sets import MULTI_LABEL
from sprat_inference.lexical import BY_ENCODER, BY_WORDS, LexicalReading, LexicalStage
from sprat_inference.tokenizer import GuardedTokenizer

ALTERNATIVES = 3

SURELY_OUTSIDE = (0.0, 0.0, 1.0)
"""The chances of the outcomes for a text that is certainly outside every label."""

KIND: Final = f"kind: {MULTI_LABEL}"
"""The line of the file of a task for a model that gives a text several labels."""

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


class NetworkReading(NamedTuple):
    """What a network says of some texts; row i belongs to text i."""

    logits: NDArray[np.float32]
    """float32, texts × labels."""
    chances: NDArray[np.float64]
    """float64, texts × outcomes; each row sums to 1."""
    empty: NDArray[np.bool_]
    """True where the tokenizer found nothing to read."""


class LabelNetwork(Protocol):
    """Reads texts and says which label is how likely. Thread-safe."""

    @property
    def tokenizer(self) -> GuardedTokenizer:
        """Return its tokenizer."""

    @property
    def calibrated(self) -> tuple[str, ...]:
        """Return the languages with a calibration of their own."""

    def read(self, texts: Sequence[str], languages: Sequence[str]) -> NetworkReading:
        """Return logits and chances of `texts`, at least one, whose BCP 47 tags are `languages`.

        Raises:
            ModelError: when the network fails.
        """


class EncoderWithHead:
    """A frozen sentence encoder, a linear head that was fitted on its vectors, and a calibration of three outcomes."""

    def __init__(self, encoder: SentenceEncoder, head: LabelHead, calibrators: CalibratorsByLanguage) -> None:
        self.tokenizer = encoder.tokenizer
        self.calibrated = tuple(calibrators.by_language)
        self._encoder = encoder
        self._head = head
        self._calibrators = calibrators

    @classmethod
    def load(cls, folder: Path, card: Card, threads: int) -> Self:
        """Load head and encoder; see :meth:`LabellingModel.load`."""
        head = LabelHead.load(folder, len(card.labels or ()))
        return cls(load_encoder(folder, card, threads), head, CalibratorsByLanguage.of(card.calibration))

    def read(self, texts: Sequence[str], languages: Sequence[str]) -> NetworkReading:
        """Return logits and chances; see :class:`LabelNetwork`."""
        encoded = self._encoder.encode(texts)
        logits = self._head.logits(encoded.vectors, languages)
        return NetworkReading(logits, self._calibrators.chances(logits, languages), encoded.empty)


class TrainedClassifier:
    """A transformer that was trained together with its head, and its calibration."""

    def __init__(self, classifier: Classifier, labels: int, calibration: ClassCalibration) -> None:
        self.tokenizer = classifier.tokenizer
        self.calibrated = tuple(calibration.by_language)
        self._classifier = classifier
        self._labels = labels
        self._calibration = calibration

    @classmethod
    def load(cls, folder: Path, card: Card, threads: int) -> Self:
        """Load the network; see :meth:`LabellingModel.load`."""
        return cls(
            Classifier.load(folder, card, threads), len(card.labels or ()), ClassCalibration.of(card.calibration)
        )

    def read(self, texts: Sequence[str], languages: Sequence[str]) -> NetworkReading:
        """Return logits and chances; see :class:`LabelNetwork`. A class beyond the labels is that of texts outside."""
        read = self._classifier.read(texts)
        classes = self._calibration.chances(read.logits, languages)
        logits = read.logits[:, : self._labels]
        chances = np.zeros((len(texts), len(OUTCOMES)))
        chances[:, RIGHT] = np.take_along_axis(classes, logits.argmax(axis=1)[:, None], axis=1)[:, 0]
        chances[:, OUTSIDE] = classes[:, self._labels :].sum(axis=1)
        chances[:, WRONG] = np.maximum(1.0 - chances[:, RIGHT] - chances[:, OUTSIDE], 0.0)
        return NetworkReading(logits, chances, read.empty)


NETWORKS: Final[Mapping[str, Callable[[Path, Card, int], LabelNetwork]]] = {
    LABEL_READER: EncoderWithHead.load,
    POOLED_READER: EncoderWithHead.load,
    CLASSIFIER_READER: TrainedClassifier.load,
    ONNX_CLASSIFIER_READER: TrainedClassifier.load,
}
"""`reader` of a card → what loads such an artefact."""


class LabellingModel:
    """A network that reads texts, and before it, where the card names one, a lexical stage.

    Thread-safe; holds no state between calls.
    """

    def __init__(self, card: Card, network: LabelNetwork, lexical: LexicalStage | None = None) -> None:
        self.card = card
        self._labels = card.labels or ()
        self._network = network
        self._lexical = lexical

    def with_card(self, **changed: Any) -> Self:
        """Return this model with another task, name or languages in its card; what it computes is the same."""
        return type(self)(self.card.model_copy(update=changed), self._network, self._lexical)

    def encoder_alone(self) -> Self:
        """Return this model without its lexical stage, to compare the two; they share the network."""
        return type(self)(self.card, self._network)

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and compute a probe batch.

        Raises:
            BrokenArtefact: when the artefact cannot be served.
        """
        card = load_artefact(folder, reader=tuple(NETWORKS)).card
        if not card.labels:
            raise BrokenArtefact(f"{folder}: its card names no labels; run the recipe again")
        if card.kind is not None:
            raise BrokenArtefact(f"{folder}: gives a text several labels; serve it as a task whose file says {KIND}")
        return cls(card, NETWORKS[card.reader](folder, card, threads), LexicalStage.load(folder, card))

    @property
    def calibrated(self) -> tuple[str, ...]:
        """The languages with a calibration of their own; the language of the training texts comes first."""
        return self._network.calibrated

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens that this question costs."""
        return self._network.tokenizer.upper_bound(question.text)

    @property
    def is_staged(self) -> bool:
        """Whether there is a lexical stage; see :class:`sprat.base.model.StagedModel`."""
        return self._lexical is not None

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.base.model.Model`."""
        if not questions:
            return []
        return self._answers(self.classify(*_texts_and_languages(questions)))

    def begin(self, questions: Sequence[Question]) -> list[Answer | Unfinished]:
        """Return the lexical stage's answers, else its reading; see :class:`sprat.base.model.StagedModel`."""
        if self._lexical is None or not questions:
            return [Unfinished(question) for question in questions]
        texts, languages = _texts_and_languages(questions)
        words = self._lexical.read(texts, languages)
        began: list[Answer | Unfinished] = [
            Unfinished(question, words.rows([place])) for place, question in enumerate(questions)
        ]
        answered = np.flatnonzero(words.answers)
        if len(answered):
            sure = words.rows(answered)
            classified = self._classified([texts[place] for place in answered], sure.logits, sure.chances, sure.answers)
            for place, answer in zip(answered, self._answers(classified), strict=True):
                began[place] = answer
        return began

    def finish(self, unfinished: Sequence[Unfinished]) -> list[Answer]:
        """Answer what the lexical stage has left; see :class:`sprat.base.model.StagedModel`."""
        if not unfinished:
            return []
        texts, languages = _texts_and_languages([each.question for each in unfinished])
        words = LexicalReading.joined([each.found for each in unfinished if isinstance(each.found, LexicalReading)])
        logits, chances = self._encoded(texts, languages, words)
        return self._answers(self._classified(texts, logits, chances, np.zeros(len(texts), bool)))

    def _answers(self, classification: Classification) -> list[Answer]:
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
        """Compute one real batch, and the same by the encoder alone; see :class:`sprat.base.model.Model`."""
        self.answer([_PROBE])
        if self._lexical is not None:
            self.encoder_alone().answer([_PROBE])

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
        left = np.flatnonzero(~answered).tolist()
        if left:
            logits[left], chances[left] = self._encoded(
                [texts[place] for place in left],
                [languages[place] for place in left],
                None if words is None else words.rows(left),
            )
        return self._classified(texts, logits, chances, answered)

    def _encoded(
        self, texts: Sequence[str], languages: Sequence[str], words: LexicalReading | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the logits and the chances of texts of which the lexical stage, if there is one, was not sure."""
        logits, chances, empty = self._network.read(texts, languages)
        if self._lexical is not None and words is not None and words.reads.any():
            logits[words.reads] += np.float32(self._lexical.evidence) * words.logits[words.reads]
            chances[words.reads] = self._lexical.passed_on.chances(features(logits[words.reads]))
        chances[empty] = SURELY_OUTSIDE  # no token to read: no intent, and nothing to escalate
        return logits, chances

    def _classified(
        self,
        texts: Sequence[str],
        logits: NDArray[np.float32],
        chances: NDArray[np.float64],
        by_words: NDArray[np.bool_],
    ) -> Classification:
        """Decide on the texts, and say how sure that is."""
        right, outside = chances[:, RIGHT], chances[:, OUTSIDE]
        is_outside = outside > right
        # The calibration was fitted on short texts. A text n times as long is outside only if each of its n sections
        # is, so its chance is raised to the power of n. A request within a long letter is then escalated, not dropped.
        sections = np.array([len(text) / self.card.calibration.longest_code_points for text in texts])
        confidence = np.where(is_outside, outside ** np.maximum(sections, 1.0), right)
        return Classification(logits, logits.argmax(axis=1), right, outside, is_outside, confidence, by_words)

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


def _texts_and_languages(questions: Sequence[Question]) -> tuple[list[str], list[str]]:
    return [question.text for question in questions], [question.language for question in questions]


def load_encoder(folder: Path, card: Card, threads: int = 1) -> SentenceEncoder:
    """Load the encoder in `folder`, or the shared one if the card says that the model was built on it.

    Raises:
        BrokenArtefact: when the encoder is not the one that the card names, or cannot be used.
    """
    if card.built_on is None:
        return SentenceEncoder.load(folder, max_tokens=card.max_tokens, threads=threads)
    return load_shared(card.built_on, max_tokens=card.max_tokens, threads=threads)
