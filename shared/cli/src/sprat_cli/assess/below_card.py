"""What `sprat assess` says of a `keep_at` below that of the card which its texts do not show."""

from dataclasses import dataclass

from sprat_cli.which_keep_at import CardKeepAt, KeepAtInForce, keep_at_advice
from sprat_policy import KeepAtSource
from sprat_training.evaluation.report import shown
from sprat_training.evaluation.routing import Assessment, ThresholdChoice
from sprat_training.keep_at import Recommendation, lowers_unshown
from sprat_training.record import TrainingRecord


@dataclass(frozen=True, slots=True)
class BelowCard:
    """A provisional `keep_at` below that of the card: that of the card goes before it."""

    found: float
    card: CardKeepAt
    in_force: float | None
    """That of the task's file or of the policy; None where there is none."""
    place: str
    """Where that of the model stands, or is to be written."""
    by_budget: bool
    """Whether a budget chose it: then no accuracy was asked for, and none is shown."""
    more_may_show: bool = True
    """Whether texts that somebody can have would show the accuracy."""
    shown: KeepAtSource | None = None
    """What stands behind the one in force, where it was shown for this version and as high an accuracy."""
    beside: str = ""
    """What the card's gives on these texts beside the one found, where a frontier takes part; else empty."""
    shown_for: KeepAtSource | None = None
    """What stands behind the one in force, where it was shown for this version, but not for what is asked for here."""
    missed: str | None = None
    """That at the card's fewer of all answers are right here than was asked for, and than at the one found."""

    def __str__(self) -> str:
        if self.by_budget:
            return (
                "Provisional: a budget asks for no accuracy, and none is shown. The keep_at of the card is higher, "
                f"{self.card.value:.2f}, and may cost more. A file with --accuracy may show a lower one."
            )
        if self.missed is not None:
            return (
                f"The keep_at of the card is higher, {self.card.value:.2f}, but {self.missed}: the frontier gets fewer "
                f"right than what is kept. So neither is shown: assess with more texts, or write {self.found:.2f} all "
                "the same, with --write --force."
            )
        higher = f"The keep_at of the card is higher, {self.card.value:.2f}."
        beside = self.beside if self.shown is None else ""
        more = " More texts may show a lower one." if self.more_may_show else ""
        return f"{higher} {self._advice}.{beside}{more}"

    @property
    def _advice(self) -> str:
        if self.shown is not None:
            return f"{self.in_force:.2f} is in force, shown for this version ({self.shown}), so there is nothing to do"
        in_force = None if self.in_force is None else KeepAtInForce(self.in_force)
        advice = keep_at_advice(in_force, self.card, self.place, assessed=False)
        if advice is None:
            return "It is in force, so there is nothing to do"
        other = ""
        if self.shown_for is not None:
            other = f"; that was shown for this version ({self.shown_for.asked}), not for what is asked for here"
        return f"{advice.said[0].upper()}{advice.said[1:]}{other}"

    @property
    def to_write(self) -> float | None:
        """Return what `--write` writes: the card's, unless what is in force is at least that, or shown; else None.

        The card's may cost more than a budget, or miss the accuracy here, so there is nothing to write then.
        """
        stays = self.in_force is not None and round(self.in_force, 2) >= round(self.card.value, 2)
        held = self.by_budget or self.missed is not None or self.shown is not None
        return None if held or stays else self.card.value

    @property
    def why_card(self) -> str:
        """Return why `--write` writes the card's."""
        return f"that of the card; {self.found:.2f}, found here, is lower and provisional"

    @property
    def why_nothing(self) -> str | None:
        """Return why `--write` writes nothing; None where it writes the card's."""
        if self.to_write is not None:
            return None
        if self.by_budget:
            return (
                f"nothing is written: {self.found:.2f} is lower than the keep_at of the card and its accuracy is not "
                f"shown, and {self.card.value:.2f}, the card's, may cost more than the budget; --force writes "
                f"{self.found:.2f}"
            )
        if self.missed is not None:
            found = f"{self.found:.2f}"
            return f"nothing is written: {found} is provisional, and {self.missed}; --force writes {found}"
        this = "" if self.shown is None else ", shown for this version"
        return (
            f"nothing is written: {self.found:.2f} is provisional and lower than the keep_at of the card, and "
            f"{self.in_force:.2f} is in force{this}; --force writes {self.found:.2f}"
        )


