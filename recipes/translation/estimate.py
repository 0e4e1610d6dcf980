"""Fit the quality estimate, and choose the recommended threshold, on development data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from recipes.common import auroc
from recipes.translation.choices import KEPT_POOR, OUTSIDE_SHARE, TRAINED_WEIGHT
from recipes.translation.corpora import DEVELOPMENT, ParallelTexts, hard_sentences, lines, read_pairs
from recipes.translation.quality import POOR_CHRF, sentence_chrf
from recipes.translation.variants import Pair
from sprat_inference.encoder import SentenceEncoder
from sprat_translation.layout import lay_out
from sprat_translation.quality_estimate import (
    GOOD_CHRF,
    SIGNALS,
    Doubles,
    QualityEstimate,
    SignalWeights,
    SourceKinds,
    compute_signals,
    embed_sources,
)
from sprat_translation.sentences import SentenceTranslator, Translation
from sprat_translation.vocabulary import KnownWords

REGULARISATION_C = 0.3
HARD_EVERY = 7
CUSTOMER = "mt/bcontrast/dev.customer.de-en.tsv.gz"
"""Turns that were written in German: the original is the reference of the English translation."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Sound translations by the network; row i of each array belongs to sentence i."""

    translations: tuple[Translation, ...]
    good: NDArray[np.bool_]
    poor: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    """From a text of another kind than the model is made for, without a reference."""
    trained: NDArray[np.bool_]
    """The network was trained on it: used to fit the weights, not to measure or choose anything."""

    @property
    def weights(self) -> Doubles:
        """The weights: hard sentences have the share that the card states, and a trained one counts half."""
        share = OUTSIDE_SHARE
        each = np.where(self.trained, TRAINED_WEIGHT, 1.0)
        each[self.hard] *= share / (1 - share) * each[~self.hard].sum() / max(self.hard.sum(), 1)
        return each

    def those(self, chosen: NDArray[np.bool_]) -> "Rows":
        """Return the chosen rows."""
        translations = tuple(each for each, use in zip(self.translations, chosen, strict=True) if use)
        return Rows(translations, self.good[chosen], self.poor[chosen], self.hard[chosen], self.trained[chosen])


@dataclass(frozen=True, slots=True)
class Fitted:
    """The quality estimate, the threshold, and figures to print."""

    estimate: QualityEstimate
    keep_at: float
    report: dict[str, float]


def fit(
    sentences: SentenceTranslator, encoder: SentenceEncoder, words: KnownWords, data: Path, aside: Sequence[Pair]
) -> Fitted:
    """Translate the development sentences and fit the quality estimate.

    `aside` are training pairs whose words were not counted, so that `words` treats them like new texts.
    """
    rows = gather(sentences, data, aside)
    vectors = embed_sources(rows.translations, encoder)
    kinds = SourceKinds.of(vectors[~rows.hard])
    signals = compute_signals(rows.translations, words, kinds.signals(vectors))
    chances = out_of_fold(signals, rows)
    estimate = QualityEstimate(fit_weights(signals, rows, np.ones(len(signals), dtype=bool)), words, kinds, encoder)
    new = ~rows.trained
    keep_at = lowest_threshold(chances[new], rows.those(new))
    return Fitted(estimate, keep_at, describe(signals[new], chances[new], rows.those(new), keep_at))


def gather(sentences: SentenceTranslator, data: Path, aside: Sequence[Pair]) -> Rows:
    """Translate all sentences; leave out those without an estimate: unsound or too long."""
    known = [*known_pairs(data), *(pair for pair in aside if lay_out(pair[0]).sentences == (pair[0],))]
    hard = hard_sentences(data, HARD_EVERY)
    everything = [*(source for source, _ in known), *hard]
    done = sentences.translate(everything)
    chrf = sentence_chrf([done[source].text for source, _ in known], [reference for _, reference in known])
    usable = np.array([done[each].is_sound and done[each].hypothesis is not None for each in everything])
    learnt = set(aside)
    rows = Rows(
        tuple(done[each] for each in everything),
        good=np.concatenate([chrf >= GOOD_CHRF, np.zeros(len(hard), dtype=bool)]),
        poor=np.concatenate([chrf < POOR_CHRF, np.ones(len(hard), dtype=bool)]),
        hard=np.arange(len(everything)) >= len(known),
        trained=np.array([pair in learnt for pair in known] + [False] * len(hard)),
    )
    return rows.those(usable)


