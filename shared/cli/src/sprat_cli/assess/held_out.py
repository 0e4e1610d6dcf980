"""How a file compares with the texts that were held out at the training of a model."""

from dataclasses import dataclass
from typing import Any, Final

from sprat_cli.assess.answers import SmallModelAnswers
from sprat_cli.assess.as_json import interval_json
from sprat_cli.terminal import counted
from sprat_inference.card import Card
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.evaluation.metrics import Interval, wilson
from sprat_training.findings import differs_on_test

_UNLESS_NEW: Final = "unless these are new texts of your traffic"


@dataclass(frozen=True, slots=True)
class BesideHeldOut:
    """What the small model alone gets right, whatever is kept: of a file, and of the texts held out at its training."""

    file: str
    counted: str
    """Which texts of the file, as the training counts: "40 texts with a label get it"."""
    here: Interval
    held_out: Interval

    @property
    def difference(self) -> str | None:
        """Return what it means that the two differ by more than chance; None where they do not."""
        said = differs_on_test(self.held_out, self.here, self.file, _UNLESS_NEW)
        if said is None:
            return None
        return f"{self.here} of {self.counted} if all are kept, {self.held_out} at the training: {said}"

    @property
    def as_json(self) -> dict[str, Any]:
        """Return its fields for `--json`."""
        return {
            "right": interval_json(self.here),
            "right_held_out": interval_json(self.held_out),
            "differs": self.difference is not None,
        }


def beside_held_out(
    small: SmallModelAnswers, data: LabelledTexts, outside_label: str, card: Card
) -> BesideHeldOut | None:
    """Return how a file compares with the texts held out at the training; None where one of them has none.

    The texts are counted as in the training. Of a model with one label a text: whether the likeliest label is right, of
    the texts with a label. Of one with several: whether the whole set is right, of all texts.

    Args:
        small: the answers of the model.
        data: the file.
        outside_label: the label of texts outside every label.
        card: of the model.
    """
    scores = {score.name: score.value for score in card.scores}
    name = f"cross_validated_{'exact' if small.several else 'accuracy'}"
    value, low, high = (scores.get(each) for each in (name, f"{name}_low", f"{name}_high"))
    right = [
        (found or outside_label) == label
        for found, label in zip(small.likeliest, data.labels, strict=True)
        if small.several or label != outside_label
    ]
    if value is None or low is None or high is None or not right:
        return None
    of = f"{counted(len(right), 'text')} {'have all their labels' if small.several else 'with a label get it'}"
    return BesideHeldOut(data.name, of, wilson(sum(right), len(right)), Interval(value, low, high))
