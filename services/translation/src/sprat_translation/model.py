"""The translation model: from texts to their translations, each with a confidence."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from sprat.base.model import Answer, Question
from sprat_contracts import TranslationOutput
from sprat_contracts.languages import primary_subtag
from sprat_encoder import load as load_shared
from sprat_inference.artefact import BrokenArtefact, ModelError, load_artefact
from sprat_inference.card import Card
from sprat_inference.text_to_text import CALIBRATED_READER, TEXT_TO_TEXT_READER, LanguageMarks, load_pieces, served_tag
from sprat_inference.tokenizer import replace_surrogates
from sprat_translation.layout import Layout, lay_out
from sprat_translation.network import TranslationNetwork
from sprat_translation.quality_estimate import Doubles, QualityEstimate, UncalibratedEstimate, estimate_of
from sprat_translation.sentences import SentenceTranslator, Translation
from sprat_translation.vocabulary import MarkedVocabulary, SubwordVocabulary, Vocabulary

READER = "sprat-translation-marian/3"
"""Revision of the way from text to answer. Raise it with every change that changes an answer."""

READERS = (READER, TEXT_TO_TEXT_READER, CALIBRATED_READER)
"""Of the artefacts that can be served: Sprat's own and those of `sprat models convert`; those of `sprat models add`."""

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


class Pair(NamedTuple):
    """Two tags of a card."""

    language: str
    """Of the text."""
    target: str
    """Of its translation."""


@dataclass(frozen=True, slots=True)
class ScoredTranslation:
    """The translation of one sentence, and the chance that it is good."""

    translation: Translation
    confidence: float


class TranslationModel:
    """A network that translates between one pair of languages or several, with a quality estimate. Thread-safe."""

    def __init__(
        self,
        card: Card,
        translator: SentenceTranslator,
        estimator: QualityEstimator,
        other_pairs: Callable[[Pair], SentenceTranslator] | None = None,
    ) -> None:
        self.card = card
        self.estimator = estimator
        self._translator = translator
        """For the first language and the first target of the card."""
        self._other_pairs = other_pairs
        self._first = Pair(card.languages[0], card.targets[0])

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> Self:
        """Load the artefact in `folder`, compare it with its card, and compute a probe.

        Args:
            folder: the folder of the artefact.
            threads: groups of sentences computed in parallel, each on one core.

        Raises:
            BrokenArtefact: when the artefact cannot be served.
        """
        card = load_artefact(folder, reader=READERS).card
        if not card.languages or not card.targets:
            raise BrokenArtefact(f"{folder}: its card names no language or no target; run the recipe again")
        if card.reader != READER:
            return cls._load_added(folder, card, threads)
        vocabulary = SubwordVocabulary.load(folder)
        network = _load_network(folder, card, vocabulary, threads)
        estimator: QualityEstimator = UncalibratedEstimate()
        if card.built_on is not None:
            encoder = load_shared(card.built_on, max_tokens=ENCODER_TOKENS, threads=threads)
            estimator = QualityEstimate.load(folder, card.calibration, encoder)
        return cls(card, SentenceTranslator(vocabulary, network, card.max_tokens), estimator)

    @classmethod
    def _load_added(cls, folder: Path, card: Card, threads: int) -> Self:
        """Load a model of others, that may know several languages."""
        pieces, marks = load_pieces(folder), LanguageMarks.load(folder)
        first = Pair(card.languages[0], card.targets[0])
        network = _load_network(folder, card, MarkedVocabulary(pieces, marks.of(*first)), threads)

        def translator(pair: Pair) -> SentenceTranslator:
            to_german = [primary_subtag(tag) for tag in pair] == ["en", "de"]
            longest = card.max_tokens + marks.most
            return SentenceTranslator(MarkedVocabulary(pieces, marks.of(*pair)), network, longest, to_german=to_german)

        return cls(card, translator(first), estimate_of(card.calibration), translator)

    def tokens(self, question: Question) -> int:
        """Return an upper bound of the tokens of one sentence that is translated once into as many pieces.

        In a text of several sentences, the end of each is an extra piece; the bound still holds in practice, because an
        English piece has four characters on average. Not counted are sentences that are translated again because their
        translation lost a protected token.
        """
        text = question.text
        return ((len(text) if text.isascii() else sum(map(_most_pieces, text))) + _AROUND) * _COPIES

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all, in order; see :class:`sprat.base.model.Model`."""
        pairs = [self._pair(question) for question in questions]
        layouts = [
            lay_out(replace_surrogates(question.text), pair.language)
            for question, pair in zip(questions, pairs, strict=True)
        ]
        scored = {
            pair: self.translate(
                (s for layout, p in zip(layouts, pairs, strict=True) if p == pair for s in layout.sentences), pair
            )
            for pair in dict.fromkeys(pairs)
        }
        return [_answer(layout, scored[pair], pair) for layout, pair in zip(layouts, pairs, strict=True)]

    def probe(self) -> None:
        """Compute one real batch; see :class:`sprat.base.model.Model`."""
        self.answer([Question(_PROBE, self._first.language, self._first.target)])

    def _pair(self, question: Question) -> Pair:
        target = question.target or self._first.target
        return Pair(served_tag(question.language, self.card.languages), served_tag(target, self.card.targets))

    def translate(self, sentences: Iterable[str], pair: Pair | None = None) -> dict[str, ScoredTranslation]:
        """Translate each different sentence and estimate the quality; for answers and for evaluation.

        Args:
            sentences: the sentences.
            pair: two tags of the card; None for the first of each.

        Returns:
            Sentence → translation. The confidence is 0 for an unsound translation and for a sentence longer than the
            network reads; it is 1 if there is nothing to translate.

        Raises:
            ModelError: when the network or the encoder fails.
        """
        others = self._other_pairs if pair not in {None, self._first} else None
        translator = self._translator if others is None or pair is None else others(pair)
        translations = translator.translate(sentences)
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


def _load_network(folder: Path, card: Card, vocabulary: Vocabulary, threads: int) -> TranslationNetwork:
    try:
        network = TranslationNetwork.load(folder, threads)
        network.probe(vocabulary.encode([_PROBE])[0][0], card.max_tokens)
    except (RuntimeError, ValueError, ModelError) as error:
        raise BrokenArtefact(f"{folder}: the network cannot be used ({error}); write it again") from error
    return network


def _answer(layout: Layout, scored: dict[str, ScoredTranslation], pair: Pair) -> Answer:
    texts = {sentence: each.translation.text for sentence, each in scored.items()}
    output = TranslationOutput(text=layout.fill(texts), target=pair.target)
    return Answer(output, _lowest_confidence(layout, scored))


def _lowest_confidence(layout: Layout, scored: dict[str, ScoredTranslation]) -> float:
    return min((scored[sentence].confidence for sentence in layout.sentences), default=1.0)
