"""Fits the lexical stage of a label model with its calibration, and finds from which chance on it answers.

The encoder, which costs a hundred times as much, is the measure: over all texts that the stage answers, it may not be
wrong more often than the encoder would be among what is kept of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sprat_inference.card import LexicalCard
from sprat_inference.heads import Floats
from sprat_inference.label_calibration import OUTSIDE, RIGHT, WRONG, LabelCalibrator, features
from sprat_inference.lexical import LEXICAL_READER, LexicalModel
from sprat_inference.ngrams import NGrams, read_ngrams
from sprat_training.datasets.config import OnTrainingProgress
from sprat_training.fitting.heads import HeldOut, fit_calibrator, hold_out
from sprat_training.fitting.lexical_fit import REGULARISATION_C, fit_lexical
from sprat_training.thresholds.rows import Doubles, Flags, Integers

FOLDS: Final = 3
"""Fewer than for the head: a fit of the stage costs more than one of the head."""
MARGIN: Final = 0.002
"""Of all traffic, so much more may be kept wrong than with the encoder alone, with 95 % confidence."""
LEAST_SHARE: Final = 0.2
"""Of the texts with a label. A stage that answers fewer saves little, and is left out."""
_MANY: Final = 20_000_000
"""N-grams × labels; above, labels are hidden in few groups."""
_LABEL_GROUPS: Final = (10, 4)
_STEPS: Final = 1000
_EVIDENCE: Final = tuple(step / 20 for step in range(21))
"""What is tried as the weight of the stage's logits in the sum with the encoder's."""
_MOST_LIKELY_RIGHT: Final = 0.5
_LEAST_CHANCE: Final = 1e-12
_Z_ONE_SIDED: Final = 1.644854
"""95 % of a normal distribution lie above minus so many standard deviations."""


@dataclass(frozen=True, slots=True)
class LexicalLearner:
    """Fits the stage on some of the texts."""

    ngrams: NGrams
    texts: Sequence[str]
    outside: Sequence[str]
    """Texts outside every label; may be empty."""

    def fit(self, texts: Integers, gold: Integers, labels: int, share: float) -> "_FittedStage":
        """Fit a model; see :class:`sprat_training.fitting.heads.Learner`."""
        number = np.full(len(self.texts), -1, np.int64)
        number[texts] = np.arange(len(texts))
        taken = number[self.ngrams.texts] >= 0
        some = NGrams(self.ngrams.hashes[taken], number[self.ngrams.texts[taken]], self.ngrams.is_part[taken])
        return _FittedStage(fit_lexical(some, gold, labels, c=REGULARISATION_C / share), self)


@dataclass(frozen=True, slots=True)
class _FittedStage:
    model: LexicalModel
    learner: LexicalLearner

    def logits(self, texts: Integers) -> Floats:
        return self.model.logits([self.learner.texts[place] for place in texts])

    def logits_outside(self) -> Floats:
        return self.model.logits(self.learner.outside)


@dataclass(frozen=True, slots=True)
class LexicalGate:
    """From which chance on the stage answers, and what that does; shares are of the texts of the cross-validation."""

    answers_from: float
    share: float
    """Of the texts with a label: the stage answers so many."""
    outside_share: float
    """Of the texts outside every label: the stage answers so many, all wrongly."""
    error: float
    """Of the texts with a label that it answers: so many wrongly."""
    encoder_error: float
    """Of the same texts: for so many the encoder's best label is wrong."""
    excess: float
    """Of all traffic: so much more is kept wrong than with the encoder alone."""
    sure: float
    """The excess is at most this with 95 % confidence, one-sided."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What both stages say of texts that neither was fitted on, or of texts outside: one entry per text."""

    chance: Doubles
    """The stage's, that its label is right."""
    wrong: Flags
    """The label of the stage is wrong."""
    encoder_wrong: Doubles
    """1 where the encoder's label is wrong."""
    encoder_kept_wrong: Doubles
    """1 where the encoder's answer is wrong and kept; between, where several heads have read the text."""


