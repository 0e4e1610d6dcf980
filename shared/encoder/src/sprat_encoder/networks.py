"""Networks that give each class of a text a logit; the reader that a card names says which of them an artefact has."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, Self

from sprat_encoder.pair import EncoderPair, load_shared
from sprat_inference.card import Card
from sprat_inference.classifier import Classifier, LogitsReading
from sprat_inference.encoder import SentenceEncoder
from sprat_inference.heads import CLASSIFIER_READER, LABEL_READER, ONNX_CLASSIFIER_READER, POOLED_READER, LabelHead
from sprat_inference.tokenizer import GuardedTokenizer


class LogitsNetwork(Protocol):
    """Reads texts and gives each label a logit. Thread-safe."""

    @property
    def tokenizer(self) -> GuardedTokenizer:
        """Return its tokenizer."""

    def read(self, texts: Sequence[str], languages: Sequence[str]) -> LogitsReading:
        """Return the logits of `texts`, at least one, whose BCP 47 tags are `languages`.

        Raises:
            ModelError: when the network fails.
        """


class EncoderWithHead:
    """A frozen sentence encoder, or two, and a linear head that was fitted on the vectors."""

    def __init__(self, encoder: SentenceEncoder | EncoderPair, head: LabelHead) -> None:
        self.tokenizer = encoder.tokenizer
        self._encoder = encoder
        self._head = head

    @classmethod
    def load(cls, folder: Path, card: Card, threads: int = 1) -> Self:
        """Load head and encoder of the artefact in `folder`, whose card is `card`.

        Raises:
            BrokenArtefact: when one of them cannot be used.
        """
        head = LabelHead.load(folder, len(card.labels or ()))
        return cls(load_encoder(folder, card, threads), head)

    def read(self, texts: Sequence[str], languages: Sequence[str]) -> LogitsReading:
        """Return the logits; see :class:`LogitsNetwork`."""
        encoded = self._encoder.encode(texts)
        return LogitsReading(self._head.logits(encoded.vectors, languages), encoded.empty)


NETWORKS: Final[Mapping[str, Callable[[Path, Card, int], LogitsNetwork]]] = {
    LABEL_READER: EncoderWithHead.load,
    POOLED_READER: EncoderWithHead.load,
    CLASSIFIER_READER: Classifier.load,
    ONNX_CLASSIFIER_READER: Classifier.load,
}
"""`reader` of a card → what loads such an artefact. It says how a text becomes logits; `kind`, what they mean."""


def load_encoder(folder: Path, card: Card, threads: int = 1) -> SentenceEncoder | EncoderPair:
    """Load the encoder in `folder`, or what is shared if the card says that the model was built on it.

    Raises:
        BrokenArtefact: when the encoder is not the one that the card names, or cannot be used.
    """
    if card.built_on is None:
        return SentenceEncoder.load(folder, max_tokens=card.max_tokens, threads=threads)
    return load_shared(card.built_on, max_tokens=card.max_tokens, threads=threads)
