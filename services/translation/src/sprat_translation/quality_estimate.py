"""Estimate, without a reference, the chance that a translation is close to a human one: chrF of 60 or more.

Source of the method: quality estimation with features, as in QuEst, here a logistic regression over figures ("signals")
of each sentence and its translation. They come from the network's beam search, from word counts of the training texts,
and from the multilingual sentence encoder.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact, reading
from sprat_inference.card import Calibration
from sprat_inference.encoder import SentenceEncoder
from sprat_inference.platt import Platt
from sprat_inference.text_to_text import CHANCE
from sprat_translation.sentences import Hypothesis, Translation
from sprat_translation.vocabulary import PHRASE_SIZES, HashedCounts, KnownWords, phrases_of, words_of

Doubles = NDArray[np.float64]
Vectors = NDArray[np.float32]

GOOD_CHRF: Final = 60.0
METHOD = (
    "logistic regression over signals of each sentence to the event that its chrF is 60 or more; the least of its "
    "sentences for a text; 0 where a number, an address or a placeholder is not kept, or a sentence is too long"
)
UNCALIBRATED = (
    "none: the square of the geometric mean of the pieces' probabilities, of the least sure sentence; below every "
    "figure of the network's own, but fitted to nothing"
)
_CLIP_AT = 4.0
"""Signals are clipped at this many standard deviations from their mean: nothing beyond was seen while fitting."""

EMBEDDING_FILE = "estimate.npz"
COMPONENTS: Final = 16
"""Number of principal components of the source vectors. They separate kinds of sentences, such as questions and
orders. Some kinds have one usual translation, others many, and a network may be better at some of them."""

_SIDES: Final = ("source", "target")

SIGNALS: Final = (
    # From the network.
    "mean_log_probability",  # of the pieces of the translation, including the end
    "mean_probability",  # of the same pieces
    "least_log_probability",  # of the least probable piece
    "unsure_share",  # of pieces with a probability below 0.3
    "lead",  # see :class:`~sprat_translation.network.BeamAgreement`, as for the next five
    "share",
    "consensus",
    "indecision",
    "least_alike",
    "mean_alike",
    # From the texts.
    "length_surprise",  # absolute logarithm of the length ratio over the usual ratio
    "repetition",  # share of the output's words that repeat, beyond the repetitions of the source
    "unseen_share",  # of the source's words: not in the training texts
    "rare_share",  # of the source's words: fewer than 10 times in the training texts
    "rarest_word",  # logarithm of the least count of a word of the source
    "strange_share",  # of the output's words: not in the German training texts
    "copied_share",  # of the output's words: in the source, but not in the German training texts
    "question",  # 1 if one side has a question mark and the other has none
    "length",  # logarithm of the number of words of the source
    # From their phrases of two and three words: the share not in the training texts, and the mean log count.
    *(f"{side}_{size}_{what}" for side in _SIDES for size in PHRASE_SIZES for what in ("unseen", "count")),
    # From the multilingual encoder, which reads the source alone. The similarity of source and output was left out: it
    # doubled what the encoder costs, a fifth of a translation, and the AUROC without it is .773 instead of .774.
    *(f"kind_{number}" for number in range(1, COMPONENTS + 1)),  # principal components of the source vector
)
"""The signals in the order of the columns; computed by :func:`compute_signals`."""

_UNSURE = math.log(0.3)
_LEAST_LOG = -12.0
_MOST_LEAD = 2.0
_RARE = 10
_USUAL_RATIO = 1.12
"""German characters per English character, in short everyday sentences."""


@dataclass(frozen=True, slots=True)
class SignalWeights:
    """The logistic regression: float64 arrays with one entry per signal."""

    weights: Doubles
    middle: Doubles
    """Mean of the signal."""
    spread: Doubles
    """Standard deviation of the signal."""
    bias: float

    @classmethod
    def of(cls, calibration: Calibration) -> Self:
        """Take the weights from a card.

        Raises:
            BrokenArtefact: when they belong to other signals.
        """
        if "similarity" in calibration.parameters:
            raise BrokenArtefact("card.json: its estimate is of an earlier release; run the recipe again")
        try:
            rows = np.array([calibration.parameters[name] for name in SIGNALS], dtype=np.float64)
            (bias,) = calibration.parameters["bias"]
        except (KeyError, ValueError) as error:
            raise BrokenArtefact(f"card.json: no estimate of this kind ({error}); run the recipe again") from error
        if rows.shape != (len(SIGNALS), 3) or not (rows[:, 2] > 0).all():
            raise BrokenArtefact("card.json: the estimate's weights are not three a signal; run the recipe again")
        return cls(rows[:, 0], rows[:, 1], rows[:, 2], bias)

    def parameters(self) -> Mapping[str, tuple[float, ...]]:
        """Return the parameters for the card: signal → weight, middle, spread; and the bias."""
        rows = zip(self.weights, self.middle, self.spread, strict=True)
        return {
            **{name: tuple(map(float, row)) for name, row in zip(SIGNALS, rows, strict=True)},
            "bias": (float(self.bias),),
        }

    def scale(self, signals: Doubles) -> Doubles:
        """Return the standardised and clipped signals, float64, sentences × signals."""
        return np.clip((signals - self.middle) / self.spread, -_CLIP_AT, _CLIP_AT)

    def chances(self, signals: Doubles) -> Doubles:
        """Return the chance that each translation is good, float64, sentences."""
        chances: Doubles = 1.0 / (1.0 + np.exp(-(self.scale(signals) @ self.weights + self.bias)))
        return chances


@dataclass(frozen=True, slots=True)
class SourceKinds:
    """The mean vector of the source sentences, and their principal components; float32 arrays."""

    mean: Vectors
    directions: Vectors
    """Components × width, each of length 1, ordered by variance, the largest first."""

    @classmethod
    def of(cls, vectors: Vectors) -> Self:
        """Compute them from the vectors of source sentences, float32, sentences × width."""
        mean = vectors.mean(axis=0)
        centred = (vectors - mean).astype(np.float64)
        _, directions = np.linalg.eigh(centred.T @ centred)
        components = directions[:, ::-1].T[:COMPONENTS]
        # The sign of an eigenvector is arbitrary: fix it, so that two runs agree.
        signs = np.sign(components[np.arange(len(components)), np.abs(components).argmax(axis=1)])
        return cls(mean, (components * signs[:, None]).astype(np.float32))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `estimate.npz` of `folder`.

        Raises:
            BrokenArtefact: when the file cannot be read, or holds other arrays.
        """
        path = folder / EMBEDDING_FILE
        with reading(path, "run the recipe again"), np.load(path, allow_pickle=False) as arrays:
            mean, directions = (arrays[name].astype(np.float32) for name in ("mean", "directions"))
        if mean.ndim != 1 or directions.shape != (COMPONENTS, len(mean)):
            raise BrokenArtefact(f"{path}: its arrays do not fit each other; run the recipe again")
        return cls(mean, directions)

    def save(self, folder: Path) -> None:
        """Write `estimate.npz` into `folder`."""
        np.savez(folder / EMBEDDING_FILE, mean=self.mean, directions=self.directions)

    def signals(self, vectors: Vectors) -> Doubles:
        """Return the components of the source vectors, float64, sentences × 16."""
        return ((vectors - self.mean) @ self.directions.T).astype(np.float64)


