"""The translation model: texts in; their translations and how far each can be trusted out. No Kafka in it."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from sprat.model import Answer, Question
from sprat_contracts.outputs import TranslationOutput
from sprat_encoder import load as load_shared
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.card import Card
from sprat_inference.tokenizer import replace_surrogates
from sprat_translation.estimate import Estimate, Uncalibrated
from sprat_translation.layout import Layout, lay_out
from sprat_translation.meanings import Doubles
from sprat_translation.network import Network
from sprat_translation.pieces import Pieces
from sprat_translation.sentences import Sentences, Translation

READER = "sprat-translation-marian/3"
"""Revision of the way from text to answer. Raise it with every change that changes an answer."""

ENCODER_TOKENS = 128
"""Read of a sentence by the multilingual encoder: more than the network reads of any."""

_COPIES = 2
"""A piece is computed when it is read, and about once more when its translation is written."""
_AROUND = 2
"""Pieces that stand around a sentence: the space before it, and its end."""
_PROBE = "Where is my order?"


class Judge(Protocol):
    """Says how good translations are."""

    def chances(self, translations: Sequence[Translation]) -> Doubles:
        """The chance of each, 0–1; the network has been asked for all of them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One sentence, its translation, and the chance that it is good."""

    translation: Translation
    confidence: float


class TranslationModel:
    """A small Marian-shaped network with an estimate of its own quality. Thread-safe."""

    def __init__(self, card: Card, sentences: Sentences, judge: Judge) -> None:
        self.card = card
        self.judge = judge
        self._sentences = sentences
        self._language = card.languages[0]
        self._target = card.targets[0]

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and try it.

        Args:
            folder: where it lies.
            threads: groups of sentences computed side by side, each on one core.

        Raises:
            BrokenArtefact: when it cannot be served.
        """
        card = load_artefact(folder, reader=READER).card
        if not card.languages or not card.targets:
            raise BrokenArtefact(f"{folder}: its card names no language or no target; run the recipe again")
        pieces = Pieces.load(folder)
        try:
            network = Network.load(folder, threads)
            network.probe(pieces.encode([_PROBE])[0][0], card.max_tokens)
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the network cannot be used ({error}); write it again") from error
        judge: Judge = Uncalibrated()
        if card.built_on is not None:
            encoder = load_shared(card.built_on, max_tokens=ENCODER_TOKENS, threads=threads)
            judge = Estimate.load(folder, card.calibration, encoder)
        return cls(card, Sentences(pieces, network, card.max_tokens), judge)

    def tokens(self, question: Question) -> int:
        """Upper bound of the tokens that one sentence costs which is read once, its translation being as long.

        In a text of several sentences the end of each comes on top; that English has four characters a piece makes up
        for it. Not counted: what is read again because its translation lost something that must stay.
        """
        text = question.text
        return ((len(text) if text.isascii() else sum(map(_most_pieces, text))) + _AROUND) * _COPIES

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.models.Model`."""
        layouts = [lay_out(replace_surrogates(question.text), self._language) for question in questions]
        judged = self.read(sentence for layout in layouts for sentence in layout.sentences)
        texts = {sentence: each.translation.text for sentence, each in judged.items()}
        return [
            Answer(TranslationOutput(text=layout.filled(texts), target=self._target), _least(layout, judged))
            for layout in layouts
        ]

    def probe(self) -> None:
        """Compute one real batch; see :class:`sprat.models.Model`."""
        self.answer([Question(_PROBE, self._language, self._target)])

    def read(self, sentences: Iterable[str]) -> dict[str, Judged]:
        """Translate and judge each sentence, by what it is; for answers and for measuring.

        What is not sound has a confidence of 0, and so has a sentence longer than the network reads. Where there is
        nothing to translate the confidence is 1.
        """
        done = self._sentences.translate(sentences)
        judged = {sentence: Judged(each, float(each.is_sound)) for sentence, each in done.items()}
        open_ones = [each for each in done.values() if each.is_sound and each.hypothesis is not None]
        for each, chance in zip(open_ones, self.judge.chances(open_ones), strict=True):
            judged[each.source] = Judged(each, float(chance))
        return judged


def _most_pieces(character: str) -> int:
    """One that the vocabulary lacks is read as its UTF-8 bytes, a compatibility form perhaps written out before."""
    if character.isascii():
        return 1
    forms = (character, unicodedata.normalize("NFKC", character))
    return max(len(form.encode("utf-8", "replace")) for form in forms)


def _least(layout: Layout, judged: dict[str, Judged]) -> float:
    return min((judged[sentence].confidence for sentence in layout.sentences), default=1.0)
