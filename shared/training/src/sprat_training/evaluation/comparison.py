"""Two versions of a model on the same texts: which is better, and is that more than chance?"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from sprat_contracts.kept import least_kept
from sprat_training.evaluation.metrics import Doubles, Flags, Interval, ModelReadings, allow_for_unseen, wilson
from sprat_training.evaluation.routing import f1_of_draws

RESAMPLES: Final = 2_000
_MAX_DRAWN: Final = 25_000_000
"""Numbers held at once, 100 MB. With very many texts fewer resamples are as informative."""
_LEAST_RESAMPLES: Final = 200
LEAST_KEPT: Final = 10
"""Kept texts of each version from which on their shares right are compared: of one text each, all draws are alike."""
Better = Literal["new", "served", "neither"]
Keeps = Literal["more", "less", "alike"]


@dataclass(frozen=True, slots=True)
class VersionAnswers:
    """The answers of one version: one entry per text in each array."""

    right: Flags
    """The answer is right, whether it is kept or not; of a text outside every label: it gets none."""
    kept: Flags
    """The confidence reaches the keep_at of the comparison, the same of both versions."""
    kept_right: Flags
    """Kept, and right as published."""
    called_outside: Flags
    """Has a label, and is kept as outside every label: a part of what is kept and wrong."""
    hits: Doubles | None = None
    """Labels that are right; None where a text has one label at most."""
    named: Doubles | None = None
    """Labels and right labels, together."""

    @classmethod
    def of_all(cls, parts: Sequence["VersionAnswers"]) -> "VersionAnswers":
        """Return the answers to the texts of all parts, one part after the other.

        Args:
            parts: at least one; a text has several labels in all of them or in none.
        """

        def joined(name: str) -> Any:
            arrays = [getattr(part, name) for part in parts]
            return None if arrays[0] is None else np.concatenate(arrays)

        return cls(**{each.name: joined(each.name) for each in fields(cls)})


@dataclass(frozen=True, slots=True)
class Measured:
    """One share of the texts by both versions."""

    name: str
    served: Interval
    new: Interval
    difference: Interval
    """New minus served, with the paired 95 % interval: both versions read the same texts (bootstrap, never a point)."""
    differing: int
    """Texts on which the versions differ."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both versions do with the same texts."""

    texts: int
    right: Measured
    kept_right: Measured
    kept_wrong: Measured
    called_outside: Measured
    escalated: Measured
    right_of_kept: Measured | None = None
    """Of those that a version keeps; None where one of both keeps fewer than `LEAST_KEPT`."""
    micro_f1: Measured | None = None
    """Over all decisions of a label for a text; None where a text has one label at most."""

    @property
    def all(self) -> tuple[Measured, ...]:
        """Return all of them; kept and right, kept and wrong, and escalated add up to 100 %."""
        shares = self.right, self.kept_right, self.kept_wrong, self.called_outside, self.escalated
        return *shares, *(each for each in (self.right_of_kept, self.micro_f1) if each is not None)

    @property
    def better(self) -> Better:
        """Return which version gets more texts right, where the interval of the difference excludes 0."""
        if self.right.difference.low > 0:
            return "new"
        return "served" if self.right.difference.high < 0 else "neither"

    @property
    def keeps(self) -> Keeps:
        """Return whether the new version keeps more right answers, or fewer, where the interval excludes 0."""
        return _change(self.kept_right)

    @property
    def kept_are_right(self) -> Keeps:
        """Return whether more of what the new version keeps is right, or less, where the interval excludes 0."""
        return "alike" if self.right_of_kept is None else _change(self.right_of_kept)

    @property
    def is_worse(self) -> bool:
        """Return whether the new version gets clearly fewer texts right, or no more of them and keeps worse.

        It keeps worse in two cases: clearly less that is right is kept; or as much, and clearly less of what is kept is
        right. One that keeps clearly less, and nothing at all, is worse however many it gets right: nobody sees its
        answers.
        """
        less = self.keeps == "less" and (self.better == "neither" or self.keeps_nothing)
        wrong = self.kept_are_right == "less" and self.keeps == "alike" and self.better == "neither"
        return self.better == "served" or less or wrong

    @property
    def keeps_nothing(self) -> bool:
        """Return whether the new version keeps none of the texts."""
        return self.escalated.new.value == 1

    @property
    def neither_keeps(self) -> bool:
        """Return whether no version keeps any of the texts: then they show nothing at the keep_at of the comparison."""
        return self.keeps_nothing and self.escalated.served.value == 1


def _change(measured: Measured) -> Keeps:
    if measured.difference.low > 0:
        return "more"
    return "less" if measured.difference.high < 0 else "alike"


def answers_of(readings: ModelReadings, keep_at: float) -> VersionAnswers:
    """Return what a model's answers are worth.

    Args:
        readings: of the texts, those outside every label among them.
        keep_at: the threshold of the comparison.
    """
    kept = readings.confidence >= least_kept(keep_at)
    return VersionAnswers(readings.right, kept, kept & readings.right, kept & readings.in_scope & readings.is_rejected)


def set_answers_of(said: Flags, gold: Flags, confidence: Doubles, keep_at: float) -> VersionAnswers:
    """Return what the answers of a model are worth that gives a text several labels: right is the whole set.

    Args:
        said: texts × labels, whether the model gives the label.
        gold: texts × labels, whether the label applies.
        confidence: of the whole set of each text.
        keep_at: the threshold of the comparison.
    """
    right, kept = (said == gold).all(axis=1), confidence >= least_kept(keep_at)
    none = kept & gold.any(axis=1) & ~said.any(axis=1)
    hits = (said & gold).sum(axis=1).astype(np.float64)
    named = (said.sum(axis=1) + gold.sum(axis=1)).astype(np.float64)
    return VersionAnswers(right, kept, kept & right, none, hits, named)


