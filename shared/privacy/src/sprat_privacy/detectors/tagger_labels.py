"""The tagger's labels, and what Sprat calls what they mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact

OUTSIDE: Final = "O"

TYPES: Final[Mapping[str, str]] = {
    "GIVEN_NAME": "PERSON",
    "SURNAME": "PERSON",
    "BUILDING_NUMBER": "ADDRESS",
    "STREET_NAME": "ADDRESS",
    "SECONDARY_ADDRESS": "ADDRESS",
    "ZIP_CODE": "ADDRESS",
    "CITY": "LOCATION",
    "STATE": "LOCATION",
    "EMAIL": "EMAIL",
    "PHONE": "PHONE",
    "URL": "URL",
    "TAX_ID": "TAX_ID",
    "GOVERNMENT_ID": "GOVERNMENT_ID",
    "PASSPORT": "PASSPORT",
    "DRIVERS_LICENSE": "DRIVERS_LICENSE",
    "BANK_ACCOUNT": "BANK_ACCOUNT",
    "ROUTING_NUMBER": "ROUTING_NUMBER",
}
"""Kind (a label without `B-` or `I-`) → type.

Given name and surname stand side by side and are one value; so are a street, its number and its post code. A number's
type is a guess from its surroundings: a card or an IBAN comes as another kind of number, or as two. Validators know.
"""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a head, in its order, as arrays."""

    types: tuple[str, ...]
    """Every type that there is, sorted."""
    outside: int
    """The place of `O`."""
    to_types: NDArray[np.float32]
    """Labels × types, 1 where the label means the type: turns probabilities of labels into those of types."""
    kinds: tuple[str, ...]
    """Kind of each label; of `O`, `O`."""
    begins: tuple[bool, ...]
    """True for the labels with `B-`."""

    @classmethod
    def of(cls, labels: Sequence[str]) -> Self:
        """Look up each label.

        Raises:
            BrokenArtefact: when there is no `O`, or a label means no type of :data:`TYPES`.
        """
        kinds = tuple(label[2:] if label[:2] in {"B-", "I-"} else label for label in labels)
        if unknown := sorted({*kinds} - {OUTSIDE, *TYPES}):
            raise BrokenArtefact(f"the tagger has labels without a type: {', '.join(unknown)}; add them to TYPES")
        if OUTSIDE not in kinds:
            raise BrokenArtefact("the tagger has no label O for what is not personal; run the recipe again")
        types = tuple(sorted({TYPES[kind] for kind in kinds if kind != OUTSIDE}))
        meant = [[TYPES.get(kind) == type for type in types] for kind in kinds]
        begins = tuple(label.startswith("B-") for label in labels)
        return cls(types, kinds.index(OUTSIDE), np.array(meant, np.float32), kinds, begins)