def below_card(
    assessment: Assessment,
    choice: ThresholdChoice | None,
    of_card: CardKeepAt,
    in_force: float | None,
    place: str,
    source: KeepAtSource | None,
) -> BelowCard | None:
    """Return the `keep_at` found where it is lower than that of the card and not shown; None where that is not so.

    Args:
        assessment: in which it was found.
        choice: what was found.
        of_card: the `keep_at` of the card.
        in_force: that of the task's file or of the policy; None where there is none.
        place: where that of the model stands, or is to be written.
        source: what stands behind the one in force.
    """
    if choice is None:
        return None
    found, keep_at = choice.recommended, choice.chosen.keep_at
    if not lowers_unshown(keep_at, of_card.value, is_shown=found is not None and found.is_shown):
        return None
    more_may_show = found is None or found.is_within_reach
    shown = source if source is not None and source.shows(of_card.version) else None
    source = shown if shown is not None and is_for(shown, found, assessment) else None
    shown_for = None if source is not None else shown
    missed = _missed_by_card(assessment, choice)
    beside = _beside(assessment, choice)
    return BelowCard(keep_at, of_card, in_force, place, found is None, more_may_show, source, beside, shown_for, missed)


def _beside(assessment: Assessment, choice: ThresholdChoice) -> str:
    """Return what the card's `keep_at` gives on these texts beside the one found; nothing without a frontier."""
    of_card, chosen = assessment.named.get("card"), choice.chosen
    if of_card is None or assessment.small_only:
        return ""
    there, here = of_card.result, chosen.result
    costs = f"{there.escalated:.0%} escalated in place of {here.escalated:.0%}"
    if assessment.costs_known:
        costs = f"{there.eur_per_million.value:.2f} in place of {here.eur_per_million.value:.2f} EUR per million texts"
    right, now = f"{there.accuracy.value:.1%}", f"{here.accuracy.value:.1%}"
    in_place = f"right, as at {chosen.keep_at:.2f}," if right == now else f"right in place of {now},"
    return (
        f" Here it gets {right} of all answers {in_place} for {costs}. Neither is shown, so the one that keeps less "
        f"goes first; --write --force writes {chosen.keep_at:.2f}."
    )


def _missed_by_card(assessment: Assessment, choice: ThresholdChoice) -> str | None:
    """Return that the card's `keep_at` misses the accuracy here, as the frontier is right less often than what is kept.

    Keeping less is the safe side only where the frontier gets more right.
    """
    found, of_card = choice.recommended, assessment.named.get("card")
    if found is None or of_card is None or assessment.small_only:
        return None
    there, here = of_card.result.accuracy.value, choice.chosen.result.accuracy.value
    if there >= found.accuracy or there >= here:
        return None
    return (
        f"at {of_card.keep_at:.2f} only {there:.1%} of all answers are right here, less than the {found.accuracy:.1%} "
        f"asked for, and {here:.1%} at {choice.chosen.keep_at:.2f}"
    )


def is_for(source: KeepAtSource, found: Recommendation | None, assessment: Assessment) -> bool:
    """Return whether as high an accuracy was asked for as now, of the same answers."""
    if found is None or source.accuracy is None or source.of_all == assessment.small_only:
        return False
    return source.accuracy >= found.accuracy


def lower_than_card(
    assessment: Assessment, choice: ThresholdChoice, of_card: float, record: TrainingRecord | None
) -> list[str]:
    """Return how a `keep_at` that is written, and lower than that of the card, differs from it; else nothing.

    Args:
        assessment: in which it was found.
        choice: what was found.
        of_card: the `keep_at` of the card.
        record: what the model remembers of its training, such as the accuracy that was asked for there.
    """
    chosen = choice.chosen
    if chosen.keep_at >= of_card:
        return []
    asked = "" if record is None else f", which is for {record.reading.accuracy:.1%} of the kept answers right"
    lower = f"{chosen.keep_at:.2f} is lower than {of_card:.2f}, that of the card{asked}"
    here = f"here {shown(chosen.result.right_of_kept)} of those kept are right"
    of_all = "; --accuracy is of all answers, the frontier's included"
    return [f"{lower}; {here}{'' if assessment.small_only or choice.recommended is None else of_all}"]
