"""What `sprat assess` says of a `keep_at` below that of the card which its texts do not show."""

from dataclasses import dataclass

from sprat_cli.assess.policy_file import field_of
from sprat_training.evaluation.routing import ThresholdChoice


@dataclass(frozen=True, slots=True)
class BelowCard:
    """A provisional `keep_at` below that of the card."""

    found: float
    card: float
    by_budget: bool
    """Whether a budget chose it: then no accuracy was asked for, and none is shown."""

    def __str__(self) -> str:
        why = "Provisional: a budget asks for no accuracy, and none is shown. " if self.by_budget else ""
        until = "a file with --accuracy shows" if self.by_budget else "more texts show"
        return f"{why}The keep_at of the card is higher, {self.card:.2f}: stay with it until {until} a lower one."

    def refusal(self, name: str | None) -> str:
        """Return why it is not written, and what to do; `name` is that by which texts ask for the model."""
        return (
            f"{self.found:.2f} is provisional and lower than the keep_at of the card; nothing was written. Write "
            f"{self.card:.2f} under {field_of(name)}, or assess with more texts"
            f"{' and --accuracy' * self.by_budget}; or add --force to write {self.found:.2f}"
        )


def below_card(choice: ThresholdChoice | None, of_card: float) -> BelowCard | None:
    """Return the `keep_at` found where it is lower than that of the card and not shown; None where that is not so."""
    if choice is None or choice.chosen.keep_at >= of_card:
        return None
    found = choice.recommended
    return None if found is not None and found.is_shown else BelowCard(choice.chosen.keep_at, of_card, found is None)
