"""`--skip-trained`: the texts of a file that no model which is measured was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sprat.errors import UserError
from sprat_cli.assess.small_model import SmallModel
from sprat_cli.terminal import printable, remark
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.record import FILE, SeenRows, without_seen

_EASIER: Final = "the rest is easier than your traffic if these were learnt because they were answered wrongly"


@dataclass(frozen=True, slots=True)
class NewTexts:
    """The texts that are measured, and what became of the others."""

    data: LabelledTexts
    left_out: SeenRows | None = None
    """None where no text is left out."""
    unknown: tuple[str, ...] = ()
    """A line about each model of which nobody knows what it was trained on; it has been said."""

    @property
    def lines(self) -> list[str]:
        """Return how many texts are left out, and which, and what to know of the rest; nothing where none is."""
        return [] if self.left_out is None else [f"left out: {self.left_out.named}; {_EASIER}"]

    @property
    def as_json(self) -> dict[str, Any]:
        """Return the fields of `--json`."""
        places = [] if self.left_out is None else self.left_out.as_json
        return {"left_out": len(places), "left_out_rows": places}


def new_texts(data: LabelledTexts, models: Sequence[SmallModel], *, skip_trained: bool) -> NewTexts:
    """Return the texts that none of the models was trained on where that is asked for, else all of them.

    Raises:
        UserError: no text is left.
    """
    if not skip_trained:
        return NewTexts(data)
    unknown = tuple(_unknown(model) for model in models if model.folder is not None and model.record() is None)
    for line in unknown:
        remark(line)
    by, them = ("this model", "it has not") if len(models) == 1 else ("one version or both", "neither has")
    left, out = without_seen([model.record() for model in models], data, by)
    if out is not None and not len(left):
        raise UserError(f"--skip-trained: {out.named}, so no text is left; take texts that {them} seen")
    return NewTexts(left, out, unknown)


def _unknown(model: SmallModel) -> str:
    """Return that nobody knows what a model was trained on."""
    return printable(
        f"--skip-trained: {model.folder} has no {FILE}, so it cannot be known which texts it was trained on, and none "
        "is left out for it: take texts that are new to it"
    )
