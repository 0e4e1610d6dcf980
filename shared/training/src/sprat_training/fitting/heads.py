"""Fits a head on vectors, and a calibration on what heads say of texts that they were not fitted on."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, fields
from functools import partial
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sprat_inference.heads import Floats, LabelHead
from sprat_inference.label_calibration import FEATURES, OUTCOMES, OUTSIDE, RIGHT, WRONG, LabelCalibrator, features
from sprat_training.datasets.config import OnTrainingProgress
from sprat_training.fitting.regression import fit_multinomial
from sprat_training.thresholds.rows import Doubles, Integers

REGULARISATION_C: Final = 10.0
CALIBRATION_C: Final = 100.0
"""So weak that it only keeps the nine parameters finite."""
MIN_LABELS_TO_HOLD_OUT: Final = 3
"""With fewer labels, there is nothing to choose from where one is held out."""
THREADS: Final = 2

_EXACT: Final = 1e-10
MANY_TEXTS: Final = 3_000
"""Up to so many texts ten folds cost little; above, five give as good an estimate."""
_LABEL_GROUPS: Final = (20, 10)
"""Labels are hidden one at a time up to so many, above in so many groups; the second number is for many texts."""
_NEARLY_SAME: Final = 0.9
"""Cosine of two centred vectors of texts from one template, or that differ by a word that does not matter."""
_BLOCK: Final = 2_000
"""Texts of a label that are compared with each other: the time grows with the square."""


class Fitted(Protocol):
    """A model of labels that was fitted on some of the texts."""

    def logits(self, texts: Integers) -> Floats:
        """Return the logits of the texts with these indexes, texts × labels; there may be none."""

    def logits_outside(self) -> Floats:
        """Return the logits of the texts outside every label, of which there may be none."""


class Learner(Protocol):
    """Fits models of labels on some of the texts."""

    def fit(self, texts: Integers, gold: Integers, labels: int, share: float) -> Fitted:
        """Fit a model.

        Args:
            texts: indexes of the texts.
            gold: index of each one's label, 0 to labels - 1.
            labels: how many labels there are.
            share: which share of all texts these are: the penalty on large coefficients is the same for each text.
        """


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What models say of texts that were held out from them."""

    logits: Floats
    """Texts × labels, each row by a model that was not fitted on the text."""
    inside: Doubles
    """Features of the texts: texts × 2."""
    outside: Doubles
    """Features of the texts outside every label, or of held-out labels' texts instead; several rows per text."""
    outside_texts: Integers
    """For each row of `outside` the number of its text: among those outside or, of held-out labels, among all."""
    outside_groups: Integers
    """For each row of `outside` the number of its text, or of its label: rows of one group are no independent cases."""
    labels_held_out: bool
    """Whether held-out labels took the place of texts outside every label."""
    folds: int


@dataclass(frozen=True, slots=True)
class CrossValidation(HeldOut):
    """A head fitted on everything, and what other heads say of texts that were held out from them."""

    head: LabelHead
    copies: bool
    """Whether all heads were fitted on untidy copies of their texts, too."""


@dataclass(frozen=True, slots=True)
class _UnknownLabels:
    """What a head says that does not know some labels."""

    number: int
    texts: Integers
    """Indexes of the texts of these labels."""
    features: Doubles
    """Of these texts."""
    known: Doubles
    """Features of texts of the other labels that the head was not fitted on."""


def fit_head(vectors: Floats, gold: Integers, labels: int, *, c: float = REGULARISATION_C) -> LabelHead:
    """Fit a multinomial logistic regression on centred vectors.

    Args:
        vectors: texts × width, as the encoder returns them.
        gold: index of each text's label, 0 to labels - 1.
        labels: how many labels there are.
        c: weight of the texts against the penalty on large coefficients.
    """
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    weights, bias = fit_multinomial(LabelHead.centred(vectors, mean), gold, labels, c=c)
    return LabelHead(mean, weights.astype(np.float32), bias.astype(np.float32))


