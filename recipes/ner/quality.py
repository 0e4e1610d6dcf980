"""Quality of the answers: micro-F1 on exact spans, and calibration of the chances. Not used in serving.

F1 is seqeval's default (CoNLL's): a name counts when span and type are exactly right. Predictions are made on plain
text (the words with a space between them) and laid onto the words of the data set.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recipes.ner.gold import Sentence, laid_on, named
from sprat_ner.decoding import TYPES
from sprat_ner.model import NerModel, Recognition

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]
BATCH = 256

FoundName = tuple[int, int, str]
"""First code point, end, type."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of one data set."""

    right: int
    found: int
    gold: int

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        return 2 * self.right / (self.found + self.gold) if self.found + self.gold else 1.0

    @property
    def precision(self) -> float:
        """Return the share of the names found that are right."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Return the share of the gold names that were found."""
        return self.right / self.gold if self.gold else 1.0


@dataclass(frozen=True, slots=True)
class ReadSentence:
    """The answers of a model on a data set: gold and predicted labels by sentence, and the chances."""

    gold: tuple[tuple[str, ...], ...]
    given: tuple[tuple[str, ...], ...]
    confidence: Doubles
    """Confidence of each text."""
    chances: Doubles
    """Chance of each name found, in order."""
    names_right: Flags
    """Whether each of them is right."""

    @property
    def counts(self) -> Counts:
        """Return the counts of names by exact span and type."""
        pairs = [(set(named(gold)), set(named(given))) for gold, given in zip(self.gold, self.given, strict=True)]
        return Counts(
            sum(len(gold & given) for gold, given in pairs),
            sum(len(given) for _, given in pairs),
            sum(len(gold) for gold, _ in pairs),
        )

    @property
    def right(self) -> Flags:
        """Return for each text whether all names are right and none is missed."""
        return np.array([gold == given for gold, given in zip(self.gold, self.given, strict=True)], dtype=bool)

    @property
    def with_name(self) -> Flags:
        """Return for each text whether it holds a name."""
        return np.array([any(label != "O" for label in gold) for gold in self.gold], dtype=bool)

    @property
    def answered_with_name(self) -> Flags:
        """Return for each text whether the answer holds a name."""
        return np.array([any(label != "O" for label in given) for given in self.given], dtype=bool)


def see(model: NerModel, sentences: Sequence[Sentence], language: str = "en") -> ReadSentence:
    """Run the model on all sentences, in batches as in a service."""
    readings = read(model, [sentence.text for sentence in sentences], language)
    gold = tuple(canonical(sentence.labels) for sentence in sentences)
    given, right = [], []
    for sentence, reading in zip(sentences, readings, strict=True):
        found = _found(reading)
        given.append(canonical(laid_on(sentence.bounds, found)))
        wanted = {(span.start, span.end, span.label) for span in sentence.spans()}
        right += [each in wanted for each in found]
    chances = [entity.probability or 0.0 for reading in readings for entity in reading.names]
    confidence = [reading.confidence for reading in readings]
    return ReadSentence(gold, tuple(given), np.array(confidence), np.array(chances), np.array(right, dtype=bool))


def read(model: NerModel, texts: Sequence[str], language: str = "en") -> list[Recognition]:
    """Run the model on texts of one language in batches."""
    batches = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]
    return [one for batch in batches for one in model.recognise(batch, [language] * len(batch))]


def _found(reading: Recognition) -> list[FoundName]:
    return [(entity.start, entity.end, entity.label) for entity in reading.names]


def canonical(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return labels with a `B-` at the beginning of every name, and only the served types."""
    clean = ["O"] * len(labels)
    for first, last, type in named(labels):
        if type in TYPES:
            clean[first : last + 1] = [f"B-{type}", *[f"I-{type}"] * (last - first)]
    return tuple(clean)


def pooled(seen: Sequence[ReadSentence]) -> ReadSentence:
    """Merge several data sets."""
    return ReadSentence(
        tuple(row for each in seen for row in each.gold),
        tuple(row for each in seen for row in each.given),
        np.concatenate([each.confidence for each in seen]),
        np.concatenate([each.chances for each in seen]),
        np.concatenate([each.names_right for each in seen]),
    )


def kept(seen: ReadSentence, keep_at: float, among: Flags | None = None) -> tuple[float, float]:
    """Return the share of texts with confidence ≥ `keep_at`, and the share of those that are wholly right.

    `among` are the texts that count; None stands for all.
    """
    counted = np.ones(len(seen.gold), dtype=bool) if among is None else among
    enough = counted & (seen.confidence >= keep_at)
    return float(enough.sum() / counted.sum()), float(seen.right[enough].mean()) if enough.any() else 1.0
