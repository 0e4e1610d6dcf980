"""What `sprat assess` says of a provisional `keep_at` that is not below that of the card: what goes before it."""

from dataclasses import dataclass
from typing import Final

from sprat_cli.assess.below_card import BelowCard, is_for
from sprat_cli.which_keep_at import CardKeepAt, KeepAtInForce, keep_at_advice
from sprat_policy import KeepAtSource
from sprat_training.evaluation.report import shown
from sprat_training.evaluation.routing import Assessment, ThresholdChoice

_BOTH: Final = "where that was on other texts, assess both files at once, which shows more than either"


@dataclass(frozen=True, slots=True)
class NotBelowCard:
    """A provisional `keep_at` that is not written: what is in force goes before it, or that of the card."""

    found: float
    card: CardKeepAt
    in_force: float | None
    """That of the task's file or of the policy; None where there is none."""
    place: str
    """Where that of the model stands, or is to be written."""
    here: str | None
    """How much is right here of what the card's keeps, where that was shown at the training; None where it was not."""
    stays: str | None
    """Why the number in force stays; None where the card's goes before it."""

    def __str__(self) -> str:
        if self.stays is not None:
            return f"{self.in_force:.2f} is in force, {self.stays}."
        lower = (
            f"The keep_at of the card is lower, {self.card.value:.2f}: it was shown at the training, and here "
            f"{self.here} of those that it keeps are right, so nothing speaks against it, and it goes before "
            f"{self.found:.2f}"
        )
        in_force = None if self.in_force is None else KeepAtInForce(self.in_force)
        advice = keep_at_advice(in_force, self.card, self.place, assessed=False)
        said = "it is in force, so there is nothing to do" if advice is None else advice.said
        return f"{lower}. {said[0].upper()}{said[1:]}. More texts may show another one."

    @property
    def to_write(self) -> float | None:
        """Return what `--write` writes: the card's, unless it is in force, or another one that stays; else None."""
        holds = self.in_force is not None and f"{self.in_force:.2f}" == f"{self.card.value:.2f}"
        return None if holds or self.stays is not None else self.card.value

    @property
    def why_card(self) -> str:
        """Return why `--write` writes the card's."""
        return f"that of the card, shown at its training; {self.found:.2f}, found here, is higher and provisional"

    @property
    def why_nothing(self) -> str | None:
        """Return why `--write` writes nothing; None where it writes the card's."""
        if self.to_write is not None:
            return None
        why = "the card's" if self.stays is None else self.stays
        found = f"{self.found:.2f}"
        held = f"{found} is provisional, and {self.in_force:.2f} is in force, {why}"
        return f"nothing is written: {held}; --force writes {found}"


HeldBack = BelowCard | NotBelowCard
"""A provisional `keep_at` that is not written, with what goes before it."""


def not_below_card(
    assessment: Assessment,
    choice: ThresholdChoice | None,
    of_card: CardKeepAt,
    asked_at_training: float | None,
    in_force: float | None,
    place: str,
    source: KeepAtSource | None,
    *,
    by_hand: bool,
) -> NotBelowCard | None:
    """Return what goes before a provisional `keep_at` that is not below that of the card; None where nothing does.

    A number in force goes before it that was shown for this version, for as high an accuracy. So does the card's,
    where the training has shown it for as high an accuracy, and these texts do not contradict it; but it replaces no
    higher one that was found for this version, or that the owner wrote.

    Args:
        assessment: in which it was found.
        choice: what was found.
        of_card: the `keep_at` of the card.
        asked_at_training: the accuracy that was asked for there; None where it is not known.
        in_force: that of the task's file or of the policy; None where there is none.
        place: where that of the model stands, or is to be written.
        source: what stands behind the one in force.
        by_hand: whether the owner wrote it for this model.
    """
    found, beside = None if choice is None else choice.recommended, assessment.named.get("card")
    if choice is None or found is None or found.is_shown or beside is None:
        return None
    ours = source if source is not None and source.version == of_card.version else None
    as_asked = ours is not None and is_for(ours, found, assessment)
    stays: str | None = None
    if ours is not None and as_asked and ours.shows(of_card.version):
        stays = f"shown for this version ({ours}), so there is nothing to do"
        return NotBelowCard(choice.chosen.keep_at, of_card, in_force, place, None, stays)
    kept = beside.result.right_of_kept
    of_training = not of_card.is_provisional and asked_at_training is not None and found.accuracy <= asked_at_training
    higher = round(choice.chosen.keep_at, 2) > round(of_card.value, 2)
    if not (of_training and higher and assessment.small_only and kept is not None and kept.value >= found.accuracy):
        return None
    less = f"and keeps less than the card's, {of_card.value:.2f}"
    if in_force is not None and round(in_force, 2) > round(of_card.value, 2):
        if ours is not None and as_asked:
            stays = f"found for this version ({ours.asked}), {less}: {_BOTH}"
        elif by_hand:
            stays = f"as you wrote it, {less}"
    return NotBelowCard(choice.chosen.keep_at, of_card, in_force, place, shown(kept), stays)
