"""Which kept answers are drawn for review: a share of all, by a keyed hash, within the policy's number a day.

Each router instance has the part of its own partitions, an hour of the clock at a time. Where the last hour kept more
than the hour's part allows at the policy's share, it lowers the share for the next one. Tenants share the hour's part
as evenly as they need it, and where the policy names tenants none of them gets more than half. Where what is kept has
grown so much that twice the part was drawn, nothing more is drawn in that hour, and the last draw says so. An hour that
an instance begins late ends with the part of what is left of it: the instance may have drawn in it before it started.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from sprat.base.review_tokens import ReviewTokens, cell_of, is_drawn
from sprat_contracts import Prediction, ReviewAsked, ReviewCell
from sprat_policy import KeepRule, ReviewPolicy
from sprat_router.decisions import RouteDecision

ALL_OTHERS: Final = "default"
"""The tenants that the policy does not name, together."""
HOUR_S: Final = 3_600
_DAY_HOURS: Final = 24
_MOST_PARTS: Final = 2.0
"""So many parts end a whole hour."""
_LEAST_STOP: Final = 3
"""Fewer draws never end an hour: with a small part, chance alone would end most hours."""
_LEAST_LEFT_S: Final = 60.0
"""Of an hour that an instance begins late: what it keeps in less time says too little of a whole hour."""


@dataclass(frozen=True, slots=True)
class DrawnAnswer:
    """A kept answer that is drawn."""

    hash: str
    share: float
    least_share: float
    full: bool


def fair_parts(wanted: Mapping[str, float], part: float, most: float) -> dict[str, float]:
    """Return what each gets of a part: no more than it wants, no more than `most`, and else all the same."""
    parts: dict[str, float] = {}
    left = part
    for place, name in enumerate(sorted(wanted, key=lambda each: wanted[each])):
        parts[name] = min(wanted[name], most, left / (len(wanted) - place))
        left -= parts[name]
    return parts


def next_shares(review: ReviewPolicy, kept: Mapping[str, float], part: float, most: float) -> dict[str, float]:
    """Return the share of each tenant for an hour.

    Args:
        review: of the policy.
        kept: by tenant, the answers that an hour like the last one keeps.
        part: how many may be drawn in an hour.
        most: how many of one tenant.
    """
    parts = fair_parts({tenant: review.share * count for tenant, count in kept.items() if count}, part, most)
    return {tenant: min(review.share, parts[tenant] / kept[tenant]) for tenant in parts}


@dataclass(slots=True)
class _Hour:
    """What was kept and drawn in one hour of the answers that share a review of the policy."""

    number: int
    began_s: float
    shares: Mapping[str, float] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    hashes: set[str] = field(default_factory=set)
    """Of what was drawn: a text that comes again counts once."""
    ended: set[str | None] = field(default_factory=set)
    """The tenants of which nothing more is drawn; None: nothing at all."""

    def rates(self) -> dict[str, float]:
        """Return what a whole hour like this one keeps, by tenant."""
        return {tenant: count / self._fraction() for tenant, count in self.kept.items()}

    def most_drawn(self, part: float) -> float:
        """Return how many draws of what has a part of a whole hour end this one."""
        fraction = self._fraction()
        return max(part * (_MOST_PARTS if fraction == 1 else fraction), _LEAST_STOP)

    def _fraction(self) -> float:
        """Return how much of the hour was left when the instance began it."""
        return max((self.number + 1) * HOUR_S - self.began_s, _LEAST_LEFT_S) / HOUR_S


@dataclass(slots=True)
class _Least:
    """The least share applied to a task since the last earlier hour with a draw, that whole hour included."""

    hour: int = 0
    """The present one."""
    drawn: bool = False
    """Whether something was drawn in it."""
    present: float = 1.0
    """The least share of it."""
    before: float = 1.0
    """The least share of the last earlier hour with a draw, and of the hours since: of what no draw has told yet."""

    def apply(self, share: float, hour: int) -> None:
        if hour > self.hour:
            self.before = self.present if self.drawn else min(self.before, self.present)
            self.hour, self.drawn, self.present = hour, False, 1.0
        self.present = min(self.present, share)

    def share(self) -> float:
        return min(self.before, self.present)


class Draws:
    """Draws of one router instance.

    Args:
        tokens: make the hash.
        tenants: those that the policy names.
        own_part: returns which part of a task's predictions this instance has, 0 to 1.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        tokens: ReviewTokens,
        tenants: Collection[str],
        own_part: Callable[[str], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens = tokens
        self._tenants = frozenset(tenants)
        self._own_part = own_part
        self._clock = clock
        self._hours: dict[tuple[str, str | None], _Hour] = {}
        """By task, and the model whose own section has the review."""
        self._least: dict[str, _Least] = {}

    def tenant(self, name: str) -> str:
        """Return under which name a tenant is counted."""
        return name if name in self._tenants else ALL_OTHERS

    def cell(self, prediction: Prediction) -> ReviewCell:
        """Return where the errors of an answer are counted."""
        return cell_of(prediction, self.tenant(prediction.submitted.tenant))

    def take(self, prediction: Prediction, rule: KeepRule) -> DrawnAnswer | None:
        """Take a kept answer into account, and return its draw; None where it is not drawn."""
        review = rule.review
        if review is None or review.share == 0:
            return None
        task, named = prediction.task, self.tenant(prediction.submitted.tenant)
        hour = self._hour(review, task, rule.review_model)
        hour.kept[named] += 1
        if named in hour.ended or None in hour.ended:
            return None
        share = hour.shares.get(named, review.share)
        least = self._least.setdefault(task, _Least())
        least.apply(share, hour.number)
        hash_ = self._tokens.hash(prediction.text_source, prediction.text_id, task)
        if not is_drawn(hash_, share):
            return None
        least.drawn = True
        if hash_ not in hour.hashes:
            hour.hashes.add(hash_)
            hour.drawn[named] += 1
        return DrawnAnswer(hash_, share, least.share(), full=self._ends(hour, named, review, task))

    def _hour(self, review: ReviewPolicy, task: str, model: str | None) -> _Hour:
        """Return the present hour; its shares follow from the one before."""
        now = self._clock()
        number = int(now // HOUR_S)
        last = self._hours.get((task, model))
        if last is not None and 0 <= last.number - number <= 1:  # also where the clock was set back over its end
            return last
        hour = _Hour(number, now if last is None else number * HOUR_S)
        if last is not None and last.number == number - 1:
            part = self._part(review, task)
            hour.shares = next_shares(review, last.rates(), part, self._most(part))
        self._hours[task, model] = hour
        return hour

    def _ends(self, hour: _Hour, tenant: str, review: ReviewPolicy, task: str) -> bool:
        """Return whether a tenant's draw is the last one of the hour, of it or of all."""
        part = self._part(review, task)
        if hour.drawn.total() >= hour.most_drawn(part):
            hour.ended.add(None)
        elif hour.drawn[tenant] >= hour.most_drawn(self._most(part)):
            hour.ended.add(tenant)
        return bool(hour.ended)

    def _part(self, review: ReviewPolicy, task: str) -> float:
        return review.per_day / _DAY_HOURS * self._own_part(task)

    def _most(self, part: float) -> float:
        return part / 2 if self._tenants else part

    def asked(self, drawn: DrawnAnswer, prediction: Prediction, decision: RouteDecision, by: str) -> ReviewAsked:
        """Return what asks for the review of a drawn answer.

        Args:
            drawn: its draw.
            prediction: that is kept.
            decision: by which it is kept.
            by: who reviews it.
        """
        source, id, task = prediction.text_source, prediction.text_id, prediction.task
        cell = self.cell(prediction)
        return ReviewAsked(
            prediction=prediction,
            cell=cell,
            goal=decision.goal,
            evidence=decision.evidence,
            level=decision.level,
            judged=decision.judged,
            hash=drawn.hash,
            share=drawn.share,
            least_share=drawn.least_share,
            full=drawn.full,
            by=by,
            token=self._tokens.token(source, id, task, cell, drawn.hash),
        )
