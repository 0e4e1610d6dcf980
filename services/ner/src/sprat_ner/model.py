"""The NER model: texts in; names and checked forms out, with calibrated chances. No Kafka in it.

A fine-tuned encoder with a linear head reads windows of a text; where they overlap, a token's chances are averaged. So
a long text costs its length, and is read to its end.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final, Self

from sprat.model import Answer, Question
from sprat_contracts.outputs import Entity, NerOutput
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.card import Card
from sprat_inference.encoder import TokenEncoder, Vectors
from sprat_inference.heads import Floats, TokenHead
from sprat_inference.tokenizer import SPECIAL_TOKENS
from sprat_inference.windows import TokenizedText, Window, Windows, average_windows, split_into_rounds
from sprat_ner.calibration import Calibrator
from sprat_ner.checked import CHECKED, find_checked
from sprat_ner.decoding import Row, decode
from sprat_ner.labels import HEAD, TYPES, served
from sprat_ner.words import units
from sprat_privacy import Detection

READER: Final = "sprat-ner-tokens/1"
"""Revision of the way from text to answer. Raise it with every change that changes an answer: it is part of the
model's version, and the version is part of every cache key."""

LABELS: Final = (*TYPES, *CHECKED)
"""What is served."""

OVERLAP: Final = 24
"""GuardedTokenizer that two windows share."""

MOST_CODE_POINTS: Final = 24_000
"""Read of a text, compatibility forms written out (a ligature may stand for eighteen letters). The contract allows
20,000 as sent, so only what is meant to be costly is cut; its confidence is then 0."""

MOST_ENTITIES: Final = 1000
"""The contract's limit."""