def development_pairs(data: Path) -> list[ParallelTexts]:
    """Return the development texts: everyday sentences, and both sides of the service chat."""
    turned = [line.split("\t")[:2] for line in lines(data / CUSTOMER)]
    customer = ParallelTexts(tuple(english for _, english in turned), tuple(german for german, _ in turned))
    return [*(read_pairs(data, file) for file in DEVELOPMENT.values()), customer]


def known_pairs(data: Path) -> Iterator[tuple[str, str]]:
    """Yield development pairs of one sentence: with several, a bad score could not be assigned to one of them."""
    for pairs in development_pairs(data):
        for source, reference in zip(pairs.sources, pairs.references, strict=True):
            if lay_out(source).sentences == (source,):
                yield source, reference


def fit_weights(signals: Doubles, rows: Rows, chosen: NDArray[np.bool_]) -> SignalWeights:
    """Fit a logistic regression on the scaled signals of the chosen rows.

    The network is better on its training data than the signals show. Trained rows therefore have a bias of their own,
    which is fitted and then discarded.
    """
    middle, spread = signals[chosen].mean(axis=0), np.maximum(signals[chosen].std(axis=0), 1e-3)
    scaled = SignalWeights(np.zeros(len(SIGNALS)), middle, spread, 0.0).scale(signals[chosen])
    regression = LogisticRegression(C=REGULARISATION_C, max_iter=2000)
    regression.fit(
        np.column_stack([scaled, rows.trained[chosen]]), rows.good[chosen], sample_weight=rows.weights[chosen]
    )
    return SignalWeights(regression.coef_[0][:-1], middle, spread, float(regression.intercept_[0]))


def out_of_fold(signals: Doubles, rows: Rows, folds: int = 5) -> Doubles:
    """Return the chance of each row, from weights fitted without this row and without the same source."""
    sources = {each.source: place for place, each in enumerate(rows.translations)}
    fold = np.array([sources[each.source] % folds for each in rows.translations])
    chances = np.zeros(len(fold))
    for number in range(folds):
        inside = fold == number
        chances[inside] = fit_weights(signals, rows, ~inside).chances(signals[inside])
    return chances


def lowest_threshold(chances: Doubles, rows: Rows) -> float:
    """Return the lowest threshold, in hundredths, at which few kept sentences are poor and no hard one is kept."""
    for step in range(1, 100):
        kept = chances >= step / 100
        few_poor = rows.weights[kept & rows.poor].sum() <= KEPT_POOR * rows.weights[kept].sum()
        if few_poor and not (kept & rows.hard).any():
            return step / 100
    return 1.0


def describe(signals: Doubles, chances: Doubles, rows: Rows, keep_at: float) -> dict[str, float]:
    """Return figures to print."""
    known = ~rows.hard
    kept = chances >= keep_at
    alone = signals[:, SIGNALS.index("mean_log_probability")]
    return {
        "sentences": len(chances),
        "good": float(rows.good[known].mean()),
        "auroc everyday": auroc(chances[known], rows.good[known]),
        "auroc everyday, log-probability alone": auroc(alone[known], rows.good[known]),
        "auroc all": auroc(chances, rows.good),
        "kept everyday": float(kept[known].mean()),
        "kept hard": float(kept[rows.hard].mean()),
        "poor of kept everyday": float(rows.poor[kept & known].mean()),
    }
