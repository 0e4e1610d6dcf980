"""The language model: from texts to the tag of a language or none, the likeliest tags, and a calibrated confidence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from sprat.base.model import Answer, Question
from sprat_contracts import Alternative, IntentOutput
from sprat_inference.artefact import load_artefact
from sprat_inference.card import Card
from sprat_langid import READ_CODE_POINTS, VERSION, detect

READER: Final = f"sprat-language-id/{VERSION}"
"""The detector is the model: another one gives other answers, so the card is that of one version of it."""

ALTERNATIVES: Final = 3

_PROBE = Question("where is my order", "en")


class LanguageIdModel:
    """The detector of :mod:`sprat_langid`. Thread-safe; holds no state between calls."""

    def __init__(self, card: Card) -> None:
        self.card = card

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:  # noqa: ARG003 - as every model is loaded
        """Load the card in `folder`; the weights are those of py3langid. A text costs one thread, whatever `threads`.

        Raises:
            BrokenArtefact: when the card was made for another version of the detector.
        """
        return cls(load_artefact(folder, reader=READER).card)

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the code points that are read, in place of tokens."""
        return min(len(question.text), READ_CODE_POINTS)

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.base.model.Model`."""
        return [self._answer(question) for question in questions]

    def probe(self) -> None:
        """Detect one text, which loads the detector; see :class:`sprat.base.model.Model`."""
        self.answer([_PROBE])

    def _answer(self, question: Question) -> Answer:
        found = detect(question.text)
        chances = [(each.language, each.probability) for each in found.chances]
        label, confidence, renormalised = found.language, found.confidence, False
        if question.labels is not None:
            chances = [each for each in chances if each[0] in question.labels]
            total = sum(chance for _, chance in chances)
            if label is not None and label not in question.labels:
                # With chances too small to tell the languages apart, it is none of them.
                chances = [(language, chance / total) for language, chance in chances if total]
                label, confidence = chances[0] if chances else (None, 0.0)
                renormalised = True
        likeliest = tuple(
            Alternative(label=language, probability=chance) for language, chance in chances[:ALTERNATIVES]
        )
        return Answer(IntentOutput(label=label, alternatives=likeliest), confidence, renormalised=renormalised)
