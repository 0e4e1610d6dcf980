"""A transformer that was trained together with its head to label tokens, such as a `…ForTokenClassification`.

The label of a word is that of the token with its first character, as such models are trained. Words with one type that
follow each other form a span, unless a label says that one ends or another begins: so transformers reads them, too
(`aggregation_strategy="first"`), and so IOB1, IOB2, BILOU, BIOES and labels without a prefix are all read alike.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final, Self

import numpy as np

from sprat_inference.artefact import BrokenArtefact, ModelError, read_json
from sprat_inference.card import Calibration, Card
from sprat_inference.encoder import TokenEncoder
from sprat_inference.heads import Floats, TokenHead, token_chances
from sprat_inference.onnx_network import OnnxNetwork
from sprat_inference.platt import UNFITTED, Platt
from sprat_inference.tokenizer import SPECIAL_TOKENS
from sprat_inference.windows import Window, Windows, average_windows, split_into_rounds
from sprat_inference.words import WordUnits, end_of_letter, find_units, paragraph_starts

TOKEN_CLASSIFIER_READER: Final = "sprat-token-classifier/1"  # noqa: S105 - no secret, but the name of a reader
"""Revision of the way from text to answer. Raise it with every change that changes an answer: it is part of the model's
version, and the version is part of every cache key."""

ONNX_TOKEN_READER: Final = "sprat-token-classifier-onnx/1"  # noqa: S105 - as above
"""The same for a network as ONNX, which holds its head."""

READERS: Final = (TOKEN_CLASSIFIER_READER, ONNX_TOKEN_READER)
"""What :class:`TokenClassifier` reads."""

TAGS_FILE: Final = "tags.json"
"""The labels of the tokens, in the order of the head."""

MOST_CODE_POINTS: Final = 24_000
"""Code points read of a text, counted in its compatibility form (NFKC), in which one ligature may be eighteen letters.
The contract allows 20,000 code points, so only texts made to be expensive are cut; their confidence is 0."""

OUTSIDE: Final = frozenset(("O", "OUT", "OUTSIDE", "0"))
"""Labels of a token that is part of no span, in capitals."""

_OVERLAP: Final = 24
_PREFIXED: Final = re.compile(r"([BILUESMWO])[-_](.+)")
_SUFFIXED: Final = re.compile(r"(.+)[-_]([BILUESMW])")
_BEGIN: Final = frozenset("BUSW")
_END: Final = frozenset("LUESW")


@dataclass(frozen=True, slots=True)
class Tag:
    """What the label of a token says."""

    type: str | None
    """Of the span that the token is part of; None: of none."""
    begins: bool = False
    """Whether a span begins with the token, even after one of its own type."""
    ends: bool = False
    """Whether it ends with the token."""


@dataclass(frozen=True, slots=True)
class SpanCalibration:
    """What the products of the probabilities mean. Without parameters in the card, they stay as they are."""

    text: Platt = UNFITTED
    span: Platt = UNFITTED

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take them from a card.

        Raises:
            BrokenArtefact: when it has others.
        """
        parameters = calibration.parameters
        if not parameters:
            return cls()
        try:
            (bias, slope), (span_bias, span_slope) = parameters["text"], parameters["span"]
        except (KeyError, ValueError):
            raise BrokenArtefact("card.json: a calibration of another kind; write the artefact again") from None
        return cls(Platt(bias, slope), Platt(span_bias, span_slope))

    def parameters(self) -> dict[str, tuple[float, ...]]:
        """Return them as a card states them."""
        return {"text": (self.text.bias, self.text.slope), "span": (self.span.bias, self.span.slope)}


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text that has a type. `start` and `end` are code points."""

    start: int
    end: int
    type: str
    chance: float
    """Of being right, 0–1; without a calibration the product of the probabilities of the labels of its words."""


@dataclass(frozen=True, slots=True)
class TaggedText:
    """The spans of one text."""

    spans: tuple[Span, ...]
    """In their order; none overlaps another."""
    chance: float
    """Of all spans being right and none missed, 0–1; without a calibration the product of the probabilities of the
    labels of all words. 0 if the text was cut, and 1 if it has no word."""


def parse_tags(labels: Sequence[str]) -> tuple[Tag, ...]:
    """Return what each label says: `B-PER`, `I-PER`, `L-PER`, `U-PER`, `E-PER`, `S-PER`, `PER` or `O`.

    A prefix is one only where all labels but the outside have one: else `B-52` may be a type.
    """
    others = [label for label in labels if label.upper() not in OUTSIDE]
    pattern = next((each for each in (_PREFIXED, _SUFFIXED) if others and all(map(each.fullmatch, others))), None)
    return tuple(Tag(None) if label.upper() in OUTSIDE else _tag(label, pattern) for label in labels)


def _tag(label: str, pattern: re.Pattern[str] | None) -> Tag:
    if pattern is None or (found := pattern.fullmatch(label)) is None:
        return Tag(label)
    mark, type = found.groups() if pattern is _PREFIXED else reversed(found.groups())
    return Tag(type, mark in _BEGIN, mark in _END)


def types_of(tags: Sequence[Tag]) -> tuple[str, ...]:
    """Return the types of spans, in the order of the labels."""
    return tuple(dict.fromkeys(tag.type for tag in tags if tag.type is not None))


UNCALIBRATED: Final = SpanCalibration()


Network = Callable[[Sequence[Sequence[int]]], list[Floats]]
"""Computes the logits of each sequence of ids, float32, tokens × labels, without the special tokens. Thread-safe."""


class TokenClassifier:
    """Finds the spans of texts. Thread-safe; holds no state between calls."""

    def __init__(
        self,
        network: Network,
        windows: Windows,
        tags: Sequence[Tag],
        calibration: SpanCalibration = UNCALIBRATED,
    ) -> None:
        self.windows = windows
        self._network = network
        self._tags = tuple(tags)
        self._calibration = calibration

    @classmethod
    def load(cls, folder: Path, card: Card, threads: int = 1) -> Self:
        """Load the files of `folder`, whose card is `card`, and compute the longest window, with the highest id.

        Raises:
            BrokenArtefact: when files are missing or do not fit together, or the probabilities are not finite.
        """
        tags = _read_tags(folder / TAGS_FILE)
        if set(types_of(tags)) != set(card.labels or ()):
            raise BrokenArtefact(f"{folder}: {TAGS_FILE} has other types than the card has labels; write it again")
        calibration = SpanCalibration.of(card.calibration)
        overlap = min(_OVERLAP, (card.max_tokens - SPECIAL_TOKENS - 1) // 3)
        try:
            windows = Windows.load(folder, max_tokens=card.max_tokens, overlap=overlap)
            network = _load_network(folder, card, len(tags), threads)
            classifier = cls(network, windows, tags, calibration)
            classifier.probe()
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the network cannot be used ({error}); write the artefact again") from error
        return classifier

    def upper_bound(self, text: str) -> int:
        """Return an upper bound of the tokens that a text costs, including those that windows share."""
        return self.windows.upper_bound(text, MOST_CODE_POINTS)

    def read(self, texts: Sequence[str]) -> list[TaggedText]:
        """Return the spans of each text. They depend on the text alone, not on the others of the batch.

        Raises:
            ModelError: when the network fails or a value is not finite.
        """
        return [tagged for group in split_into_rounds(texts) for tagged in self._read(group)]

    def token_logits(self, texts: Sequence[str]) -> list[Floats]:
        """Return the logits of the first window of each text, float32, tokens × labels, without the special tokens."""
        _, windows = self.windows.cut(texts)
        first = {window.text: window.ids for window in reversed(windows)}
        by_text = dict(zip(first, self._network(list(first.values())), strict=True))
        return [by_text.get(index, np.zeros((0, len(self._tags)), np.float32)) for index in range(len(texts))]

    def probe(self) -> None:
        """Compute the longest possible window, with the highest id.

        Raises:
            ModelError: when the model fails on it.
        """
        self._chances([Window(0, 0, [self.windows.highest_id] * self.windows.max_tokens)])

    def _read(self, whole: Sequence[str]) -> list[TaggedText]:
        texts = [readable(text) for text in whole]
        tokenized, windows = self.windows.cut(texts)
        outputs = average_windows(tokenized, windows, self._chances(windows), len(self._tags))
        found = []
        for text, uncut, tokens, chances in zip(texts, whole, tokenized, outputs, strict=True):
            units = find_units(text, tokens.starts, tokens.ends)
            found.append(self._tagged(text, units, chances[units.tokens], is_cut=len(text) < len(uncut)))
        return found

    def _chances(self, windows: Sequence[Window]) -> list[Floats]:
        return [token_chances(logits) for logits in self._network([window.ids for window in windows])]

    def _tagged(self, text: str, units: WordUnits, chances: Floats, *, is_cut: bool) -> TaggedText:
        """Return the spans of a text; `chances` are words × labels."""
        labels = chances.argmax(axis=1) if len(chances) else np.zeros(0, np.int64)
        best = np.take_along_axis(chances, labels[:, None], axis=1)[:, 0].astype(np.float64)
        starts = paragraph_starts(text, units)
        groups: list[list[int]] = []
        before = Tag(None)
        for place, label in enumerate(labels):
            tag = self._tags[label]
            if tag.type is not None:
                continues = before.type == tag.type and not (before.ends or tag.begins or starts[place])
                groups[-1].append(place) if continues else groups.append([place])
            before = tag
        products = np.array([best[group].prod() for group in groups], np.float64)
        spans = [
            Span(
                int(units.starts[group[0]]),
                end_of_letter(text, int(units.ends[group[-1]])),
                self._tags[labels[group[0]]].type or "",
                float(chance),
            )
            for group, chance in zip(groups, self._calibration.span.chances(products), strict=True)
        ]
        chance = float(self._calibration.text.chances(best.prod(keepdims=True))[0]) if len(best) else 1.0
        return TaggedText(tuple(spans), 0.0 if is_cut else chance)


def _load_network(folder: Path, card: Card, tags: int, threads: int) -> Network:
    if card.reader == ONNX_TOKEN_READER:
        network = OnnxNetwork.load(folder, threads)
        network.check_outputs((tags,), dimensions=2)
        return lambda sequences: [logits[1:-1] for logits in network.logits(sequences)]
    states, head = TokenEncoder.load(folder, card.max_tokens, threads), TokenHead.load(folder, tags)
    return lambda sequences: states.encode(sequences, lambda each: head.logits(each[:, 1:-1]))


def readable(text: str) -> str:
    """Return the part of a text that is read: all of it, unless it is longer than :data:`MOST_CODE_POINTS`."""
    if text.isascii() or len(unicodedata.normalize("NFKC", text)) <= MOST_CODE_POINTS:
        return text
    lengths = accumulate(len(unicodedata.normalize("NFKC", character)) for character in text)
    return text[: next((place for place, length in enumerate(lengths) if length > MOST_CODE_POINTS), len(text))]


def _read_tags(path: Path) -> tuple[Tag, ...]:
    labels = read_json(path)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise BrokenArtefact(f"{path}: is no list of labels; write the artefact again")
    return parse_tags(labels)
