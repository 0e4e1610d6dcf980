"""Certify a served version from reviews of what it kept: a random share of live traffic, drawn by a keyed hash.

Only draws that had the same chance count, whatever their text: those with a hash below the smallest share that applied
in the period. What was kept is all that is known, so nothing below the served threshold is certified, and nothing is
estimated.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from sprat.base.errors import UserError
from sprat.base.review_tokens import is_drawn
from sprat_contracts import ReviewAsked, ReviewClosed
from sprat_contracts.reviews import BY_TIER, RIGHT, TEXT
from sprat_contracts.thresholds import NONE, SOME, Thresholds
from sprat_training.evaluation.decision import Goal
from sprat_training.evaluation.evaluate import (
    check_unchanged,
    measured_of,
    store,
    thresholds_before,
    why_nothing_certified,
)
from sprat_training.evaluation.models import SmallModel
from sprat_training.thresholds import Purpose, Rows
from sprat_training.thresholds.certified import rows_that_certify
from sprat_training.thresholds.levels import measure_now, right_of

HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * HOUR_MS
_LATE_MS: Final = 60_000
"""A draw of the last moment of an hour is on its topic at most so late in the next one."""

Draw = tuple[str, str, str]
"""Source, id and task of a text."""


@dataclass(frozen=True, slots=True)
class Period:
    """From one moment to before another, epoch milliseconds."""

    since: int
    until: int

    def has(self, at: int) -> bool:
        """Return whether a moment is in it."""
        return self.since <= at < self.until


@dataclass(slots=True)
class DrawsOfTask:
    """The draws of one task, from their logs in any order of the two: how each ended, and those that are open."""

    task: str
    closed: dict[Draw, ReviewClosed] = field(default_factory=dict)
    """The first record of each."""
    disputed: set[Draw] = field(default_factory=set)
    """Draws with a second answer that differs."""
    asked: dict[Draw, tuple[ReviewAsked, int]] = field(default_factory=dict)
    """Those that are still on their topic, with the time of the draw."""

    def close(self, record: ReviewClosed) -> None:
        """Take a record of how a draw ended."""
        draw = (record.text_source, record.text_id, record.task)
        if record.disputed:
            self.disputed.add(draw)
        elif record.task == self.task:
            self.closed.setdefault(draw, record)

    def ask(self, record: ReviewAsked, drawn_at: int) -> None:
        """Take a draw."""
        prediction = record.prediction
        if prediction.task == self.task:
            draw = (prediction.text_source, prediction.text_id, prediction.task)
            self.asked.setdefault(draw, (record, drawn_at))

    def open_in(self, period: Period, version: str) -> int:
        """Return how many draws of a version in a period have not ended."""
        return sum(
            draw not in self.closed
            and period.has(at)
            and (record.prediction.model is not None and record.prediction.model.version == version)
            for draw, (record, at) in self.asked.items()
        )

    def smallest_share(self, period: Period) -> float:
        """Return the smallest share that applied in a period, as its draws and those of the day after say."""
        until = period.until + _DAY_MS
        shares = [
            *((each.drawn_at, each.share, each.least_share) for each in self.closed.values()),
            *((at, each.share, each.least_share) for each, at in self.asked.values()),
        ]
        return min((min(pair) for at, *pair in shares if period.since <= at < until), default=1.0)

    def full_hours(self) -> set[int]:
        """Return the hours in which a router drew nothing more, counted from the epoch."""
        ends = [each.drawn_at for each in self.closed.values() if each.full]
        ends += [at for each, at in self.asked.values() if each.full]
        return {at // HOUR_MS for end in ends for at in (end, end - _LATE_MS)}


@dataclass(frozen=True, slots=True)
class ReviewedDraws:
    """The draws that certify, and what is left out."""

    period: Period
    """From the last change of the thresholds on."""
    rows: Rows
    verdicts: Counter[str]
    """Of the rows; a disputed one is `disputed`."""
    full: int
    """Draws of hours that were full."""
    above: int
    """Draws with a hash above the smallest share."""
    share: float
    served: float
    """The highest threshold that was served in any cell."""


@dataclass(frozen=True, slots=True)
class ReviewEvaluation:
    """What reviews say of a version, and what `write` writes."""

    model: SmallModel
    goal: Goal
    draws: ReviewedDraws
    thresholds: Thresholds | None
    """Those that the reviews certify, else those so far."""
    before: Thresholds | None
    notes: tuple[str, ...]

    @property
    def is_certified(self) -> bool:
        """Return whether these reviews have certified something."""
        found = self.thresholds
        return found is not None and found is not self.before and found.certified_by is found.measurements[-1]

    def write(self) -> Path | None:
        """Replace the thresholds beside the model; return their file, None where nothing has changed.

        An attempt that certified nothing is written, too: the next one may spend less.

        Raises:
            UserError: the file cannot be written, or it was measured anew meanwhile, or the version was replaced.
        """
        if self.thresholds is None or self.thresholds is self.before:
            return None
        self.model.check_version()
        path = self.model.thresholds
        check_unchanged(path, thresholds_before(self.model)[0], self.before)
        return store(path, self.thresholds)


def evaluate_reviews(
    found: DrawsOfTask, model: SmallModel, goal: Goal, period: Period, *, certify: bool, force: bool = False
) -> ReviewEvaluation:
    """Return what the reviews of a period say of a version.

    Args:
        found: the draws of its task.
        model: the version that was served.
        goal: named before.
        period: named before.
        certify: whether they certify: that is an attempt, so it is to be written.
        force: also where the certificate so far rests on more rows, or nothing was measured before.

    Raises:
        UserError: there is no review of the version in the period, some have not ended, a tier has answered them, or
            a certificate would rest on fewer rows, or nothing was measured before.
    """
    before, problem = thresholds_before(model)
    draws = select(found, model.card.version, before, period)
    certifying = len(rows_that_certify(draws.rows))
    if certify and not force and before is None:
        raise UserError(
            f"{problem or f'{model.name} has no thresholds'}: reviews of what was kept estimate nothing, and a policy "
            "that asks for `estimated` would keep nothing; measure it first, with sprat evaluate FILE --write, or "
            "--force; no attempt was made"
        )
    old = None if before is None else before.certificate
    if certify and not force and old is not None and old.rows > certifying:
        raise UserError(
            f"{model.thresholds}: its certificate rests on {old.rows:,} rows, these reviews are {certifying:,}; "
            "--force replaces it all the same; no attempt was made"
        )
    goals = {each for each in (goal.accuracy, goal.of_none) if each is not None and each <= 1}
    since = draws.period.since
    purpose = Purpose(tuple(sorted(goals)), "reviews", can_be_outside=False, drawn_since=since)
    of = measured_of(model)
    if before is not None:
        of = replace(of, recommended_goal=before.recommended_goal)
    notes = [problem] if problem else []
    if not certify:
        notes.append("nothing is certified without --write: each certificate that is looked at is an attempt")
        return ReviewEvaluation(model, goal, draws, before, before, tuple(notes))
    thresholds = measure_now(draws.rows, of, right_of(model.card), purpose, before, by="reviews")
    evaluation = ReviewEvaluation(model, goal, draws, thresholds, before, ())
    if thresholds is before:
        notes.append("these reviews were measured before, so nothing changes")
    elif not evaluation.is_certified:
        nothing = thresholds.model_copy(update={"certificate": None})
        notes += why_nothing_certified(draws.rows, purpose, nothing)
    return replace(evaluation, notes=tuple(notes))


def select(found: DrawsOfTask, version: str, thresholds: Thresholds | None, period: Period) -> ReviewedDraws:
    """Return the draws of a version in a period that had the same chance, each as it ended.

    Raises:
        UserError: there is none, some have not ended, or a tier has answered some.
    """
    period = Period(max(period.since, _changed(thresholds)), period.until)
    if left := found.open_in(period, version):
        raise UserError(
            f"{left:,} draws of the period have no end yet, and without them the others are no random share: name an "
            "earlier end with --period, as 30d..3d"
        )
    own = [
        (draw, each)
        for draw, each in found.closed.items()
        if each.model is not None
        and each.model.version == version
        and period.has(each.drawn_at)
        and each.judged == TEXT  # what was kept by its names would not have been as a whole: it is not of these rows
    ]
    if not own:
        raise UserError(
            f"no review of version {version} was drawn between {_day(period.since)} and {_day(period.until)}"
        )
    _refuse_tiers([each for _, each in own])
    full, share = found.full_hours(), found.smallest_share(period)
    in_time = [(draw, each) for draw, each in own if each.drawn_at // HOUR_MS not in full]
    counted = [(draw, each) for draw, each in in_time if is_drawn(each.hash, share)]
    verdicts = ["disputed" if draw in found.disputed else each.verdict for draw, each in counted]
    closed = [each for _, each in counted]
    served = _served(closed, thresholds)
    rows = Rows.of(
        [each.confidence for each in closed],
        [verdict == RIGHT for verdict in verdicts],
        says_none=[each.says == NONE for each in closed],
        languages=[each.cell.language or "" for each in closed],
        certifies=[each.confidence >= served for each in closed],
    )
    left_out = (len(own) - len(in_time), len(in_time) - len(counted))
    return ReviewedDraws(period, rows, Counter(verdicts), *left_out, share, served)


def _refuse_tiers(closed: Sequence[ReviewClosed]) -> None:
    """Check that people have reviewed: what a tier says is agreement, no accuracy.

    Raises:
        UserError: a tier has.
    """
    by_tier: dict[str, Counter[str]] = {}
    for each in closed:
        if each.by is not None and each.by.startswith(BY_TIER):
            by_tier.setdefault(each.by.removeprefix(BY_TIER), Counter())[each.verdict] += 1
    if by_tier:
        said = ", ".join(
            f"agreement with {name}: {verdicts[RIGHT]:,} of {verdicts.total():,}" for name, verdicts in by_tier.items()
        )
        raise UserError(f"{said}. A model that agrees may be wrong as well: reviews by people alone certify")


def _served(closed: Sequence[ReviewClosed], thresholds: Thresholds | None) -> float:
    """Return the highest threshold that was served: below it, not all answers had the chance to be drawn.

    Where no threshold is known, of a fixed `keep_at`, it is the least confidence that was drawn there.
    """
    least: dict[tuple[object, ...], float] = {}
    for each in closed:
        place = (each.cell.language, each.says, each.goal, each.evidence)
        known = None
        if thresholds is not None and each.goal is not None and each.evidence is not None:
            said = NONE if each.says == NONE else SOME
            known = thresholds.threshold(each.goal, each.evidence, each.cell.language or "", said)
        least[place] = known if known is not None else min(each.confidence, least.get(place, 1.0))
    return max(least.values(), default=0.0)


def _changed(thresholds: Thresholds | None) -> int:
    """Return when the thresholds of a file last changed: what was kept before was kept by others."""
    if thresholds is None:
        return 0
    certified, (first, *others) = thresholds.certified_by, thresholds.measurements or (None,)
    # Those of its training came before the version served.
    since = others if first is None or first.by == "train" else [first, *others]
    changes = [each for each in since if each.by != "reviews" or each is certified]
    return max((_ended(each.at) if each.at_ms is None else each.at_ms for each in changes), default=0)


def _ended(day: str) -> int:
    """Return when a day was over, epoch milliseconds."""
    return int((datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)).timestamp() * 1000)


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