@dataclass(frozen=True, slots=True)
class QualityEstimate:
    """Estimates the quality of translations from all signals. Thread-safe."""

    weights: SignalWeights
    words: KnownWords
    kinds: SourceKinds
    encoder: SentenceEncoder

    @classmethod
    def load(cls, folder: Path, calibration: Calibration, encoder: SentenceEncoder) -> Self:
        """Read `estimate.npz` and `words.npz` of `folder`.

        Raises:
            BrokenArtefact: when a file cannot be read, or holds other arrays.
        """
        return cls(SignalWeights.of(calibration), KnownWords.load(folder), SourceKinds.load(folder), encoder)

    def save(self, folder: Path) -> None:
        """Write `estimate.npz` and `words.npz` into `folder`."""
        self.kinds.save(folder)
        self.words.save(folder)

    def signals(self, translations: Sequence[Translation]) -> Doubles:
        """Return the signals, float64, sentences × signals.

        Raises:
            ModelError: when the encoder fails.
        """
        if not translations:
            return np.zeros((0, len(SIGNALS)))
        kinds = self.kinds.signals(embed_sources(translations, self.encoder))
        return compute_signals(translations, self.words, kinds)

    def chances(self, translations: Sequence[Translation]) -> Doubles:
        """Return the chance that each translation is good, float64, sentences."""
        return self.weights.chances(self.signals(translations))


