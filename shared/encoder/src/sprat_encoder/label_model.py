"""The model of a task with labels: from texts to a label or none, the likeliest labels, and a calibrated confidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from sprat.base.model import Answer, Question, Unfinished
from sprat_contracts import Alternative, IntentOutput
from sprat_encoder.networks import NETWORKS, LogitsNetwork
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.classifier import ClassCalibration, OutcomesOfClasses
from sprat_inference.doubts import Doubts
from sprat_inference.heads import LABEL_READER, POOLED_READER
from sprat_inference.label_calibration import OUTCOMES, OUTSIDE, RIGHT, CalibratorsByLanguage, features, softmax
from sprat_inference.label_sets import MULTI_LABEL
from sprat_inference.lexical import BY_ENCODER, BY_WORDS, LexicalReading, LexicalStage

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


class OutcomeCalibration(Protocol):
    """Turns the logits of a network into the chances of the outcomes."""

    @property
    def by_language(self) -> Mapping[str, object]:
        """Return the calibration of each language that has one of its own."""

    def chances(self, logits: NDArray[np.float32], languages: Sequence[str]) -> NDArray[np.float64]:
        """Return texts × outcomes, each row summing to 1, for texts with these BCP 47 tags."""


class LabellingModel:
    """A network that reads texts, and before it, where the card names one, a lexical stage.

    Thread-safe; holds no state between calls.
    """

    def __init__(
        self,
        card: Card,
        network: LogitsNetwork,
        calibration: OutcomeCalibration,
        lexical: LexicalStage | None = None,
    ) -> None:
        self.card = card
        self._labels = card.labels or ()
        self._network = network
        self._calibration = calibration
        self._lexical = lexical
        self._doubts = Doubts.of(card)

    def with_card(self, **changed: Any) -> Self:
        """Return this model with another task, name or languages in its card; what it computes is the same."""
        return type(self)(self.card.model_copy(update=changed), self._network, self._calibration, self._lexical)

    def encoder_alone(self) -> Self:
        """Return this model without its lexical stage, to compare the two; they share the network."""
        return type(self)(self.card, self._network, self._calibration)

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
        network = NETWORKS[card.reader](folder, card, threads)
        return cls(card, network, _calibration(card, len(card.labels)), LexicalStage.load(folder, card))

    @property
    def calibrated(self) -> tuple[str, ...]:
        """The languages with a calibration of their own; the language of the training texts comes first."""
        return tuple(self._calibration.by_language)

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
        return self._answers(questions, self.classify(*_texts_and_languages(questions)))

    def begin(self, questions: Sequence[Question]) -> list[Answer | Unfinished]:
        """Return the lexical stage's answers, else its reading; see :class:`sprat.base.model.StagedModel`."""
        if self._lexical is None or not questions:
            return [Unfinished(question) for question in questions]
        texts, languages = _texts_and_languages(questions)
        words = self._lexical.read(texts, languages)
        # The parts of a text are read by both stages, so one that has parts waits for them.
        ends = np.array(
            [sure and not self._parts(text) for text, sure in zip(texts, words.answers.tolist(), strict=True)]
        )
        began: list[Answer | Unfinished] = [
            Unfinished(question, None if is_sure else words.rows(slice(place, place + 1)))
            for place, (question, is_sure) in enumerate(zip(questions, ends.tolist(), strict=True))
        ]
        answered = np.flatnonzero(ends).tolist()
        if answered:
            sure = words.rows(answered)
            classified = self._classified([texts[place] for place in answered], sure.logits, sure.chances, sure.answers)
            sure_of = [questions[place] for place in answered]
            for place, answer in zip(answered, self._answers(sure_of, classified), strict=True):
                began[place] = answer
        return began

    def finish(self, unfinished: Sequence[Unfinished]) -> list[Answer]:
        """Answer what the lexical stage has left; see :class:`sprat.base.model.StagedModel`."""
        if not unfinished:
            return []
        questions = [each.question for each in unfinished]
        texts, languages = _texts_and_languages(questions)
        words = LexicalReading.joined([each.found for each in unfinished if isinstance(each.found, LexicalReading)])
        return self._answers(questions, self._read(texts, languages, words))

    def _answers(self, questions: Sequence[Question], result: Classification) -> list[Answer]:
        """Return the answers, with what is to be doubted of them."""
        answers = self._undoubted(questions, result)
        doubts = self._doubts_of(questions, answers)
        return [replace(answer, doubt=doubts[row]) if row in doubts else answer for row, answer in enumerate(answers)]

    def _doubts_of(self, questions: Sequence[Question], answers: Sequence[Answer]) -> dict[int, str]:
        """Return row → what is to be doubted of its answer; an answer without a label is not doubted."""
        if self._doubts is None:
            return {}
        found: dict[int, str | None] = {}
        parts: dict[int, tuple[str, ...]] = {}
        for row, (question, answer) in enumerate(zip(questions, answers, strict=True)):
            if not isinstance(answer.output, IntentOutput) or answer.output.label is None:
                continue
            found[row] = self._doubts.of_wording(question.text, answer.output.label)
            if found[row] is None and (cut := self._doubts.parts(question.text, answer.confidence)):
                parts[row] = cut
        if parts:
            texts = [part for cut in parts.values() for part in cut]
            of_parts = iter(self.labelled(texts, [questions[row].language for row, cut in parts.items() for _ in cut]))
            found |= {
                row: self._doubts.of_parts(list(islice(of_parts, len(cut))), answers[row].confidence)
                for row, cut in parts.items()
            }
        return {row: doubt for row, doubt in found.items() if doubt is not None}

    def _parts(self, text: str) -> tuple[str, ...]:
        return () if self._doubts is None else self._doubts.parts(text)

    def _undoubted(self, questions: Sequence[Question], result: Classification) -> list[Answer]:
        shares = softmax(result.logits)
        chances = _chances(shares, result)
        likeliest = np.argsort(-shares, axis=1, kind="stable")[:, :ALTERNATIVES]
        answers = []
        for row, (question, stage) in enumerate(zip(questions, self._stages(result), strict=True)):
            if question.labels is None:
                label = None if result.is_outside[row] else self._labels[likeliest[row, 0]]
                output = IntentOutput(
                    label=label, alternatives=self._alternatives(likeliest[row], chances[row, likeliest[row]])
                )
                answers.append(Answer(output, float(result.confidence[row]), stage))
            else:
                answers.append(self._among(question.labels, result, row, chances[row], stage))
        return answers

    def _among(
        self, labels: Sequence[str], result: Classification, row: int, chances: NDArray[np.float64], stage: str | None
    ) -> Answer:
        """Return the answer to a text that asks for some labels: the one over all labels, if it is among these.

        Else the answer is the likeliest of these labels and of none, whose chances are made to add up to 1.
        """
        asked = np.flatnonzero(np.isin(self._labels, labels))
        label, confidence = None if result.is_outside[row] else self._labels[result.best[row]], result.confidence[row]
        renormalised = label is not None and label not in labels
        chances = chances[asked]
        if renormalised:
            within = softmax(result.logits[row : row + 1, asked])[0]
            outside = result.outside[row]
            total = chances.sum() + outside
            none = outside / total if total > 0.0 else 0.0
            chances = within * (1.0 - none)
            best = chances.argmax()
            label, confidence = (None, none) if none > chances[best] else (self._labels[asked[best]], chances[best])
        order = np.argsort(-chances, kind="stable")[:ALTERNATIVES]
        alternatives = self._alternatives(asked[order], chances[order])
        return Answer(IntentOutput(label=label, alternatives=alternatives), float(confidence), stage, renormalised)

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
        return self._read(texts, languages, None if self._lexical is None else self._lexical.read(texts, languages))

    def labelled(self, texts: Sequence[str], languages: Sequence[str]) -> list[tuple[str | None, float]]:
        """Return label, None for outside every one, and confidence of each text; see :meth:`classify`."""
        read = self.classify(texts, languages)
        labels = (
            None if is_outside else self._labels[best]
            for best, is_outside in zip(read.best.tolist(), read.is_outside.tolist(), strict=True)
        )
        return list(zip(labels, read.confidence.tolist(), strict=True))

    def _read(self, texts: Sequence[str], languages: Sequence[str], words: LexicalReading | None) -> Classification:
        """Let the encoder read the texts of which the lexical stage is not sure, and decide on all."""
        logits = np.empty((len(texts), len(self._labels)), np.float32)
        chances = np.empty((len(texts), len(OUTCOMES)))
        answered = np.zeros(len(texts), bool)
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
        logits, empty = self._network.read(texts, languages)
        chances = np.empty((len(texts), len(OUTCOMES)))
        read = np.zeros(len(texts), bool) if self._lexical is None or words is None else words.reads
        if not read.all():
            chances[:] = self._calibration.chances(logits, languages)
        logits = logits[:, : len(self._labels)]
        if self._lexical is not None and words is not None and read.any():
            logits[read] += np.float32(self._lexical.evidence) * words.logits[read]
            chances[read] = self._lexical.passed_on.chances(features(logits[read]))
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

    def _alternatives(self, places: NDArray[np.int64], chances: NDArray[np.float64]) -> tuple[Alternative, ...]:
        return tuple(
            Alternative(label=self._labels[place], probability=float(chance))
            for place, chance in zip(places, chances, strict=True)
        )


def _chances(shares: NDArray[np.float64], result: Classification) -> NDArray[np.float64]:
    """Return the chance of each label, float64, in the shape of `shares`, texts × labels.

    The best has its calibrated chance. The others share the chance that another label is right, in proportion to their
    softmax; none gets more than the best.
    """
    rows = np.arange(len(shares))
    others = np.maximum(1.0 - result.right - result.outside, 0.0) / np.maximum(1.0 - shares[rows, result.best], 1e-9)
    chances: NDArray[np.float64] = np.minimum(shares * others[:, None], result.right[:, None])
    chances[rows, result.best] = result.right
    return chances


def _texts_and_languages(questions: Sequence[Question]) -> tuple[list[str], list[str]]:
    return [question.text for question in questions], [question.language for question in questions]


def _calibration(card: Card, labels: int) -> OutcomeCalibration:
    """Take the calibration from a card, by the reader that the card names.

    Raises:
        BrokenArtefact: when it has none of that kind.
    """
    if card.reader in {LABEL_READER, POOLED_READER}:
        return CalibratorsByLanguage.of(card.calibration)
    return OutcomesOfClasses(ClassCalibration.of(card.calibration), labels)
