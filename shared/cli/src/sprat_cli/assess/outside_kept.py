"""How many texts outside every label an assessed model keeps with a label, which is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sprat_cli.assess.answers import SmallModelAnswers
from sprat_cli.assess.as_json import interval_json
from sprat_cli.terminal import counted
from sprat_contracts.kept import least_kept
from sprat_training.datasets.reader import LabelledTexts
from sprat_training.evaluation.metrics import wilson
from sprat_training.evaluation.report import hundredths

CHOSEN = "chosen"
"""Whose the `keep_at` is that this assessment found."""


@dataclass(frozen=True, slots=True)
class OutsideKept:
    """The texts outside every label, and how sure the small model is of those that it gives a label."""

    texts: int
    confidences: tuple[float, ...]
    """Of those with a label."""

    def count(self, keep_at: float) -> int:
        """Return how many of the texts are kept with a label."""
        return sum(each >= least_kept(keep_at) for each in self.confidences)

    def lines(self, keep_ats: Mapping[str, float]) -> list[str]:
        """Return a line for the terminal and the report; none where no text is outside.

        Args:
            keep_ats: by whose they are, as "card".
        """
        if not self.texts:
            return []
        by_number: dict[str, list[str]] = {}
        for who, keep_at in keep_ats.items():
            by_number.setdefault(hundredths(keep_at), []).append(who)
        shown = []
        for number, whose in by_number.items():
            kept = self.count(keep_ats[whose[0]])
            of = ", ".join(f"that of the {each}" for each in whose if each != CHOSEN)
            shown.append(f"{kept:,} at keep_at {number}{f' ({of})' if of else ''}, {wilson(kept, self.texts)}")
        texts = counted(self.texts, "text")
        return [f"kept with a label, which is wrong, of the {texts} outside every label: {'; '.join(shown)}"]

    def as_json(self, keep_ats: Mapping[str, float]) -> dict[str, Any]:
        """Return the field of `--json`: an entry for each `keep_at`; none where no text is outside."""
        return {
            "outside_kept": [
                {
                    "of": who,
                    "keep_at": keep_at,
                    "outside": self.texts,
                    "kept_with_label": self.count(keep_at),
                    "share": interval_json(wilson(self.count(keep_at), self.texts)),
                }
                for who, keep_at in (keep_ats.items() if self.texts else ())
            ]
        }


def outside_kept(data: LabelledTexts, small: SmallModelAnswers, outside_label: str) -> OutsideKept:
    """Return what the small model says of the texts outside every label; none where a text may have several labels."""
    if small.several:
        return OutsideKept(0, ())
    answers = zip(data.labels, small.outputs, small.confidences, strict=True)
    outside = [(output, confidence) for label, output, confidence in answers if label == outside_label]
    return OutsideKept(len(outside), tuple(confidence for output, confidence in outside if output is not None))