def fit_calibrator(
    inside: Doubles, right: NDArray[np.bool_], outside: Doubles, outside_share: float
) -> LabelCalibrator:
    """Fit three outcomes over two features, weighted so that `outside_share` of the texts are outside.

    Args:
        inside: features of texts that have a label; see :func:`sprat_inference.label_calibration.features`.
        right: whether the most likely label of each is right.
        outside: features of texts outside every label; without any, no text is ever considered outside.
        outside_share: assumed share of the traffic outside every label.
    """
    raw = np.concatenate([inside, outside])
    mean, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-9)
    outcomes = np.concatenate([np.where(right, RIGHT, WRONG), np.full(len(outside), OUTSIDE)])
    shares = [(1 - outside_share, len(inside)), (outside_share, len(outside))] if len(outside) else [(1.0, len(inside))]
    weights = np.concatenate([np.full(count, share * len(raw) / count) for share, count in shares])
    scaled, bias = fit_multinomial(
        (raw - mean) / spread, outcomes, len(OUTCOMES), c=CALIBRATION_C, weights=weights, tolerance=_EXACT
    )
    # The scaling is folded into the weights, so that serving needs only the features.
    weights_of_features = scaled / spread[:, None]
    return LabelCalibrator(weights_of_features, bias - mean @ weights_of_features)


def logits_of(head: LabelHead, vectors: Floats) -> Floats:
    """Return texts × labels, centred by the head's own mean: the texts are in the language that it was fitted in."""
    logits: Floats = LabelHead.centred(vectors, head.mean) @ head.weights + head.bias
    return logits


def features_of(head: LabelHead, vectors: Floats) -> Doubles:
    """Return the features of some texts, of which there may be none."""
    return _features(logits_of(head, vectors)) if len(vectors) else np.zeros((0, FEATURES))


@dataclass(frozen=True, slots=True)
class _FittedHead:
    head: LabelHead
    vectors: Floats
    outside: Floats

    def logits(self, texts: Integers) -> Floats:
        return logits_of(self.head, self.vectors[texts])

    def logits_outside(self) -> Floats:
        if not len(self.outside):
            return np.zeros((0, len(self.head.bias)), np.float32)
        return logits_of(self.head, self.outside)


@dataclass(frozen=True, slots=True)
class HeadLearner:
    """Fits heads on the vectors of the texts."""

    vectors: Floats
    """Of all texts: texts × width."""
    outside: Floats
    """Of the texts outside every label; may be empty."""
    copies: Floats | None = None
    """Of one untidy copy of each text, texts × width; see :func:`sprat_training.fitting.noise.copies_to_train`."""

    def fit(self, texts: Integers, gold: Integers, labels: int, share: float) -> _FittedHead:
        """Fit a head on some texts, and on their copies; see :class:`Learner`."""
        vectors = self.vectors[texts]
        if self.copies is not None:
            vectors, gold = np.concatenate([vectors, self.copies[texts]]), np.tile(gold, 2)
        head = fit_head(vectors, gold, labels, c=REGULARISATION_C / share)
        return _FittedHead(head, self.vectors, self.outside)


def cross_validate(
    vectors: Floats,
    gold: Integers,
    labels: int,
    outside: Floats,
    progress: OnTrainingProgress,
    *,
    cores: Integers | None = None,
    copies: Floats | None = None,
) -> CrossValidation:
    """Fit a head on everything, and cross-validate heads; see :func:`hold_out`.

    Args:
        vectors: of the texts.
        gold: index of each text's label.
        labels: how many labels there are.
        outside: vectors of texts outside every label; may be empty.
        progress: is called after each fit.
        cores: of each text; see :func:`text_folds`.
        copies: vectors of untidy copies; see :class:`HeadLearner`. None: heads are fitted on the texts alone.
    """
    learner = HeadLearner(vectors, outside, copies)
    count = 10 if len(gold) <= MANY_TEXTS else 5
    group_count = min(_LABEL_GROUPS[len(gold) > 2 * MANY_TEXTS], labels)
    heads: list[LabelHead] = []
    held_out = hold_out(
        learner,
        gold,
        labels,
        text_folds(vectors, gold, count, cores=cores),
        group_count,
        progress,
        outside=len(outside),
        first=lambda: heads.append(learner.fit(np.arange(len(gold)), gold, labels, 1.0).head),
    )
    return CrossValidation(
        **{each.name: getattr(held_out, each.name) for each in fields(held_out)},
        head=heads[0],
        copies=copies is not None,
    )