def find_gate(inside: Compared, outside: Compared, groups: Integers, outside_share: float) -> LexicalGate | None:
    """Return the gate with the largest share that is sure to keep the margin; None where that share is too small.

    The chances are tried from 1 downwards until one fails, so that trying many needs no correction.

    Args:
        inside: texts with a label.
        outside: texts outside every label.
        groups: of each text outside; texts of one group are no independent cases.
        outside_share: assumed share of the traffic outside.
    """
    found = None
    inside_weight = (1 - outside_share if len(outside.chance) else 1.0) / len(inside.chance)
    outside_weight = outside_share / max(len(outside.chance), 1)
    _, groups = np.unique(groups, return_inverse=True)
    for step in range(_STEPS - 1, int(_MOST_LIKELY_RIGHT * _STEPS) - 1, -1):
        least = step / _STEPS
        answered, taken = inside.chance >= least, outside.chance >= least
        within = inside_weight * answered * (inside.wrong - inside.encoder_kept_wrong)
        beyond = np.bincount(groups, outside_weight * taken * (outside.wrong - outside.encoder_kept_wrong))
        excess = float(within.sum() + beyond.sum())
        # One more wrong answer than was seen: none among few texts proves little.
        variance = float((within**2).sum()) + inside_weight**2
        if len(beyond) > 1:
            variance += float(((beyond - beyond.mean()) ** 2).sum()) * len(beyond) / (len(beyond) - 1)
        sure = excess + _Z_ONE_SIDED * variance**0.5
        if sure > MARGIN:
            break
        if answered.any():
            found = LexicalGate(
                answers_from=least,
                share=float(answered.mean()),
                outside_share=float(taken.mean()) if len(taken) else 0.0,
                error=float(inside.wrong[answered].mean()),
                encoder_error=float(inside.encoder_wrong[answered].mean()),
                excess=excess,
                sure=sure,
            )
    return found if found is not None and found.share >= LEAST_SHARE else None


@dataclass(frozen=True, slots=True)
class PassedOn:
    """What both say of the texts that the stage passes on, none of which either was fitted on."""

    encoder: Floats
    """Logits of texts with a label, texts × labels."""
    words: Floats
    """The stage's."""
    gold: Integers
    encoder_outside: Floats
    """Logits of texts outside every label."""
    words_outside: Floats
    outside_share: float
    """Of the traffic that is passed on."""


def fit_evidence(passed_on: PassedOn) -> tuple[float, LabelCalibrator]:
    """Return the weight of the stage's logits beside the encoder's, and the calibration of the sums.

    It is the weight with which the calibrated chances of right, wrong and outside have the least log-loss.
    """
    tried = []
    for evidence in _EVIDENCE:
        inside = passed_on.encoder + np.float32(evidence) * passed_on.words
        outside = passed_on.encoder_outside + np.float32(evidence) * passed_on.words_outside
        raw = np.concatenate([features(inside), features(outside)])
        right = inside.argmax(axis=1) == passed_on.gold
        calibrator = fit_calibrator(raw[: len(right)], right, raw[len(right) :], passed_on.outside_share)
        outcome = np.concatenate([np.where(right, RIGHT, WRONG), np.full(len(outside), OUTSIDE)])
        losses = -np.log(np.maximum(calibrator.chances(raw), _LEAST_CHANCE)[np.arange(len(raw)), outcome])
        share = passed_on.outside_share
        loss = (1 - share) * losses[: len(right)].mean() + share * losses[len(right) :].mean()
        tried.append((float(loss), evidence, calibrator))
    _, evidence, calibrator = min(tried, key=lambda each: each[0])
    return evidence, calibrator


def passed_on_share(answered: Flags, outside_answered: Flags, outside_share: float) -> float:
    """Return the share outside every label of the traffic that the stage passes on; 0 where it passes nothing on."""
    inside = (1 - outside_share) * float((~answered).mean())
    outside = outside_share * float((~outside_answered).mean()) if len(outside_answered) else 0.0
    return outside / max(inside + outside, 1e-9)


@dataclass(frozen=True, slots=True)
class LexicalFit:
    """A stage that pays, and what it and the encoder behind it say of texts that neither was fitted on."""

    model: LexicalModel
    card: LexicalCard
    gate: LexicalGate
    best: Integers
    """For each text the likeliest label by the stage."""
    chances: Doubles
    """For each text the stage's chances, texts × outcomes."""
    answered: Flags
    """For each text whether the stage answers it."""
    outside_chances: Doubles
    """For each row of the encoder's texts outside, the stage's chances."""
    outside_answered: Flags
    calibrator: LabelCalibrator
    """Of the stage."""
    passed_on: LabelCalibrator
    """Of the encoder, for the texts that the stage passes on."""


