"""The tagger of personal data: names, addresses, and numbers of many types, by their context in a sentence.

The model is Rampart, as a CTranslate2 encoder and a linear head. It reads short windows, because it was trained on
short texts and finds fewer names in long ones. Where windows overlap, a token's probabilities are averaged, weighted
towards the middle of each window. So time is linear in the length of a text, and a text is read to its end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.card import Card
from sprat_inference.encoder import TokenEncoder, Vectors
from sprat_inference.heads import Floats, TokenHead
from sprat_inference.windows import Window, Windows, average_windows, split_into_rounds
from sprat_privacy.detection import Detection
from sprat_privacy.detectors.tagger_decoding import Labels, decode, word_chances
from sprat_privacy.normalisation import fold

SHIPPED_TAGGER = Path(__file__).resolve().parent.parent / "artefacts" / "rampart"
"""The tagger's artefact that comes with this package."""

READER: Final = "sprat-perimeter-tagger/2"
"""Revision of the code from text to detections. Raise it with every change that changes a detection."""

OVERLAP: Final = 10
"""Tokens that two windows share."""


@dataclass(frozen=True, slots=True)
class TaggerReading:
    """What the tagger says of one text."""

    detections: list[Detection]
    """In the order of the text, without overlaps."""
    words: Callable[[], list[tuple[int, int, float]]]
    """Returns start, end and probability of being personal of each word, not calibrated: computed where it is asked."""


class Tagger:
    """Detects personal data with the model of one artefact. Thread-safe; keeps no state between calls."""

    def __init__(self, card: Card, states: TokenEncoder, windows: Windows, head: TokenHead) -> None:
        self.card = card
        self.windows = windows
        self._labels = Labels.of(card.labels or ())
        self._states = states
        self._head = head

    @classmethod
    def load(cls, folder: Path, threads: int = 1, callers: int = 1) -> Self:
        """Load the artefact in `folder`, verify it against its card, and probe it.

        Args:
            folder: the folder of the artefact.
            threads: windows of one call computed in parallel, each on one core.
            callers: threads that call it at the same time.

        Raises:
            BrokenArtefact: it cannot be used.
        """
        card = load_artefact(folder, reader=READER).card
        head = TokenHead.load(folder, len(card.labels or ()))
        try:
            windows = Windows.load(folder, max_tokens=card.max_tokens, overlap=OVERLAP)
            tagger = cls(card, TokenEncoder.load(folder, card.max_tokens, threads, callers), windows, head)
            tagger.probe()
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the tagger cannot be used ({error}); run the recipe again") from error
        return tagger

    def read(self, texts: Sequence[str]) -> "list[TaggerReading]":
        """Return of each text the detections, and how likely each word is personal; see :meth:`find_many`.

        Raises:
            ModelError: the runtime failed or returned invalid numbers; then no text was searched.
        """
        return [reading for batch in split_into_rounds(texts) for reading in self._read_batch(batch)]

    def find(self, text: str) -> list[Detection]:
        """Return the detections of one text; see :meth:`find_many`."""
        return self.find_many([text])[0]

    def find_many(self, texts: Sequence[str]) -> list[list[Detection]]:
        """Return the detections of each text, in its order, without overlaps. They depend on that text alone.

        Raises:
            ModelError: the runtime failed or returned invalid numbers; then no text was searched.
        """
        return [reading.detections for reading in self.read(texts)]

    def probabilities(self, windows: Sequence[Window]) -> list[Floats]:
        """Return for each window tokens × labels, in the card's order, without the special tokens.

        Raises:
            ModelError: the runtime failed or returned invalid numbers.
        """
        return self._states.encode([window.ids for window in windows], self._read)

    def probe(self) -> None:
        """Read a sentence, and a window of the greatest length with the highest token id.

        Raises:
            ModelError: the tagger cannot.
        """
        self.find("Please call Anna Schmidt.")
        self.probabilities([Window(0, 0, [self.windows.highest_id] * self.windows.max_tokens)])

    def _read_batch(self, texts: Sequence[str]) -> "list[TaggerReading]":
        folded = [fold(text) for text in texts]
        pieces, windows = self.windows.cut([each.text for each in folded])
        rows = average_windows(pieces, windows, self.probabilities(windows), len(self._labels.names))
        return [
            TaggerReading(
                decode(text, view, tokens, probabilities, labels=self._labels, least=self.card.keep_at),
                partial(word_chances, view, tokens, probabilities, labels=self._labels),
            )
            if tokens.ids
            else TaggerReading([], list)
            for text, view, tokens, probabilities in zip(texts, folded, pieces, rows, strict=True)
        ]

    def _read(self, states: Vectors) -> Floats:
        return self._head.probabilities(states[:, 1:-1])