def hold_out(
    learner: Learner,
    gold: Integers,
    labels: int,
    folds: Integers,
    group_count: int,
    progress: OnTrainingProgress,
    *,
    outside: int,
    first: Callable[[], None],
    step: str = "fitting",
) -> HeldOut:
    """Fit a model without each fold of texts and, without texts outside, one without each label or group of them.

    Where there are no texts outside every label, the labels take their place: each in turn is unknown to a head, which
    then reads its texts. One at a time, as far as there is time for it: hidden together, two labels that are alike seem
    easier to recognise than a new one that is like a known one. A head that knows fewer labels also gives lower logits;
    so the features are moved by the difference that the two kinds of heads show on texts of known labels. Without both,
    of texts near to ten labels twice as many were kept; see the benchmarks.

    Tried and left out: the Mahalanobis distance to the label as a third feature. It changes nothing for near texts; of
    far ones it lets 3.9 instead of 8.2 % through with five labels, 1.4 instead of 2.2 % with ten. But it takes a phrase
    that the file does not have for a text outside: of an unseen template's texts 12 instead of 62 % got their label.

    Args:
        learner: fits the models.
        gold: index of each text's label.
        labels: how many labels there are.
        folds: of each text.
        group_count: into how many groups the labels are divided.
        progress: is called after each fit.
        outside: how many texts outside every label the models read.
        first: is done along with the fits.
        step: what the progress is called.
    """
    count = int(folds.max()) + 1
    logits = np.empty((len(gold), labels), np.float32)
    inside = np.empty((len(gold), FEATURES))
    groups = np.random.default_rng(0).permutation(labels) % group_count
    outside_features: list[Doubles] = [np.zeros((0, FEATURES))] * count
    unknown: list[_UnknownLabels] = []

    def fit_without_fold(number: int) -> None:
        rest, held_out = np.flatnonzero(folds != number), np.flatnonzero(folds == number)
        fitted = learner.fit(rest, gold[rest], labels, len(rest) / len(gold))
        logits[held_out] = fitted.logits(held_out)
        inside[held_out] = _features(logits[held_out])
        outside_features[number] = _features(fitted.logits_outside())

    def fit_without_labels(number: int) -> None:
        unknown.append(_read_unknown(learner, gold, groups, number, folds == number % count))

    labels_held_out = not outside and labels >= MIN_LABELS_TO_HOLD_OUT
    jobs: list[Callable[[], None]] = [first, *(partial(fit_without_fold, number) for number in range(count))]
    if labels_held_out:
        jobs += [partial(fit_without_labels, number) for number in range(group_count)]
    run_jobs(jobs, progress, step)
    if labels_held_out:
        unknown.sort(key=lambda each: each.number)
        features_outside = np.concatenate([_moved(each, inside, groups[gold] != each.number) for each in unknown])
        outside_texts = np.concatenate([each.texts for each in unknown])
        outside_groups = gold[outside_texts]
    else:
        features_outside = np.concatenate(outside_features)
        outside_texts = outside_groups = np.tile(np.arange(outside), count)
    return HeldOut(logits, inside, features_outside, outside_texts, outside_groups, labels_held_out, count)


