"""Read token-and-label files as texts with spans. Not used in serving."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Self

import numpy as np

from sprat_inference.words import word_spans


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A name: code points `start` to `end` (exclusive) of its text."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text, its words as the data set cuts them, and a BIO label for each."""

    text: str
    bounds: tuple[tuple[int, int], ...]
    """For each word: its first code point in `text`, and one past its last."""
    labels: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str], labels: Sequence[str]) -> Self:
        """Return the sentence of these words, with a space between them."""
        ends = list(accumulate(len(word) + 1 for word in words))
        bounds = ((end - 1 - len(word), end - 1) for word, end in zip(words, ends, strict=True))
        return cls(" ".join(words), tuple(bounds), tuple(labels))

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words."""
        return tuple(self.text[start:end] for start, end in self.bounds)

    def spans(self) -> list[Span]:
        """Return the names with their spans in `text`."""
        return [Span(self.bounds[first][0], self.bounds[last][1], type) for first, last, type in named(self.labels)]


def named(labels: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Return first word, last word and type of each name. An `I-` that continues nothing begins a name."""
    first, type = -1, ""
    for place, label in enumerate((*labels, "O")):
        prefix, _, kind = label.partition("-")
        if type and (prefix != "I" or kind != type):
            yield first, place - 1, type
            type = ""
        if kind and not type:
            first, type = place, kind


def read_sentences(path: Path, types: Mapping[str, str] | None = None) -> list[Sentence]:
    """Read `token<TAB>label` lines, a blank line between sentences, gzipped.

    Args:
        path: the file.
        types: type in the file → type wanted; one that it lacks becomes `O`. None takes them as they are.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    sentences: list[Sentence] = []
    words: list[str] = []
    labels: list[str] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in [*lines, "\n"]:
            word, _, label = line.rstrip("\n").partition("\t")
            if label:
                words.append(word)
                labels.append(_mapped(label, types))
            elif words:
                sentences.append(Sentence.of(words, labels))
                words, labels = [], []
    return sentences


def _mapped(label: str, types: Mapping[str, str] | None) -> str:
    prefix, _, kind = label.partition("-")
    if types is None or not kind:
        return label
    return f"{prefix}-{types[kind]}" if kind in types else "O"


def read_spans(path: Path) -> list[Sentence]:
    """Read lines of `{"text", "entities": [{"start", "end", "label"}]}`; offsets are code points.

    Raises:
        FileNotFoundError: when there is no such file.
    """
    sentences = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        bounds = [(int(start), int(end)) for start, end in word_spans(row["text"])]
        found = [(each["start"], each["end"], each["label"]) for each in row["entities"]]
        sentences.append(Sentence(row["text"], tuple(bounds), laid_on(bounds, found)))
    return sentences


def laid_on(bounds: Sequence[tuple[int, int]], spans: Iterable[tuple[int, int, str]]) -> tuple[str, ...]:
    """Return the IOB2 labels of words for spans; a span over part of a word covers the whole word."""
    starts, ends = np.array(bounds, dtype=np.int64).reshape(-1, 2).T
    labels = ["O"] * len(bounds)
    for start, end, type in spans:
        inside = np.flatnonzero((starts < end) & (ends > start))
        for place in inside:
            if labels[place] == "O":
                labels[place] = f"{'B' if place == inside[0] else 'I'}-{type}"
    return tuple(labels)
