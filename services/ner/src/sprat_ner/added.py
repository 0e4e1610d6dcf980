"""A model of others that was added by `sprat models add`: its own types of entities, and no others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from sprat.base.model import Answer, Question
from sprat_contracts import Entity, NerOutput
from sprat_inference.artefact import load_artefact
from sprat_inference.card import Card
from sprat_inference.token_classifier import READERS, TaggedText, TokenClassifier
from sprat_ner.model import MOST_ENTITIES

_PROBE: Final = "Anna Schmidt moved from Lisbon to Siemens in Munich"


class AddedNerModel:
    """A transformer with a head for each token. Thread-safe; holds no state between calls."""

    def __init__(self, card: Card, classifier: TokenClassifier) -> None:
        self.card = card
        self._classifier = classifier

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and compute a probe.

        Raises:
            BrokenArtefact: when the artefact cannot be served.
        """
        card = load_artefact(folder, reader=READERS).card
        return cls(card, TokenClassifier.load(folder, card, threads))

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens that this question costs, including those that windows share."""
        return self._classifier.upper_bound(question.text)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.base.model.Model`."""
        texts = [question.text for question in questions]
        return [_answer(text, tagged) for text, tagged in zip(texts, self._classifier.read(texts), strict=True)]

    def probe(self) -> None:
        """Answer one sentence; see :class:`sprat.base.model.Model`."""
        self._classifier.read([_PROBE])


def _answer(text: str, tagged: TaggedText) -> Answer:
    """Return entities and confidence; the confidence is 0 if entities are left out."""
    entities = tuple(
        Entity(
            start=span.start, end=span.end, text=text[span.start : span.end], label=span.type, probability=span.chance
        )
        for span in tagged.spans[:MOST_ENTITIES]
    )
    truncated = len(tagged.spans) > MOST_ENTITIES
    return Answer(NerOutput(entities=entities, truncated=truncated), 0.0 if truncated else tagged.chance)