_PROBE: Final = Question("Anna Schmidt moved from Lisbon to Siemens in Munich", "en")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model sees in one text, checked forms left out."""

    row: Row
    names: tuple[Entity, ...]
    """Each with its calibrated chance of being right."""
    confidence: float
    """Calibrated chance that all names are right and none was missed."""


class NerModel:
    """Thread-safe; holds no state between calls."""

    def __init__(
        self, card: Card, states: TokenEncoder, windows: Windows, head: TokenHead, calibrator: Calibrator
    ) -> None:
        self.card = card
        self._states = states
        self._windows = windows
        self._head = head
        self._calibrator = calibrator

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and try it.

        Raises:
            BrokenArtefact: when it cannot be served.
        """
        card = load_artefact(folder, reader=READER).card
        if set(card.labels or ()) != set(LABELS):
            raise BrokenArtefact(f"{folder}: its card has other labels than this program serves; run the recipe again")
        head = TokenHead.load(folder, len(HEAD))
        calibrator = Calibrator.of(card.calibration)
        try:
            windows = Windows.load(folder, max_tokens=card.max_tokens, overlap=OVERLAP)
            model = cls(card, TokenEncoder.load(folder, threads), windows, head, calibrator)
            model.probe()
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the model cannot be used ({error}); run the recipe again") from error
        return model

    def tokens(self, question: Question) -> int:
        """Upper bound of the tokens that this question costs, those that windows share included."""
        text = question.text
        # No tokenizer makes more of a text than it has characters when all are decomposed, and one put before them.
        most = 1 + min(len(text if text.isascii() else unicodedata.normalize("NFKD", text)), MOST_CODE_POINTS)
        step = self._windows.max_tokens - SPECIAL_TOKENS - 2 * OVERLAP
        return most + (most // step + 1) * (SPECIAL_TOKENS + 2 * OVERLAP)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.models.Model`."""
        readings = self.read([question.text for question in questions], [each.language for each in questions])
        return [_answer(question, reading) for question, reading in zip(questions, readings, strict=True)]

    def probe(self) -> None:
        """Answer a sentence, and compute the longest and highest-numbered window there can be.

        Raises:
            ModelError: when the model cannot.
        """
        self.answer([_PROBE])
        self._chances([Window(0, 0, [self._windows.highest_id] * self._windows.max_tokens)])

    def read(self, texts: Sequence[str], languages: Sequence[str]) -> list[Reading]:
        """Everything the model knows of each text, for answers and for measuring.

        Args:
            texts: the texts.
            languages: of each, BCP 47.

        Raises:
            ModelError: when the runtime fails or computes nonsense.
        """
        tongues = iter(languages)
        return [one for some in split_into_rounds(texts) for one in self._read(some, [next(tongues) for _ in some])]

    def _read(self, whole: Sequence[str], languages: Sequence[str]) -> list[Reading]:
        texts = [readable(text) for text in whole]
        pieces, windows = self._windows.cut(texts)
        tokens = average_windows(pieces, windows, self._chances(windows), len(HEAD))
        rows = [_row(text, piece, chances) for text, piece, chances in zip(texts, pieces, tokens, strict=True)]
        names = iter(self._calibrator.names(rows, languages).tolist())
        chances = self._calibrator.texts(rows, languages).tolist()
        return [
            Reading(row, _entities(text, row, names), chance if len(text) == len(all_of_it) else 0.0)
            for text, all_of_it, row, chance in zip(texts, whole, rows, chances, strict=True)
        ]

    def _chances(self, windows: Sequence[Window]) -> list[Floats]:
        return self._states.encode([window.ids for window in windows], self._of_tokens)

    def _of_tokens(self, states: Vectors) -> Floats:
        return self._head.probabilities(states[:, 1:-1])


def readable(text: str) -> str:
    """Give the beginning of a text that is read: all of it, unless it is written to be costly."""
    if text.isascii() or len(unicodedata.normalize("NFKC", text)) <= MOST_CODE_POINTS:
        return text
    lengths = accumulate(len(unicodedata.normalize("NFKC", character)) for character in text)
    return text[: next((place for place, length in enumerate(lengths) if length > MOST_CODE_POINTS), len(text))]


def _row(text: str, pieces: TokenizedText, chances: Floats) -> Row:
    words = units(text, pieces.starts, pieces.ends)
    return decode(text, words, served(chances[words.tokens]))


def _entities(text: str, row: Row, chances: Iterator[float]) -> tuple[Entity, ...]:
    """Names as entities, each with the next of the chances. None is cut from its last accent.

    One for each name of the row, in its order.
    """
    entities = []
    for name, chance in zip(row.names, chances, strict=False):
        end = name.end
        while end < len(text) and not text[end].isascii() and unicodedata.category(text[end])[0] == "M":
            end += 1
        entities.append(_entity(text, *_seen(text, name.start, end), name.type, chance))
    return tuple(entities)


def _seen(text: str, start: int, end: int) -> tuple[int, int]:
    """Bounds without what cannot be seen at either end: byte order marks, zero-width spaces, marks of direction."""
    first, last = start, end
    while first < last and unicodedata.category(text[first]) == "Cf":
        first += 1
    while first < last and unicodedata.category(text[last - 1]) == "Cf":
        last -= 1
    return (first, last) if first < last else (start, end)


def _answer(question: Question, reading: Reading) -> Answer:
    """What is found, and how far it can be trusted: not at all where some of it is left out."""
    output = _output(question, reading)
    return Answer(output, 0.0 if output.truncated else reading.confidence)


def _output(question: Question, reading: Reading) -> NerOutput:
    """Names and checked forms in one row; where they overlap, the checked form is right."""
    text = question.text
    checked = find_checked(text, question.language)
    certain = [_entity(text, each.start, each.end, each.type, 1.0) for each in checked]
    names = [name for name in reading.names if not _overlaps(name, checked)] if checked else reading.names
    entities = sorted([*certain, *names], key=lambda entity: entity.start)
    return NerOutput(entities=tuple(entities[:MOST_ENTITIES]), truncated=len(entities) > MOST_ENTITIES)


def _overlaps(name: Entity, checked: Sequence[Detection]) -> bool:
    return any(each.start < name.end and name.start < each.end for each in checked)


def _entity(text: str, start: int, end: int, label: str, chance: float) -> Entity:
    return Entity(start=start, end=end, text=text[start:end], label=label, probability=chance)