class UncalibratedEstimate:
    """For a network without an estimate: the squared geometric mean of the probabilities of its pieces."""

    def chances(self, translations: Sequence[Translation]) -> Doubles:
        """Return a number from 0 to 1 for each translation, float64; it is not calibrated."""
        logs = [each.hypothesis.log_probabilities if each.hypothesis else (-np.inf,) for each in translations]
        return np.array([np.exp(2 * sum(each) / len(each)) for each in logs], dtype=np.float64)


class PlattEstimate:
    """The same, calibrated on texts whose translation by people is known."""

    def __init__(self, platt: Platt) -> None:
        self._platt = platt
        self._raw = UncalibratedEstimate()

    def chances(self, translations: Sequence[Translation]) -> Doubles:
        """Return the chance that each translation is good, float64."""
        return self._platt.chances(self._raw.chances(translations))


def estimate_of(calibration: Calibration) -> UncalibratedEstimate | PlattEstimate:
    """Return the estimate for a network of others.

    Raises:
        BrokenArtefact: when the card's calibration is of another kind.
    """
    if (fitted := calibration.parameters.get(CHANCE)) is None:
        return UncalibratedEstimate()
    if len(fitted) != 2 or fitted[1] < 0:
        raise BrokenArtefact("card.json: a calibration of another kind; write the artefact again")
    return PlattEstimate(Platt(*fitted))


def compute_signals(translations: Sequence[Translation], words: KnownWords, kinds: Doubles) -> Doubles:
    """Return the signals, float64, sentences × signals.

    Args:
        translations: each with a hypothesis of the network.
        words: of the training texts.
        kinds: the result of :meth:`SourceKinds.signals`.

    Raises:
        ValueError: when a translation has no hypothesis.
    """
    rows = [
        (*_network_signals(_hypothesis(each)), *_text_signals(each, words), *_phrase_signals(each, words), *row)
        for each, row in zip(translations, kinds, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(SIGNALS))


def embed_sources(translations: Sequence[Translation], encoder: SentenceEncoder) -> Vectors:
    """Return the encoder's vectors of the source sentences, float32, sentences × width.

    Raises:
        ModelError: when the encoder fails.
    """
    return encoder.encode([each.source for each in translations]).vectors


def _hypothesis(translation: Translation) -> Hypothesis:
    if translation.hypothesis is None:
        raise ValueError("a translation without a hypothesis of the network has no signals")
    return translation.hypothesis


def _network_signals(hypothesis: Hypothesis) -> tuple[float, ...]:
    logs = hypothesis.log_probabilities
    return (
        sum(logs) / len(logs),
        sum(map(math.exp, logs)) / len(logs),
        max(min(logs), _LEAST_LOG),
        sum(log < _UNSURE for log in logs) / len(logs),
        max(min(hypothesis.agreement.lead, _MOST_LEAD), -_MOST_LEAD),
        hypothesis.agreement.share,
        hypothesis.agreement.consensus,
        hypothesis.agreement.indecision,
        hypothesis.agreement.least_alike,
        hypothesis.agreement.mean_alike,
    )


def _text_signals(translation: Translation, words: KnownWords) -> tuple[float, ...]:
    read, written = words_of(translation.read), words_of(translation.text)
    source_counts, target_counts = words.source.look_up(read), words.target.look_up(written)
    unknown = [word for word, count in zip(written, target_counts, strict=True) if not count]
    return (
        abs(math.log((len(translation.text) + 5) / (_USUAL_RATIO * len(translation.source) + 5))),
        _repetition(read, written),
        _share(int((source_counts == 0).sum()), len(read)),
        _share(int((source_counts < _RARE).sum()), len(read)),
        math.log1p(int(source_counts.min())) if len(read) else math.log1p(_RARE),
        _share(len(unknown), len(written)),
        _share(len(set(unknown) & set(read)), len(written)),
        float(("?" in translation.source) != ("?" in translation.text)),
        math.log1p(len(read)),
    )


def _phrase_signals(translation: Translation, words: KnownWords) -> Iterator[float]:
    sides: tuple[tuple[str, HashedCounts], ...] = (
        (translation.read, words.source_phrases),
        (translation.text, words.target_phrases),
    )
    for text, known in sides:
        own_words = words_of(text)
        for size in PHRASE_SIZES:
            counts = known.look_up(phrases_of(own_words, size))
            yield _share(int((counts == 0).sum()), len(counts))
            yield float(np.log1p(counts).mean()) if len(counts) else 0.0


def _repetition(read: Sequence[str], written: Sequence[str]) -> float:
    repeated = (len(written) - len(set(written))) - (len(read) - len(set(read)))
    return _share(max(repeated, 0), len(written))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
