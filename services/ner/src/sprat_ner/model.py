"""The NER model: texts in; names and patterned entities out, with calibrated chances.

A fine-tuned encoder with a linear head labels windows of a text; where they overlap, a token's probabilities are
averaged. So the cost grows linearly with the length of a text, and a text is read to its end.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from sprat.base.model import Answer, Question
from sprat_contracts import Entity, NerOutput
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.card import Card
from sprat_inference.encoder import TokenEncoder, Vectors
from sprat_inference.heads import Floats, TokenHead
from sprat_inference.token_classifier import MOST_CODE_POINTS, readable
from sprat_inference.windows import TokenizedText, Window, Windows, average_windows, split_into_rounds
from sprat_inference.words import end_of_letter, find_units
from sprat_ner.calibration import NameCalibrator
from sprat_ner.decoding import HEAD_LABELS, TYPES, Decoding, decode, merge_misc
from sprat_ner.patterned_entities import PATTERNED_TYPES, find_patterned
from sprat_privacy import Detection

READER: Final = "sprat-ner-tokens/2"
"""Revision of the way from text to answer. Raise it with every change that changes an answer: it is part of the
model's version, and the version is part of every cache key."""

OWN_READERS: Final = (READER, "sprat-ner-tokens/1")
"""Those that are served: the second had one calibration for texts with and without names."""

LABELS: Final = (*TYPES, *PATTERNED_TYPES)
"""The labels of the entities."""

OVERLAP: Final = 24
"""Tokens that neighbouring windows share, at least."""

MOST_ENTITIES: Final = 1000
"""Limit of the contract."""

_PROBE: Final = Question("Anna Schmidt moved from Lisbon to Siemens in Munich", "en")


@dataclass(frozen=True, slots=True)
class Recognition:
    """What the model computes for one text, without the patterned entities."""

    decoding: Decoding
    names: tuple[Entity, ...]
    """The names, each with its calibrated chance of being right."""
    confidence: float
    """Calibrated chance that all names are right and none is missed."""
    nothing_missed: float | None
    """Calibrated chance that no name, or no further one, is missed; None where the card has no calibration for it."""


