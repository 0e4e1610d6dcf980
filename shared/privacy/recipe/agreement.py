"""How often the served tagger and its own ONNX say the same of a token."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.privacy.recipe.centre import inputs, session_of
from sprat_privacy.detectors.tagger import Tagger


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts of tokens."""

    tokens: int
    same: int
    """The likeliest label is the same."""
    same_side: int
    """Both or neither are `O`."""

    def __add__(self, other: "Agreement") -> "Agreement":
        """Count both."""
        return Agreement(self.tokens + other.tokens, self.same + other.same, self.same_side + other.same_side)


def agreement(tagger: Tagger, graph: Path, texts: Sequence[str]) -> Agreement:
    """Compare both on the windows that the tagger reads of `texts`, token by token, special tokens left out."""
    session = session_of(str(graph))
    outside = (tagger.card.labels or ()).index("O")
    _, windows = tagger.windows.cut(texts)
    total = Agreement(0, 0, 0)
    for window, ours in zip(windows, tagger.probabilities(windows), strict=True):
        theirs = session.run(None, inputs(window.ids))[0][0, 1:-1].argmax(axis=-1)
        labels = ours.argmax(axis=-1)
        same, side = (labels == theirs).sum(), ((labels == outside) == (theirs == outside)).sum()
        total += Agreement(len(labels), int(same), int(side))
    return total
