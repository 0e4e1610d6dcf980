"""Translate sentences: substitute protected tokens, translate, put the tokens back, and check the result."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sprat_translation.negation import negation_differs
from sprat_translation.network import BeamAgreement, Candidate, TranslationNetwork, compare_candidates
from sprat_translation.protected_tokens import (
    SubstitutedSentence,
    is_kept,
    is_misread,
    restore,
    substitution_variants,
)
from sprat_translation.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The network's translation of one sentence, with its probabilities."""

    pieces: tuple[str, ...]
    log_probabilities: tuple[float, ...]
    """Natural logarithm of the probability of each piece, given those before it; the end of the sentence is last."""
    agreement: BeamAgreement
    """How far the other candidates agree with it."""


@dataclass(frozen=True, slots=True)
class Translation:
    """The result for one sentence."""

    source: str
    text: str
    """The source itself if nothing was translated."""
    read: str
    """The input of the network: the source with substitutes for protected tokens."""
    hypothesis: Hypothesis | None
    """None if the network was not used: there was nothing to translate, or the sentence is too long."""
    is_kept: bool
    """Whether `text` has the protected tokens of the source and no others; False for a sentence that is too long."""
    to_german: bool = True
    """Whether it is from English to German, the languages whose negations and numbers are known."""

    @property
    def is_sound(self) -> bool:
        """Whether the translation can be right at all; if not, its confidence is 0.

        It must have the protected tokens. From English to German, it must have no number that a German reader
        misunderstands, and a negation if and only if the source has one. A difference in negation does not select
        another candidate: that one may say the opposite.
        """
        if self.hypothesis is None or not self.to_german:
            return self.is_kept
        return self.is_kept and not is_misread(self.source) and not negation_differs(self.source, self.text)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A translation before its probabilities are computed."""

    text: str
    read: str
    pieces: tuple[str, ...]
    """The pieces of the input; empty if the network was not used."""
    candidates: tuple[Candidate, ...]
    """The chosen one is first."""
    texts: tuple[str, ...]
    """The texts of the candidates, with substitutes."""
    is_kept: bool


class SentenceTranslator:
    """Translates sentences. Thread-safe; holds no state between calls."""

    def __init__(
        self, vocabulary: Vocabulary, network: TranslationNetwork, longest: int, *, to_german: bool = True
    ) -> None:
        self._vocabulary = vocabulary
        self._network = network
        self._longest = longest
        self._to_german = to_german

    def translate(self, sentences: Iterable[str]) -> dict[str, Translation]:
        """Return the translation of each different sentence.

        The best candidate with all protected tokens is chosen. If no candidate has them all, the next variant of
        :func:`~sprat_translation.protected_tokens.substitution_variants` is translated, last the unchanged sentence;
        if that loses a token, too, `is_kept` is False.

        Raises:
            ModelError: when CTranslate2 fails.
        """
        unique = list(dict.fromkeys(sentences))
        variants = {sentence: self._variants(sentence) for sentence in unique}
        drafts: dict[str, _Draft] = {}
        while pending := {
            sentence: variant for sentence in unique if (variant := self._next(sentence, variants, drafts))
        }:
            drafts |= self._translate(pending)
        return self._finish({sentence: drafts[sentence] for sentence in unique})

    def _variants(self, sentence: str) -> Iterator[SubstitutedSentence]:
        if self._vocabulary.copies_symbols:
            return substitution_variants(sentence)
        return iter([SubstitutedSentence(sentence)])

    @staticmethod
    def _next(
        sentence: str, variants: dict[str, Iterator[SubstitutedSentence]], drafts: dict[str, _Draft]
    ) -> SubstitutedSentence | None:
        """Return the next variant of a sentence, or None if its draft has all tokens or no variant is left."""
        return None if sentence in drafts and drafts[sentence].is_kept else next(variants[sentence], None)

    def _translate(self, variants: dict[str, SubstitutedSentence]) -> dict[str, _Draft]:
        texts = [variant.text for variant in variants.values()]
        encoded = dict(zip(variants, self._vocabulary.encode(texts), strict=True))
        drafts: dict[str, _Draft] = {}
        ready: list[str] = []
        for sentence, variant in variants.items():
            if not any(map(str.isalpha, variant.text)) or not encoded[sentence]:
                drafts[sentence] = _Draft(sentence, variant.text, (), (), (), is_kept=True)
            elif len(encoded[sentence]) > self._longest:
                drafts[sentence] = _Draft(sentence, variant.text, (), (), (), is_kept=False)
            else:
                ready.append(sentence)
        start = self._vocabulary.start
        results = self._network.translate([encoded[sentence] for sentence in ready], start) if ready else []
        for sentence, candidates in zip(ready, results, strict=True):
            drafts[sentence] = self._choose(sentence, variants[sentence], encoded[sentence], candidates)
        return drafts

    def _choose(
        self, sentence: str, variant: SubstitutedSentence, pieces: Sequence[str], candidates: Sequence[Candidate]
    ) -> _Draft:
        """Choose the best candidate with all protected tokens, or the best of all if none has them."""
        texts = [self._vocabulary.decode(candidate.pieces) for candidate in candidates]
        restored = [restore(text, variant) for text in texts]
        kept = [
            text is not None and bool(text) and is_kept(sentence, text, to_german=self._to_german) for text in restored
        ]
        chosen = kept.index(True) if any(kept) else 0
        text = restored[chosen]
        order = [chosen, *(index for index in range(len(kept)) if index != chosen)]
        return _Draft(
            texts[chosen] if text is None else text,
            variant.text,
            tuple(pieces),
            tuple(candidates[index] for index in order),
            tuple(texts[index] for index in order),
            kept[chosen],
        )

    def _finish(self, drafts: dict[str, _Draft]) -> dict[str, Translation]:
        translated = [draft for draft in drafts.values() if draft.pieces]
        log_probabilities = self._network.log_probabilities(
            [draft.pieces for draft in translated],
            [draft.candidates[0].pieces for draft in translated],
            self._vocabulary.start,
        )
        hypotheses = iter(
            [
                Hypothesis(draft.candidates[0].pieces, logs, compare_candidates(draft.candidates, draft.texts))
                for draft, logs in zip(translated, log_probabilities, strict=True)
            ]
        )
        return {
            sentence: Translation(
                sentence,
                draft.text,
                draft.read,
                next(hypotheses) if draft.pieces else None,
                draft.is_kept,
                self._to_german,
            )
            for sentence, draft in drafts.items()
        }
