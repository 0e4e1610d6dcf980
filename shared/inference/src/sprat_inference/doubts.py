"""Which answers of a label model are doubted, whatever their confidence: denied, several wishes, too little said.

A label can be meant so itself ("cancel", "thank you"): the card names those whose own training texts are worded so, and
nothing is doubted of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from sprat_contracts.predictions import DENIED, SEVERAL, TOO_LITTLE
from sprat_inference.artefact import BrokenArtefact
from sprat_inference.card import Card
from sprat_inference.wording import denies, forbids, parts, says_little

DOUBTS_READER: Final = "sprat-doubts/2"
"""Revision of the rules; the card names it. Raise it with every change that changes a doubt."""
READ: Final = frozenset({"sprat-doubts/1", DOUBTS_READER})
"""Revisions whose cards are read. One of /1 names no labels that are worded as orders, so orders are doubted of all."""
WORTH: Final = 0.5
"""Least confidence of an answer whose text is read in parts: below it, no goal keeps an answer anyway. And of a part's
label: it is likelier right than wrong."""
TIMES: Final = 4
"""A part's label may be so many times as likely to be wrong as the text's. Of two wishes each is surer than both in one
text; of one wish ("my internet and phone bill") a part is less sure. With a limit of 0.8 for each part instead, 9 of
3,000 texts with one wish are doubted, and 9.8 % of 1,419 with two are kept; with this 3, and 12.4 % (`default`,
CLINC150 validation)."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Finds what is to be doubted. Thread-safe; holds no state between calls."""

    ordering: frozenset[str]
    """Labels that are not doubted as denied, however that is worded."""
    denying: frozenset[str]
    """Labels that are doubted as denied by an order alone: "not needed any more" cancels, "do not cancel" does not."""
    short: frozenset[str]
    """Labels that are not doubted as too little; a part with one of them ("thanks") is no wish beside another."""
    several: bool
    """Whether parts are read at all."""

    @classmethod
    def of(cls, card: Card) -> Self | None:
        """Take it from a card; None where that names no doubts.

        Raises:
            BrokenArtefact: it is made for other rules.
        """
        said = card.doubts
        if said is None:
            return None
        if said.reader not in READ:
            raise BrokenArtefact(
                f"{card.name}: its doubts are made for {said.reader}, this program is {DOUBTS_READER}; "
                "install the release that fits"
            )
        return cls(frozenset(said.ordering), frozenset(said.denying), frozenset(said.short), said.several)

    def of_wording(self, text: str, label: str) -> str | None:
        """Return what the wording of a text says against its label; None where nothing."""
        if label not in self.ordering and (forbids if label in self.denying else denies)(text):
            return DENIED
        return TOO_LITTLE if label not in self.short and says_little(text) else None

    def parts(self, text: str, confidence: float = 1.0) -> tuple[str, ...]:
        """Return the parts of a text to be read, each of which may be a wish; none where it is one.

        Args:
            text: the text.
            confidence: of its answer.
        """
        return parts(text) if self.several and confidence >= WORTH else ()

    def of_parts(self, read: Iterable[tuple[str | None, float]], confidence: float) -> str | None:
        """Return whether the parts of a text have several labels.

        Args:
            read: label and confidence of each part; None: it is outside every label.
            confidence: of the answer to the whole text.
        """
        least = max(WORTH, 1.0 - TIMES * (1.0 - confidence))
        sure = {label for label, of_part in read if label is not None and of_part >= least}
        return SEVERAL if len(sure - self.short) > 1 else None
