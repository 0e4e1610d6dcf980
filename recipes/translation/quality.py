"""Scores of translations and of their confidence. Needs sacreBLEU (`recipes/requirements.txt`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import bleu, chrf

from recipes.translation.corpora import ParallelTexts
from sprat.base.model import Question
from sprat_translation.layout import lay_out
from sprat_translation.model import TranslationModel
from sprat_translation.quality_estimate import GOOD_CHRF
from sprat_translation.sentences import Hypothesis, Translation

Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

POOR_CHRF = 40.0
"""Below it a translation is useless."""


@dataclass(frozen=True, slots=True)
class TranslatedPair:
    """The translations of some texts; row i of each array belongs to text i."""

    pairs: ParallelTexts
    outputs: tuple[str, ...]
    confidence: Doubles
    log_probability: Doubles
    """Mean over the pieces of the least probable sentence: a baseline for the confidence."""
    chrf: Doubles
    """chrF of each text."""
    has_words: Mask
    """Whether there was anything to translate: numbers alone are copied, with confidence 1."""

    def with_words(self) -> "TranslatedPair":
        """Return the texts with words; of others neither a share kept nor a confidence says anything."""
        places = np.flatnonzero(self.has_words)
        return TranslatedPair(
            ParallelTexts(
                tuple(self.pairs.sources[each] for each in places),
                tuple(self.pairs.references[each] for each in places),
            ),
            tuple(self.outputs[each] for each in places),
            self.confidence[places],
            self.log_probability[places],
            self.chrf[places],
            self.has_words[places],
        )

    @property
    def good(self) -> Mask:
        """Whether each translation is close to the reference."""
        return self.chrf >= GOOD_CHRF


@dataclass(frozen=True, slots=True)
class Measured:
    """Corpus scores with the signature that makes them comparable."""

    bleu: float
    chrf: float


BLEU, CHRF = bleu.BLEU(), chrf.CHRF()


def see(model: TranslationModel, pairs: ParallelTexts) -> TranslatedPair:
    """Translate all pairs."""
    questions = [Question(source, model.card.languages[0], model.card.targets[0]) for source in pairs.sources]
    outputs, confidence, sure, has_words = [], [], [], []
    for start in range(0, len(questions), 256):
        some = questions[start : start + 256]
        layouts = [lay_out(question.text) for question in some]
        scored = model.translate(sentence for layout in layouts for sentence in layout.sentences)
        texts = {sentence: each.translation.text for sentence, each in scored.items()}
        for layout in layouts:
            mine = [scored[sentence] for sentence in layout.sentences]
            outputs.append(layout.fill(texts))
            confidence.append(min((each.confidence for each in mine), default=1.0))
            sure.append(min((_mean(each.translation.hypothesis) for each in mine), default=0.0))
            has_words.append(any(_has_words(each.translation) for each in mine))
    return TranslatedPair(
        pairs,
        tuple(outputs),
        np.array(confidence),
        np.array(sure),
        sentence_chrf(outputs, pairs.references),
        np.array(has_words, dtype=np.bool_),
    )


def score(outputs: Sequence[str], references: Sequence[str]) -> Measured:
    """Return corpus BLEU and chrF; 0 without outputs."""
    if not outputs:
        return Measured(0.0, 0.0)
    return Measured(
        BLEU.corpus_score(list(outputs), [list(references)]).score,
        CHRF.corpus_score(list(outputs), [list(references)]).score,
    )


def score_of(seen: TranslatedPair, where: Mask) -> Measured:
    """Return the corpus scores of the texts in the mask."""
    places = np.flatnonzero(where)
    return score([seen.outputs[each] for each in places], [seen.pairs.references[each] for each in places])


def sentence_chrf(outputs: Sequence[str], references: Sequence[str]) -> Doubles:
    """Return the chrF of each output, float64."""
    return np.array(
        [CHRF.sentence_score(output, [reference]).score for output, reference in zip(outputs, references, strict=True)]
    )


def surest(sure: Doubles, share: float) -> Mask:
    """Return the mask of the `share` of texts with the highest values."""
    order = np.argsort(-sure, kind="stable")
    chosen = np.zeros(len(sure), dtype=np.bool_)
    chosen[order[: round(share * len(order))]] = True
    return chosen


def _has_words(translation: Translation) -> bool:
    return translation.hypothesis is not None or not translation.is_kept  # the latter is too long


def _mean(hypothesis: Hypothesis | None) -> float:
    return sum(hypothesis.log_probabilities) / len(hypothesis.log_probabilities) if hypothesis else 0.0
