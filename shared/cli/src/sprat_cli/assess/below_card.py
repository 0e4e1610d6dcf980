"""What `sprat assess` says of a `keep_at` below that of the card which its texts do not show."""

from dataclasses import dataclass

from sprat_training.evaluation.report import shown
from sprat_training.evaluation.routing import Assessment, ThresholdChoice
from sprat_training.keep_at import lowers_unshown
from sprat_training.record import TrainingRecord


@dataclass(frozen=True, slots=True)
class BelowCard:
    """A provisional `keep_at` below that of the card."""

    found: float
    card: float
    in_force: float | None
    """That of the task's file or of the policy; None where there is none."""
    place: str
    """Where that of the model stands, or is to be written."""
    by_budget: bool
    """Whether a budget chose it: then no accuracy was asked for, and none is shown."""

    def __str__(self) -> str:
        why = "Provisional: a budget asks for no accuracy, and none is shown. " if self.by_budget else ""
        until = "a file with --accuracy shows" if self.by_budget else "more texts show"
        return f"{why}The keep_at of the card is higher, {self.card:.2f}: {self._advice} until {until} a lower one."

    @property
    def _advice(self) -> str:
        card = f"{self.card:.2f}"
        if self.in_force is None:
            return "use it"
        if f"{self.in_force:.2f}" == card:
            return "it is in force, stay with it"
        if self.in_force > self.card:
            return f"{self.in_force:.2f} is in force, go no lower than {card}"
        return f"{self.in_force:.2f} is in force, so write {card} under {self.place}, and keep that"

    @property
    def refusal(self) -> str:
        """Return why it is not written, and what to do."""
        refused = f"{self.found:.2f} is provisional and lower than the keep_at of the card; nothing was written"
        more = f"assess with more texts{' and --accuracy' * self.by_budget}"
        forced = f"or add --force to write {self.found:.2f}"
        if self.in_force is not None and f"{self.in_force:.2f}" == f"{self.card:.2f}":
            done = f"{self.card:.2f} is in force already, so there is nothing to do"
            return f"{refused}: {done}. For a lower one, {more}; {forced}"
        return f"{refused}. Write {self.card:.2f} under {self.place}, or {more}; {forced}"


def below_card(choice: ThresholdChoice | None, of_card: float, in_force: float | None, place: str) -> BelowCard | None:
    """Return the `keep_at` found where it is lower than that of the card and not shown; None where that is not so.

    Args:
        choice: what was found.
        of_card: the `keep_at` of the card.
        in_force: that of the task's file or of the policy; None where there is none.
        place: where that of the model stands, or is to be written.
    """
    if choice is None:
        return None
    found, keep_at = choice.recommended, choice.chosen.keep_at
    if not lowers_unshown(keep_at, of_card, is_shown=found is not None and found.is_shown):
        return None
    return BelowCard(keep_at, of_card, in_force, place, found is None)


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