def text_folds(
    vectors: Floats, gold: Integers, count: int, *, cores: Integers | None = None, seed: int = 0
) -> Integers:
    """Return the fold of each text; every label is spread over the folds as evenly as possible.

    Texts of a label that are nearly the same are in one fold: rows made from a template, or one text written twice,
    would else be recognised by their double, and the figures would hold for nothing that people write. A label whose
    texts are all nearly the same is in three folds, for each head needs texts of it.

    Args:
        vectors: of the texts.
        gold: index of each text's label.
        count: how many folds.
        cores: a number for each text, the same for doubles; see
            :func:`sprat_training.datasets.doubles.core_numbers`. None where no text has a double.
        seed: of the order in which texts are taken.
    """
    random = np.random.default_rng(seed)
    groups = group_numbers(vectors, gold, cores)
    folds = np.empty(len(gold), np.int64)
    filled = np.zeros(count)
    for label in np.unique(gold):
        places = random.permutation(np.flatnonzero(gold == label))
        of_label = np.zeros(count)
        together = [np.flatnonzero(groups[places] == number) for number in dict.fromkeys(groups[places].tolist())]
        if len(together) == 1:
            together = np.array_split(together[0], 3)
        for group in sorted(filter(len, together), key=len, reverse=True):
            # The fold with the fewest texts of the label, and of these the one with the fewest of all.
            fold = int(np.lexsort((filled, of_label))[0])
            folds[places[group]] = fold
            of_label[fold] += len(group)
            filled[fold] += len(group)
    return folds


def group_numbers(vectors: Floats, gold: Integers, cores: Integers | None = None) -> Integers:
    """Return a number for each text, the same for texts of a label that are nearly the same.

    Args:
        vectors: of the texts.
        gold: index of each text's label.
        cores: as in :func:`text_folds`.
    """
    centred = LabelHead.centred(vectors, vectors.mean(axis=0))
    cores = np.arange(len(gold)) if cores is None else cores
    numbers = np.full(len(gold), -1, np.int64)
    for label in np.unique(gold):
        places = np.flatnonzero(gold == label)
        _, first, of_core = np.unique(cores[places], return_index=True, return_inverse=True)
        numbers[places] = places[first][_nearly_same(centred[places[first]])][of_core]
    return numbers


def _nearly_same(centred: Floats) -> Integers:
    """Return of each text the index of the first one that it is nearly the same as, its own where it is the first.

    No more than a third of a label's texts are the same by their vectors alone.
    """
    most = max(len(centred) // 3, 1)
    first = np.full(len(centred), -1, np.int64)
    for start in range(0, len(centred), _BLOCK):
        block, own = centred[start : start + _BLOCK], first[start : start + _BLOCK]
        for place in range(len(block)):
            if own[place] < 0:
                own[place] = start + place
                alike = np.flatnonzero((own < 0) & (block @ block[place] >= _NEARLY_SAME))
                own[alike[: most - 1]] = start + place
    return first


def _read_unknown(
    learner: Learner, gold: Integers, groups: Integers, number: int, held_out: NDArray[np.bool_]
) -> _UnknownLabels:
    """Fit a model that knows neither the labels of a group nor the texts of a fold, and read both."""
    known = np.flatnonzero(groups != number)
    renumbered = np.full(len(groups), -1, np.int64)
    renumbered[known] = np.arange(len(known))
    unknown = groups[gold] == number
    rest, texts = np.flatnonzero(~unknown & ~held_out), np.flatnonzero(unknown)
    fitted = learner.fit(rest, renumbered[gold[rest]], len(known), len(rest) / len(gold))
    read = np.flatnonzero(~unknown & held_out)
    return _UnknownLabels(number, texts, _features(fitted.logits(texts)), _features(fitted.logits(read)))


def _moved(unknown: _UnknownLabels, inside: Doubles, known: NDArray[np.bool_]) -> Doubles:
    """Return the features of unknown labels' texts as a head that knows all labels would give them."""
    if not len(unknown.known):
        return unknown.features
    moved: Doubles = unknown.features + inside[known].mean(axis=0) - unknown.known.mean(axis=0)
    return moved


def _features(logits: Floats) -> Doubles:
    return features(logits) if len(logits) else np.zeros((0, FEATURES))


def run_jobs(jobs: Iterable[Callable[[], None]], progress: OnTrainingProgress, step: str) -> None:
    """Run all jobs, `THREADS` at a time: numpy releases the interpreter while it multiplies."""
    with ThreadPoolExecutor(THREADS, "fit") as pool:
        running = [pool.submit(job) for job in jobs]
        progress(step, 0, len(running))
        try:
            for done, each in enumerate(as_completed(running), start=1):
                each.result()
                progress(step, done, len(running))
        except BaseException:  # Ctrl-C ends the training now, not after all fits
            pool.shutdown(cancel_futures=True)
            raise
