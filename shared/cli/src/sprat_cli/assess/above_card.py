"""What `sprat assess` says of a provisional `keep_at` above that of the card, which was shown at the training."""

from dataclasses import dataclass

from sprat_cli.which_keep_at import CardKeepAt, KeepAtInForce, keep_at_advice
from sprat_policy import KeepAtSource
from sprat_training.evaluation.report import shown
from sprat_training.evaluation.routing import Assessment, ThresholdChoice


@dataclass(frozen=True, slots=True)
class AboveCard:
    """A provisional `keep_at` above that of the card: that of the card goes before it, as nothing speaks against it."""

    found: float
    card: CardKeepAt
    in_force: float | None
    """That of the task's file or of the policy; None where there is none."""
    place: str
    """Where that of the model stands, or is to be written."""
    here: str
    """How much is right here of what the card's keeps, with its interval."""
    shown: KeepAtSource | None = None
    """What stands behind the one in force, where it was shown for this version."""

    def __str__(self) -> str:
        lower = (
            f"The keep_at of the card is lower, {self.card.value:.2f}: it was shown at the training, and here "
            f"{self.here} of those that it keeps are right, so nothing speaks against it, and it goes before "
            f"{self.found:.2f}"
        )
        return f"{lower}. {self._advice}. More texts may show another one."

    @property
    def _advice(self) -> str:
        if self.shown is not None:
            return f"{self.in_force:.2f} is in force, shown for this version ({self.shown}), so there is nothing to do"
        in_force = None if self.in_force is None else KeepAtInForce(self.in_force)
        advice = keep_at_advice(in_force, self.card, self.place, assessed=False)
        said = "it is in force, so there is nothing to do" if advice is None else advice.said
        return f"{said[0].upper()}{said[1:]}"

    @property
    def to_write(self) -> float | None:
        """Return what `--write` writes: the card's, unless it is in force, or another one that was shown; else None."""
        stays = self.in_force is not None and f"{self.in_force:.2f}" == f"{self.card.value:.2f}"
        return None if stays or self.shown is not None else self.card.value

    @property
    def why_card(self) -> str:
        """Return why `--write` writes the card's."""
        return f"that of the card, shown at its training; {self.found:.2f}, found here, is higher and provisional"

    @property
    def why_nothing(self) -> str | None:
        """Return why `--write` writes nothing; None where it writes the card's."""
        if self.to_write is not None:
            return None
        whose = "the card's" if self.shown is None else "shown for this version"
        return (
            f"nothing is written: {self.found:.2f} is provisional, and {self.in_force:.2f} is in force, {whose}; "
            f"--force writes {self.found:.2f}"
        )


def above_card(
    assessment: Assessment,
    choice: ThresholdChoice | None,
    of_card: CardKeepAt,
    asked_at_training: float | None,
    in_force: float | None,
    place: str,
    source: KeepAtSource | None,
) -> AboveCard | None:
    """Return the `keep_at` found where it is higher than that of the card, which goes before it; else None.

    It does where it was shown for as high an accuracy, and is not contradicted by these texts.

    Args:
        assessment: in which it was found.
        choice: what was found.
        of_card: the `keep_at` of the card.
        asked_at_training: the accuracy that was asked for there; None where it is not known.
        in_force: that of the task's file or of the policy; None where there is none.
        place: where that of the model stands, or is to be written.
        source: what stands behind the one in force.
    """
    found, beside = None if choice is None else choice.recommended, assessment.named.get("card")
    if choice is None or found is None or found.is_shown or beside is None or not assessment.small_only:
        return None
    if of_card.is_provisional or asked_at_training is None or found.accuracy > asked_at_training:
        return None
    kept = beside.result.right_of_kept
    if kept is None or card_misses(assessment, choice) or round(choice.chosen.keep_at, 2) <= round(of_card.value, 2):
        return None
    stands = source if source is not None and source.shows(of_card.version) else None
    return AboveCard(choice.chosen.keep_at, of_card, in_force, place, shown(kept), stands)


def card_misses(assessment: Assessment, choice: ThresholdChoice) -> bool:
    """Return whether less is right here than was asked for, of what a lower `keep_at` of the card keeps."""
    found, of_card = choice.recommended, assessment.named.get("card")
    if found is None or of_card is None or round(choice.chosen.keep_at, 2) <= round(of_card.keep_at, 2):
        return False
    kept = of_card.result.right_of_kept
    return assessment.small_only and kept is not None and kept.value < found.accuracy
