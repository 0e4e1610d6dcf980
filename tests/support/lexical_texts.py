"""A few texts with labels, enough for the lexical stage to learn words."""

import numpy as np
from numpy.typing import NDArray

_BY_LABEL = {
    "badge": ("my card is gone", "i lost my card", "the card is gone", "is my key card lost", "my badge is gone"),
    "leave": (
        "how many days of leave do i have",
        "can i take leave",
        "days of leave left",
        "i take three days of leave",
        "how many days do i get",
    ),
    "payroll": ("when is payday", "when do i get my pay", "is payday on friday", "my pay is late", "when is my pay"),
}

LABELS = tuple(_BY_LABEL)
TEXTS = [text for texts in _BY_LABEL.values() for text in texts]


def gold() -> NDArray[np.int64]:
    """Return the index of each text's label."""
    return np.repeat(np.arange(len(LABELS)), [len(texts) for texts in _BY_LABEL.values()])