def fit_lexical_stage(
    texts: Sequence[str],
    gold: Integers,
    labels: int,
    outside: Sequence[str],
    folds: Integers,
    encoder: HeldOut,
    calibrator: LabelCalibrator,
    keep_at: float,
    outside_share: float,
    languages: tuple[str, ...],
    progress: OnTrainingProgress,
) -> LexicalFit | None:
    """Fit the stage and find its gate; None where it does not pay.

    Args:
        texts: with a label.
        gold: index of each text's label.
        labels: how many labels there are.
        outside: texts outside every label; where there are none, labels are hidden, as for the head.
        folds: of the texts, for the cross-validation of the stage.
        encoder: what held-out heads say of the same texts.
        calibrator: of the heads.
        keep_at: from which confidence on an answer of the encoder alone is kept.
        outside_share: assumed share of the traffic outside.
        languages: of the texts.
        progress: is called after each fit.
    """
    ngrams = read_ngrams(texts)
    models: list[LexicalModel] = []
    groups = _LABEL_GROUPS[len(ngrams.hashes) * labels > _MANY]
    said = hold_out(
        LexicalLearner(ngrams, texts, outside),
        gold,
        labels,
        folds,
        min(groups, labels),
        progress,
        outside=len(outside),
        first=lambda: models.append(fit_lexical(ngrams, gold, labels)),
        step="fitting the lexical stage",
    )
    best = said.logits.argmax(axis=1)
    own = fit_calibrator(said.inside, best == gold, said.outside, outside_share)
    chances = own.chances(said.inside)
    by_encoder, outside_by_encoder = calibrator.chances(encoder.inside), calibrator.chances(encoder.outside)
    encoder_wrong = encoder.logits.argmax(axis=1) != gold
    kept = by_encoder[:, RIGHT] >= keep_at
    kept_outside = (outside_by_encoder[:, RIGHT] >= keep_at).astype(float)
    count = len(texts) if encoder.labels_held_out else len(outside)
    outside_chances = _mean_by_text(own.chances(said.outside), said.outside_texts, count)
    kept_wrong = _mean_by_text(kept_outside[:, None], encoder.outside_texts, count)[:, 0]
    read = np.bincount(said.outside_texts, minlength=count) > 0
    gate = find_gate(
        Compared(chances[:, RIGHT], best != gold, encoder_wrong.astype(float), (encoder_wrong & kept).astype(float)),
        Compared(outside_chances[read, RIGHT], np.ones(read.sum(), bool), kept_wrong[read], kept_wrong[read]),
        gold[read] if encoder.labels_held_out else np.flatnonzero(read),
        outside_share,
    )
    if gate is None:
        return None
    answered = chances[:, RIGHT] >= gate.answers_from
    of_rows = outside_chances[encoder.outside_texts]
    outside_answered = of_rows[:, RIGHT] >= gate.answers_from
    all_answered = bool(answered.all())
    passed_on = (
        calibrator if all_answered else _calibrate_rest(encoder, gold, answered, outside_answered, outside_share)
    )
    return LexicalFit(
        models[0],
        _describe(gate, own, passed_on, languages),
        gate,
        best,
        chances,
        answered,
        of_rows,
        outside_answered,
        own,
        passed_on,
    )


def _calibrate_rest(
    encoder: HeldOut, gold: Integers, answered: Flags, outside_answered: Flags, outside_share: float
) -> LabelCalibrator:
    """Return the calibration of the encoder for the texts that the stage passes on: of these more are outside."""
    inside, outside = ~answered, ~outside_answered
    right = encoder.logits.argmax(axis=1) == gold
    share = passed_on_share(answered, outside_answered, outside_share)
    return fit_calibrator(encoder.inside[inside], right[inside], encoder.outside[outside], share)


def _mean_by_text(rows: Doubles, texts: Integers, count: int) -> Doubles:
    """Return the mean of the rows of each text; zeros for a text without."""
    read = np.maximum(np.bincount(texts, minlength=count), 1)
    return np.stack([np.bincount(texts, column, count) / read for column in rows.T], axis=1)


def _describe(
    gate: LexicalGate, own: LabelCalibrator, passed_on: LabelCalibrator, languages: tuple[str, ...]
) -> LexicalCard:
    return LexicalCard(
        reader=LEXICAL_READER,
        languages=languages,
        answers_from=gate.answers_from,
        rule=(
            f"the least thousandth from which on at most {MARGIN:.1%} more of the traffic is kept wrong than with the "
            f"encoder alone, with 95 % confidence, on held-out texts; it answers {gate.share:.1%} of the texts with a "
            f"label, {gate.error:.2%} of them wrongly (the encoder: {gate.encoder_error:.2%}), and "
            f"{gate.outside_share:.1%} of those outside"
        ),
        calibration=own.parameters(),
        evidence=0.0,
        passed_on=passed_on.parameters(),
    )
