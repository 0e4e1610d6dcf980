"""The tagger of personal data: names, addresses, and numbers of many kinds, by how they are used in a sentence.

Rampart as a CTranslate2 encoder and a linear head. It reads short windows, because it was taught on short texts and
finds fewer names in long ones; where windows overlap, a token's probabilities are averaged, those from the middle of a
window counting most. So a long text costs its length, and is read to its end.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.card import Card
from sprat_inference.encoder import TokenEncoder, Vectors
from sprat_inference.heads import Floats, TokenHead
from sprat_inference.windows import Window, Windows, average_windows, split_into_rounds
from sprat_privacy.detection import Detection
from sprat_privacy.detectors.tagger_decoding import decode
from sprat_privacy.detectors.tagger_labels import Labels
from sprat_privacy.normalisation import fold

SHIPPED_TAGGER = Path(__file__).resolve().parent.parent / "artefacts" / "rampart"
"""The tagger's artefact that comes with this package."""

READER: Final = "sprat-perimeter-tagger/2"
"""Revision of the way from text to finds. Raise it with every change that changes a find."""

OVERLAP: Final = 10
"""Tokens that two windows share."""


class Tagger:
    """Thread-safe; holds no state between calls."""

    def __init__(self, card: Card, states: TokenEncoder, windows: Windows, head: TokenHead) -> None:
        self.card = card
        self.windows = windows
        self._labels = Labels.of(card.labels or ())
        self._states = states
        self._head = head

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and try it.

        Args:
            folder: where it lies.
            threads: windows computed side by side, each on one core.

        Raises:
            BrokenArtefact: when it cannot be used.
        """
        card = load_artefact(folder, reader=READER).card
        head = TokenHead.load(folder, len(card.labels or ()))
        try:
            windows = Windows.load(folder, max_tokens=card.max_tokens, overlap=OVERLAP)
            tagger = cls(card, TokenEncoder.load(folder, threads), windows, head)
            tagger.probe()
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the tagger cannot be used ({error}); run the recipe again") from error
        return tagger

    def find(self, text: str) -> list[Detection]:
        """Give what is personal in `text`, in its order, without overlaps; see :meth:`find_many`."""
        return self.find_many([text])[0]

    def find_many(self, texts: Sequence[str]) -> list[list[Detection]]:
        """Give what is personal in each text. It depends on that text alone, not on its neighbours.

        Raises:
            ModelError: when the runtime fails or computes nonsense; the texts have not been looked at then.
        """
        return [found for some in split_into_rounds(texts) for found in self._find(some)]

    def probabilities(self, windows: Sequence[Window]) -> list[Floats]:
        """For each window, tokens × labels in the card's order, the special tokens left out.

        Raises:
            ModelError: when the runtime fails or computes nonsense.
        """
        return self._states.encode([window.ids for window in windows], self._read)

    def probe(self) -> None:
        """Read a sentence, and the longest and highest-numbered window there can be.

        Raises:
            ModelError: when the tagger cannot.
        """
        self.find("Please call Anna Schmidt.")
        self.probabilities([Window(0, 0, [self.windows.highest_id] * self.windows.max_tokens)])

    def _find(self, texts: Sequence[str]) -> list[list[Detection]]:
        folded = [fold(text) for text in texts]
        pieces, windows = self.windows.cut([each.text for each in folded])
        rows = average_windows(pieces, windows, self.probabilities(windows), len(self._labels.kinds))
        return [
            decode(text, each, some, probabilities, labels=self._labels, least=self.card.keep_at) if some.ids else []
            for text, each, some, probabilities in zip(texts, folded, pieces, rows, strict=True)
        ]

    def _read(self, states: Vectors) -> Floats:
        return self._head.probabilities(states[:, 1:-1])
