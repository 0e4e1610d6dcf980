"""Fits the estimate of quality, and finds the confidence that answers should be kept at, on development data alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import about
import numpy as np
from hard import hard_sentences
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from sprat.models.encoder import Encoder
from sprat_translation.corpora import DEVELOPMENT, Pairs, lines, read_pairs
from sprat_translation.estimate import GOOD_CHRF, Estimate, Weighing
from sprat_translation.layout import lay_out
from sprat_translation.quality import POOR_CHRF, auroc, sentence_chrf
from sprat_translation.sentences import Sentences, Translation
from sprat_translation.signals import SIGNALS, Doubles, measured, vectors
from sprat_translation.words import KnownWords

REGULARISATION_C = 0.3
HARD_EVERY = 7
CUSTOMER = "mt/bcontrast/dev.customer.de-en.tsv.gz"
"""Turns that were written in German: what their writers meant is the reference of their English translation."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Sentences that the network translated and kept whole; row i of all is about sentence i."""

    translations: tuple[Translation, ...]
    good: NDArray[np.bool_]
    poor: NDArray[np.bool_]
    hard: NDArray[np.bool_]
    """From a text of another kind than the model is for, without a reference."""

    @property
    def weights(self) -> Doubles:
        """So that the share of hard ones is the one that the card names."""
        share = about.OUTSIDE_SHARE
        each = np.where(self.hard, share / max(self.hard.sum(), 1), (1 - share) / (~self.hard).sum())
        return np.asarray(each * len(self.hard), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What goes into the artefact."""

    estimate: Estimate
    keep_at: float
    report: dict[str, float]


def fit(sentences: Sentences, encoder: Encoder, words: KnownWords, data: Path) -> Fitted:
    """Translate the development sentences and fit all that the estimate has."""
    rows = gather(sentences, data)
    everyday = [each for each, hard in zip(rows.translations, rows.hard, strict=True) if not hard]
    source, target = vectors(everyday, encoder)
    means = (source.mean(axis=0), target.mean(axis=0))
    signals = measured(rows.translations, words, encoder, means)
    chances = out_of_fold(signals, rows)
    estimate = Estimate(fit_weighing(signals, rows.good, rows.weights), words, encoder, means)
    keep_at = least_confidence(chances, rows)
    return Fitted(estimate, keep_at, describe(signals, chances, rows, keep_at))


def gather(sentences: Sentences, data: Path) -> Rows:
    """Translate all development sentences; those that lose a number or are too long need no estimate."""
    known = list(known_pairs(data))
    hard = hard_sentences(data, HARD_EVERY)
    done = sentences.translate([source for source, _ in known] + hard)
    texts = [done[source].text for source, _ in known]
    chrf = sentence_chrf(texts, [reference for _, reference in known])
    everything = [*(source for source, _ in known), *hard]
    usable = np.array([done[each].is_kept and done[each].hypothesis is not None for each in everything])
    good = np.concatenate([chrf >= GOOD_CHRF, np.zeros(len(hard), dtype=bool)])
    poor = np.concatenate([chrf < POOR_CHRF, np.ones(len(hard), dtype=bool)])
    is_hard = np.arange(len(everything)) >= len(known)
    chosen = tuple(done[each] for each, use in zip(everything, usable, strict=True) if use)
    return Rows(chosen, good[usable], poor[usable], is_hard[usable])


def known_pairs(data: Path) -> Iterator[tuple[str, str]]:
    """Development pairs of one sentence: of more, nobody could say which one a bad score is for."""
    turned = [line.split("\t")[:2] for line in lines(data / CUSTOMER)]
    customer = Pairs(tuple(english for _, english in turned), tuple(german for german, _ in turned))
    for pairs in (*(read_pairs(data, file) for file in DEVELOPMENT.values()), customer):
        for source, reference in zip(pairs.sources, pairs.references, strict=True):
            if lay_out(source).sentences == (source,):
                yield source, reference


def fit_weighing(signals: Doubles, good: NDArray[np.bool_], weights: Doubles) -> Weighing:
    """Logistic regression on scaled signals."""
    middle, spread = signals.mean(axis=0), np.maximum(signals.std(axis=0), 1e-3)
    start = Weighing(np.zeros(len(SIGNALS)), middle, spread, 0.0)
    regression = LogisticRegression(C=REGULARISATION_C, max_iter=1000)
    regression.fit(start.scaled(signals), good, sample_weight=weights)
    return Weighing(regression.coef_[0], middle, spread, float(regression.intercept_[0]))


def out_of_fold(signals: Doubles, rows: Rows, folds: int = 5) -> Doubles:
    """The chance of each row from weights that were fitted without it, or another translation of its source."""
    sources = {each.source: place for place, each in enumerate(rows.translations)}
    fold = np.array([sources[each.source] % folds for each in rows.translations])
    chances = np.zeros(len(fold))
    for number in range(folds):
        rest = fold != number
        chances[~rest] = fit_weighing(signals[rest], rows.good[rest], rows.weights[rest]).chances(signals[~rest])
    return chances


def least_confidence(chances: Doubles, rows: Rows) -> float:
    """The least hundredth at which few enough of those kept are poor; the share of hard ones as the card names it."""
    for step in range(1, 100):
        kept = chances >= step / 100
        if rows.weights[kept & rows.poor].sum() <= about.KEPT_POOR * rows.weights[kept].sum():
            return step / 100
    return 1.0


def describe(signals: Doubles, chances: Doubles, rows: Rows, keep_at: float) -> dict[str, float]:
    """Figures for the one who runs it."""
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


def single_signals(signals: Doubles, rows: Rows) -> Sequence[tuple[str, float]]:
    """How well each signal alone tells good from bad, whichever its direction."""
    each = [auroc(signals[:, place], rows.good) for place in range(len(SIGNALS))]
    return sorted(zip(SIGNALS, each, strict=True), key=lambda pair: -abs(pair[1] - 0.5))