@dataclass(frozen=True, slots=True)
class _Draws:
    """How often each text is drawn, and which texts are drawn together."""

    weights: NDArray[np.float32]
    """Draws × texts; those of a draw add up to 1."""
    groups: NDArray[np.int64]

    def cases(self, counted: Flags) -> int:
        """Return how many independent cases some texts are."""
        return len(np.unique(self.groups[counted]))


def compare(
    served: VersionAnswers, new: VersionAnswers, *, groups: NDArray[np.int64] | None = None, seed: int = 0
) -> Comparison:
    """Compare two versions on the same texts.

    Intervals of shares are Wilson's, those of differences and of micro-F1 a bootstrap over the texts, widened by
    :func:`allow_for_unseen`: versions that answer all texts alike may differ on others, and those that answer few texts
    differently may do so by chance. Of two equally good versions that differ on 10 to 50 % of the texts, one is called
    better in what is right never with 2 or 3 texts, in 0 to 2 % of cases with 4 and 5, and in 0 to 7 % with 6 to 60
    (exact, one label a text); more often where they differ on nearly all, in 18 % with 9. In micro-F1 of 4 labels it is
    0 to 6 % with 2 to 60 texts (1,000 simulated comparisons each).

    Args:
        served: answers of the one.
        new: answers of the other.
        groups: of each text the number of its group, from 0: texts of one group, as doubles, are no independent cases,
            and are drawn together. None where each is a case of its own.
        seed: of the resamples.
    """
    count = len(new.right)
    numbers = np.arange(count) if groups is None else groups
    cases, resamples = int(numbers.max()) + 1, max(min(RESAMPLES, _MAX_DRAWN // count), _LEAST_RESAMPLES)
    drawn = np.random.default_rng(seed).multinomial(cases, np.full(cases, 1 / cases), resamples).astype(np.float32)
    weights = drawn[:, numbers]
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)
    draws = _Draws(weights, numbers)

    def measured(name: str, old: Flags, young: Flags) -> Measured:
        return _measured(name, old, young, draws)

    return Comparison(
        count,
        measured("right", served.right, new.right),
        measured("kept and right", served.kept_right, new.kept_right),
        measured("kept and wrong", served.kept & ~served.kept_right, new.kept & ~new.kept_right),
        measured("of these called outside", served.called_outside, new.called_outside),
        measured("escalated", ~served.kept, ~new.kept),
        _right_of_kept(served, new, draws),
        _micro_f1(served, new, draws),
    )


def _right_of_kept(served: VersionAnswers, new: VersionAnswers, draws: _Draws) -> Measured | None:
    """Return the share right of what each version keeps, on the same draws; None where one of both keeps too few."""
    if min(served.kept.sum(), new.kept.sum()) < LEAST_KEPT:
        return None

    def share(answers: VersionAnswers) -> Doubles:
        kept = draws.weights @ answers.kept.astype(np.float32)
        right = draws.weights @ answers.kept_right.astype(np.float32)
        return np.where(kept > 0, right / np.maximum(kept, 1e-9), np.nan)

    before, now = (wilson(int(each.kept_right.sum()), int(each.kept.sum())) for each in (served, new))
    cases = min(draws.cases(served.kept), draws.cases(new.kept))
    change = _difference(now.value - before.value, share(new) - share(served), cases)
    differing = int(((served.kept != new.kept) | (served.kept_right != new.kept_right)).sum())
    return Measured("right of those kept", before, now, change, differing)


def _micro_f1(served: VersionAnswers, new: VersionAnswers, draws: _Draws) -> Measured | None:
    """Return F1 over all decisions of both versions, on the same draws; None where a text has one label at most."""
    if served.hits is None or served.named is None or new.hits is None or new.named is None:
        return None
    texts = len(draws.groups)
    weights = np.vstack([np.full((1, texts), 1 / texts), draws.weights])
    old, young = f1_of_draws(served.hits, served.named, weights), f1_of_draws(new.hits, new.named, weights)
    differing = int(((served.hits != new.hits) | (served.named != new.named)).sum())
    # A text that has no label and gets none says nothing of F1.
    before, now = (
        allow_for_unseen(_of_draws(float(values[0]), values[1:]), draws.cases(named > 0))
        for values, named in ((old, served.named), (young, new.named))
    )
    change = young - old
    cases = draws.cases((served.named > 0) | (new.named > 0))
    return Measured("micro-F1", before, now, _difference(float(change[0]), change[1:], cases), differing)


def _of_draws(value: float, drawn: NDArray[np.floating]) -> Interval:
    """Return a value with the 95 % interval of its draws; those that are no number are left out.

    The ends are without the trace that weights leave which cancel each other, and none is -0.0.
    """
    low, high = np.round(np.nanquantile(drawn, (0.025, 0.975)), 6) + 0.0
    return Interval(value, float(low), float(high))


def _difference(value: float, drawn: NDArray[np.floating], cases: int) -> Interval:
    """Return a paired difference with its 95 % interval, which is never a point; see :func:`allow_for_unseen`.

    Either version may be the better one on cases that were not seen.

    Args:
        value: the difference of two shares.
        drawn: the same of each draw.
        cases: how many independent ones the shares are of.
    """
    return allow_for_unseen(_of_draws(value, drawn), cases, -1.0, 1.0)


def _measured(name: str, served: Flags, new: Flags, draws: _Draws) -> Measured:
    change = new.astype(np.float32) - served
    return Measured(
        name,
        wilson(int(served.sum()), len(served)),
        wilson(int(new.sum()), len(new)),
        _difference(float(change.mean()), draws.weights @ change, draws.cases(np.ones_like(served))),
        int((change != 0).sum()),
    )
