"""The translation model: from texts to their translations, each with a confidence."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from sprat.model import Answer, Question
from sprat_contracts import TranslationOutput
from sprat_encoder import load as load_shared
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.card import Card
from sprat_inference.tokenizer import replace_surrogates
from sprat_translation.layout import Layout, lay_out
from sprat_translation.network import TranslationNetwork
from sprat_translation.quality_estimate import Doubles, QualityEstimate, UncalibratedEstimate
from sprat_translation.sentences import SentenceTranslator, Translation
from sprat_translation.vocabulary import SubwordVocabulary

READER = "sprat-translation-marian/3"
"""Revision of the way from text to answer. Raise it with every change that changes an answer."""

ENCODER_TOKENS = 128
"""Tokens of a sentence that the multilingual encoder reads: more than the network reads of any."""

_COPIES = 2
"""A piece is computed as input, and about once more in the translation."""
_AROUND = 2
"""Pieces around a sentence: the space before it, and its end."""
_PROBE = "Where is my order?"


class QualityEstimator(Protocol):
    """Estimates how good translations are."""

    def chances(self, translations: Sequence[Translation]) -> Doubles:
        """Return the chance that each is good, float64, 0–1; each must have a hypothesis of the network."""


@dataclass(frozen=True, slots=True)
class ScoredTranslation:
    """The translation of one sentence, and the chance that it is good."""

    translation: Translation
    confidence: float


class TranslationModel:
    """A small network of the Marian architecture, with a quality estimate. Thread-safe."""

    def __init__(self, card: Card, translator: SentenceTranslator, estimator: QualityEstimator) -> None:
        self.card = card
        self.estimator = estimator
        self._translator = translator
        self._language = card.languages[0]
        self._target = card.targets[0]

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and compute a probe.

        Args:
            folder: the folder of the artefact.
            threads: groups of sentences computed in parallel, each on one core.

        Raises:
            BrokenArtefact: when the artefact cannot be served.
        """
        card = load_artefact(folder, reader=READER).card
        if not card.languages or not card.targets:
            raise BrokenArtefact(f"{folder}: its card names no language or no target; run the recipe again")
        vocabulary = SubwordVocabulary.load(folder)
        try:
            network = TranslationNetwork.load(folder, threads)
            network.probe(vocabulary.encode([_PROBE])[0][0], card.max_tokens)
        except (RuntimeError, ValueError, ModelError) as error:
            raise BrokenArtefact(f"{folder}: the network cannot be used ({error}); write it again") from error
        estimator: QualityEstimator = UncalibratedEstimate()
        if card.built_on is not None:
            encoder = load_shared(card.built_on, max_tokens=ENCODER_TOKENS, threads=threads)
            estimator = QualityEstimate.load(folder, card.calibration, encoder)
        return cls(card, SentenceTranslator(vocabulary, network, card.max_tokens), estimator)

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens of one sentence that is translated once into as many pieces.

        In a text of several sentences, the end of each is an extra piece; the bound still holds in practice, because an
        English piece has four characters on average. Not counted are sentences that are translated again because their
        translation lost a protected token.
        """
        text = question.text
        return ((len(text) if text.isascii() else sum(map(_most_pieces, text))) + _AROUND) * _COPIES

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.model.Model`."""
        layouts = [lay_out(replace_surrogates(question.text), self._language) for question in questions]
        scored = self.translate(sentence for layout in layouts for sentence in layout.sentences)
        texts = {sentence: each.translation.text for sentence, each in scored.items()}
        return [
            Answer(TranslationOutput(text=layout.fill(texts), target=self._target), _lowest_confidence(layout, scored))
            for layout in layouts
        ]

    def probe(self) -> None:
        """Compute one real batch; see :class:`sprat.model.Model`."""
        self.answer([Question(_PROBE, self._language, self._target)])

    def translate(self, sentences: Iterable[str]) -> dict[str, ScoredTranslation]:
        """Translate each different sentence and estimate the quality; for answers and for evaluation.

        The confidence is 0 for an unsound translation and for a sentence longer than the network reads; it is 1 if
        there is nothing to translate.

        Raises:
            ModelError: when the network or the encoder fails.
        """
        translations = self._translator.translate(sentences)
        scored = {sentence: ScoredTranslation(each, float(each.is_sound)) for sentence, each in translations.items()}
        to_estimate = [each for each in translations.values() if each.is_sound and each.hypothesis is not None]
        for each, chance in zip(to_estimate, self.estimator.chances(to_estimate), strict=True):
            scored[each.source] = ScoredTranslation(each, float(chance))
        return scored


def _most_pieces(character: str) -> int:
    """Return the most pieces of a character: the UTF-8 bytes of it or of its compatibility form, if it is unknown."""
    if character.isascii():
        return 1
    forms = (character, unicodedata.normalize("NFKC", character))
    return max(len(form.encode("utf-8", "replace")) for form in forms)


def _lowest_confidence(layout: Layout, scored: dict[str, ScoredTranslation]) -> float:
    return min((scored[sentence].confidence for sentence in layout.sentences), default=1.0)
