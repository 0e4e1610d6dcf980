"""The lexical stage of a label model: a linear model on the n-grams of a text, which needs no encoder.

Most texts of a label model are said in words that its training texts have. The stage reads words, pairs of words and
parts of words, answers the texts of which it is sure, and leaves the others to the encoder. The card says how sure it
must be, and in which languages it reads.

N-grams have no names here: each is a hash. `lexical.npz` holds the hashes that training kept, and for each the weight
of each label in eight bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.languages import is_served
from sprat_inference.artefact import BrokenArtefact, reading
from sprat_inference.card import Card
from sprat_inference.label_calibration import OUTCOMES, RIGHT, Doubles, LabelCalibrator, features
from sprat_inference.ngrams import Flags, Hashes, Integers, NGrams, ngrams_of

LEXICAL_FILE: Final = "lexical.npz"
LEXICAL_READER: Final = "sprat-lexical/1"
"""Revision of the way from text to logits; the card names it. Raise it with every change that changes a logit."""

BY_WORDS: Final = "lexical"
BY_ENCODER: Final = "encoder"
"""What a Result calls the stages of a label model."""

_PREFIX_BITS: Final = 16
_SMALLEST_NORM: Final = 1e-9

Floats = NDArray[np.float32]

LONGEST: Final = 2
"""So many times as long as the longest text of the training may a text be that the stage reads."""


def weigh(ngrams: NGrams, idf: Floats, count: int) -> Floats:
    """Return the tf-idf of each n-gram, float32.

    Words with pairs, and parts of words, each have length 1 in every text. N-grams that training did not see count in
    that length: a text with many of them has small values, so the model is not sure of it.

    Args:
        ngrams: of `count` texts.
        idf: the inverse document frequency of each n-gram, or that of an unknown one.
        count: how many texts there are.
    """
    kind = ngrams.texts * 2 + ngrams.is_part
    lengths = np.sqrt(np.bincount(kind, idf.astype(np.float64) ** 2, 2 * count))
    weights: Floats = (idf / np.maximum(lengths, _SMALLEST_NORM)[kind] * np.sqrt(0.5)).astype(np.float32)
    return weights


@dataclass(frozen=True, slots=True)
class NGramTable:
    """The n-grams that training kept."""

    hashes: Hashes
    """uint32, sorted, each once."""
    idf: Floats
    """float32. The inverse document frequency of each."""
    unknown_idf: float
    """That of an n-gram that is not among them."""
    _starts: Integers = field(init=False, repr=False)
    """The place of the first hash with each prefix, so that a search looks at few."""
    _longest: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        prefixes = np.arange((1 << _PREFIX_BITS) + 1, dtype=np.uint64) << np.uint64(32 - _PREFIX_BITS)
        starts = np.searchsorted(self.hashes.astype(np.uint64), prefixes).astype(np.int64)
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_longest", int(np.diff(starts).max(initial=0)))

    def find(self, hashes: Hashes) -> Integers:
        """Return the place of each hash in the table, int64; -1 for one that is not in it."""
        found = np.full(len(hashes), -1, np.int64)
        first = self._starts[hashes >> np.uint32(32 - _PREFIX_BITS)]
        last = max(len(self.hashes) - 1, 0)
        for step in range(self._longest):
            place = np.minimum(first + step, last)
            np.copyto(found, place, where=self.hashes[place] == hashes)
        return found

    def weigh(self, ngrams: NGrams, places: Integers, count: int) -> Floats:
        """Return the tf-idf of each n-gram of `count` texts, which :meth:`find` has placed."""
        if not len(self.idf):
            return np.zeros(len(places), np.float32)
        idf = np.where(places >= 0, self.idf[places], np.float32(self.unknown_idf))
        return weigh(ngrams, idf, count)


@dataclass(frozen=True, slots=True)
class LexicalModel:
    """Computes the logits of the labels of a text, in the order of the card, from its n-grams."""

    table: NGramTable
    weights: NDArray[np.int8]
    """int8, n-grams × labels. Times the scale of its row it is the weight of the n-gram for the label."""
    scales: Floats
    """float32, one per n-gram."""
    bias: Floats
    """float32, labels."""

    @classmethod
    def load(cls, folder: Path, labels: int) -> Self:
        """Read `lexical.npz` of `folder`, which must be made for `labels` labels.

        Raises:
            BrokenArtefact: when the file cannot be read, or the arrays do not fit each other or the labels.
        """
        path = folder / LEXICAL_FILE
        with reading(path, "train the model again"), np.load(path, allow_pickle=False) as file:
            hashes = file["hashes"].astype(np.uint32, casting="safe")
            weights = file["weights"].astype(np.int8, casting="safe")
            idf, scales, bias, unknown = (
                file[name].astype(np.float32, casting="same_kind") for name in ("idf", "scales", "bias", "unknown_idf")
            )
        count = (len(hashes),)
        fit = weights.shape == (*count, labels) and idf.shape == scales.shape == count and bias.shape == (labels,)
        if not fit or unknown.shape != () or (hashes[1:] <= hashes[:-1]).any():
            raise BrokenArtefact(
                f"{path}: shaped {weights.shape}, the card has {labels} labels, or its arrays do not fit each other; "
                "train the model again"
            )
        return cls(NGramTable(hashes, idf, float(unknown)), weights, scales, bias)

    def save(self, folder: Path) -> None:
        """Write `lexical.npz` into `folder`; equal arrays give equal bytes."""
        np.savez(
            folder / LEXICAL_FILE,
            hashes=self.table.hashes,
            idf=self.table.idf,
            unknown_idf=np.float32(self.table.unknown_idf),
            weights=self.weights,
            scales=self.scales,
            bias=self.bias,
        )

    @classmethod
    def quantised(cls, table: NGramTable, weights: Floats, bias: Floats) -> Self:
        """Return the model of float32 weights, n-grams × labels, each row in eight bits."""
        scales = np.maximum(np.abs(weights).max(axis=1, initial=0.0), np.float32(1e-12)) / np.float32(127)
        return cls(table, np.rint(weights / scales[:, None]).astype(np.int8), scales, bias)

    def logits(self, texts: Sequence[str]) -> Floats:
        """Return the logits, float32, texts × labels."""
        ngrams = ngrams_of(texts)
        places = self.table.find(ngrams.hashes)
        weights = self.table.weigh(ngrams, places, len(texts))
        known = np.flatnonzero(places >= 0)
        places = places[known]
        weights = weights[known] * self.scales[places]
        bounds = np.searchsorted(ngrams.texts[known], np.arange(len(texts) + 1)).tolist()
        logits = np.empty((len(texts), len(self.bias)), np.float32)
        logits[:] = self.bias
        for row, (start, end) in enumerate(pairwise(bounds)):
            logits[row] += weights[start:end] @ self.weights.take(places[start:end], axis=0).astype(np.float32)
        return logits


@dataclass(frozen=True, slots=True)
class LexicalReading:
    """What the stage says of some texts; row i of each array belongs to text i."""

    reads: Flags
    """False for a text in another language, or much longer than those of the training; its other rows are zeros."""
    logits: Floats
    """float32, texts × labels."""
    chances: Doubles
    """float64, texts × outcomes: right, wrong, outside."""
    answers: Flags
    """True where the stage is sure enough, so that the encoder need not read the text."""

    def rows(self, places: Sequence[int] | slice) -> "LexicalReading":
        """Return what it says of the texts at these places."""
        return LexicalReading(self.reads[places], self.logits[places], self.chances[places], self.answers[places])

    @classmethod
    def joined(cls, readings: Sequence["LexicalReading"]) -> "LexicalReading":
        """Return one reading of all texts of `readings`, at least one, in their order."""
        return cls(
            np.concatenate([each.reads for each in readings]),
            np.concatenate([each.logits for each in readings]),
            np.concatenate([each.chances for each in readings]),
            np.concatenate([each.answers for each in readings]),
        )


@dataclass(frozen=True, slots=True)
class LexicalStage:
    """The stage of one model. Thread-safe; holds no state between calls."""

    model: LexicalModel
    calibrator: LabelCalibrator
    """For its own logits."""
    passed_on: LabelCalibrator
    """For the sums of both logits, of texts that it passes on."""
    evidence: float
    """Its logits times this are added to the encoder's."""
    answers_from: float
    languages: tuple[str, ...]
    longest_code_points: int
    """It reads no text of more code points."""

    @classmethod
    def load(cls, folder: Path, card: Card) -> Self | None:
        """Load the stage of the artefact in `folder`; None where its card names none.

        Raises:
            BrokenArtefact: when it cannot be used.
        """
        if card.lexical is None:
            return None
        if card.lexical.reader != LEXICAL_READER:
            raise BrokenArtefact(
                f"{folder}: its lexical stage is made for {card.lexical.reader}, this program is {LEXICAL_READER}; "
                "install the release that fits"
            )
        model = LexicalModel.load(folder, len(card.labels or ()))
        return cls.of(model, card)

    @classmethod
    def of(cls, model: LexicalModel, card: Card) -> Self:
        """Make the stage of a model and of a card that names it.

        Raises:
            BrokenArtefact: when the card's parameters belong to another kind of calibration.
        """
        said = card.lexical
        if said is None:
            raise BrokenArtefact("card.json: names no lexical stage; train the model again")
        try:
            own, passed_on = LabelCalibrator.of(said.calibration), LabelCalibrator.of(said.passed_on)
        except (KeyError, ValueError) as error:
            raise BrokenArtefact(f"card.json: no calibration of this kind ({error}); train the model again") from error
        longest = LONGEST * card.calibration.longest_code_points
        return cls(model, own, passed_on, said.evidence, said.answers_from, said.languages, longest)

    def read(self, texts: Sequence[str], languages: Sequence[str]) -> LexicalReading:
        """Read the texts in its languages.

        Args:
            texts: the texts.
            languages: the BCP 47 tag of each.
        """
        reads = np.array(
            [
                len(text) <= self.longest_code_points and is_served(language, self.languages)
                for text, language in zip(texts, languages, strict=True)
            ],
            dtype=bool,
        )
        logits = np.zeros((len(texts), len(self.model.bias)), np.float32)
        chances = np.zeros((len(texts), len(OUTCOMES)))
        if reads.all():
            logits = self.model.logits(texts)
            chances = self.calibrator.chances(features(logits))
        elif reads.any():
            logits[reads] = self.model.logits([text for text, read in zip(texts, reads, strict=True) if read])
            chances[reads] = self.calibrator.chances(features(logits[reads]))
        return LexicalReading(reads, logits, chances, reads & (chances[:, RIGHT] >= self.answers_from))