class NerModel:
    """A fine-tuned encoder with a linear head for each token. Thread-safe; holds no state between calls."""

    def __init__(
        self, card: Card, states: TokenEncoder, windows: Windows, head: TokenHead, calibrator: NameCalibrator
    ) -> None:
        self.card = card
        self._states = states
        self._windows = windows
        self._head = head
        self._calibrator = calibrator

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and compute a probe batch.

        Raises:
            BrokenArtefact: when the artefact cannot be served.
        """
        card = load_artefact(folder, reader=OWN_READERS).card
        if set(card.labels or ()) != set(LABELS):
            raise BrokenArtefact(f"{folder}: its card has other labels than this program serves; run the recipe again")
        head = TokenHead.load(folder, len(HEAD_LABELS))
        calibrator = NameCalibrator.of(card.calibration)
        try:
            windows = Windows.load(folder, max_tokens=card.max_tokens, overlap=OVERLAP)
            model = cls(card, TokenEncoder.load(folder, card.max_tokens, threads), windows, head, calibrator)
            model.probe()
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the model cannot be used ({error}); run the recipe again") from error
        return model

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens that this question costs, including those that windows share."""
        return self._windows.upper_bound(question.text, MOST_CODE_POINTS)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.base.model.Model`."""
        recognitions = self.recognise([question.text for question in questions], [each.language for each in questions])
        return [_answer(question, recognition) for question, recognition in zip(questions, recognitions, strict=True)]

    def calibrated(self, calibrator: NameCalibrator) -> Self:
        """Return this model with another calibration."""
        return type(self)(self.card, self._states, self._windows, self._head, calibrator)

    def probe(self) -> None:
        """Answer one sentence, and compute the longest possible window, with the highest id.

        Raises:
            ModelError: when the model fails on them.
        """
        self.answer([_PROBE])
        self._chances([Window(0, 0, [self._windows.highest_id] * self._windows.max_tokens)])

    def recognise(self, texts: Sequence[str], languages: Sequence[str]) -> list[Recognition]:
        """Return the names of each text with their chances, for answers and for evaluation.

        Args:
            texts: the texts.
            languages: the BCP 47 tag of each.

        Raises:
            ModelError: when CTranslate2 fails, or a value is not finite.
        """
        tags = iter(languages)
        rounds = [(group, [next(tags) for _ in group]) for group in split_into_rounds(texts)]
        return [recognition for group, tagged in rounds for recognition in self._recognise(group, tagged)]

    def _recognise(self, whole: Sequence[str], languages: Sequence[str]) -> list[Recognition]:
        texts = [readable(text) for text in whole]
        tokenized, windows = self._windows.cut(texts)
        outputs = average_windows(tokenized, windows, self._chances(windows), len(HEAD_LABELS))
        decodings = [
            _decode(text, tokens, chances) for text, tokens, chances in zip(texts, tokenized, outputs, strict=True)
        ]
        names = iter(self._calibrator.names(decodings, languages).tolist())
        read = np.array([len(text) == len(uncut) for text, uncut in zip(texts, whole, strict=True)], np.float64)
        chances = read * self._calibrator.texts(decodings, languages)
        missed = self._calibrator.nothing_missed(decodings, languages)
        of_missed = [None] * len(texts) if missed is None else (read * missed).tolist()
        return [
            Recognition(decoding, _entities(text, decoding, names), chance, nothing_missed)
            for text, decoding, chance, nothing_missed in zip(
                texts, decodings, chances.tolist(), of_missed, strict=True
            )
        ]

    def _chances(self, windows: Sequence[Window]) -> list[Floats]:
        return self._states.encode([window.ids for window in windows], self._of_tokens)

    def _of_tokens(self, states: Vectors) -> Floats:
        return self._head.probabilities(states[:, 1:-1])


def _decode(text: str, tokens: TokenizedText, chances: Floats) -> Decoding:
    units = find_units(text, tokens.starts, tokens.ends)
    return decode(text, units, merge_misc(chances[units.tokens]))


def _entities(text: str, decoding: Decoding, chances: Iterator[float]) -> tuple[Entity, ...]:
    """Return the names as entities, in order, each with the next of the chances.

    The combining marks after a name's last letter belong to the name.
    """
    entities = []
    for name, chance in zip(decoding.names, chances, strict=False):
        end = end_of_letter(text, name.end)
        entities.append(_entity(text, *_visible(text, name.start, end), name.type, chance))
    return tuple(entities)


def _visible(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the bounds without invisible characters at both ends: byte order marks, zero-width spaces and so on."""
    first, last = start, end
    while first < last and unicodedata.category(text[first]) == "Cf":
        first += 1
    while first < last and unicodedata.category(text[last - 1]) == "Cf":
        last -= 1
    return (first, last) if first < last else (start, end)


def _answer(question: Question, recognition: Recognition) -> Answer:
    """Return entities and confidence; the confidence is 0 if entities are left out, so is that nothing is missed."""
    output = _output(question, recognition)
    missed = recognition.nothing_missed
    if output.truncated:
        return Answer(output, 0.0, nothing_missed=None if missed is None else 0.0)
    return Answer(output, recognition.confidence, nothing_missed=missed)


def _output(question: Question, recognition: Recognition) -> NerOutput:
    """Merge names and patterned entities; where they overlap, the patterned entity wins."""
    text = question.text
    patterned = find_patterned(text, question.language)
    certain = [_entity(text, each.start, each.end, each.type, 1.0) for each in patterned]
    names = [name for name in recognition.names if not _overlaps(name, patterned)] if patterned else recognition.names
    entities = sorted([*certain, *names], key=lambda entity: entity.start)
    return NerOutput(entities=tuple(entities[:MOST_ENTITIES]), truncated=len(entities) > MOST_ENTITIES)


def _overlaps(name: Entity, patterned: Sequence[Detection]) -> bool:
    return any(each.start < name.end and name.start < each.end for each in patterned)


def _entity(text: str, start: int, end: int, label: str, chance: float) -> Entity:
    return Entity(start=start, end=end, text=text[start:end], label=label, probability=chance)
