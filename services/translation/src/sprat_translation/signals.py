"""What tells a good translation from a bad one without a reference: figures of one sentence and its translation."""

import math
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sprat.models.encoder import Encoder, unit
from sprat_translation.sentences import Translation
from sprat_translation.words import KnownWords, words_of

Doubles = NDArray[np.float64]
Vectors = NDArray[np.float32]

SIGNALS: Final = (
    "mean_log_probability",  # of the pieces written, the end included
    "mean_probability",  # of the same
    "least_log_probability",  # of the piece that the network was least sure of
    "unsure_share",  # of pieces with a chance below 0.3
    "lead",  # of the candidate taken over the best other one
    "share",  # of the chance that all candidates of the beam have together
    "consensus",  # how alike they are
    "similarity",  # of source and output under the multilingual encoder: cosine of centred vectors
    "length_surprise",  # distance of the length ratio from the usual one, as a logarithm
    "repetition",  # share of the output's words that stand in it already and do not repeat in the source
    "unseen_share",  # of the source's words: never in the training texts
    "rare_share",  # of the source's words: fewer than 10 times in them
    "rarest_word",  # the least count of a word of the source, as a logarithm
    "strange_share",  # of the output's words: in no German training text
    "copied_share",  # of the output's words: taken from the source, and in no German training text
    "negation",  # 1 where one side denies and the other does not
    "question",  # 1 where one side asks and the other does not
    "length",  # of the source in words, as a logarithm
)
"""In the order of the columns. Read :func:`measured` for how each comes about."""

_UNSURE = math.log(0.3)
_LEAST = -12.0
_FURTHEST_LEAD = 2.0
_RARE = 10
_USUAL_RATIO = 1.12
"""Characters of German for each of English, in short everyday sentences."""
_DENIES_SOURCE = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|hardly|\w+n['’]t)\b", re.IGNORECASE
)
_DENIES_TARGET = re.compile(
    r"\b(?:nein|nicht\w*|nie|niemals|niemand\w*|nirgend\w*|kein\w*|weder|ohne|kaum)\b", re.IGNORECASE
)


def measured(
    translations: Sequence[Translation], words: KnownWords, encoder: Encoder, means: tuple[Vectors, Vectors]
) -> Doubles:
    """Sentences × signals. `means` are those of source and target vectors: what all of a language share.

    Raises:
        ModelError: when the encoder fails.
        ValueError: when the network was not asked for one of them.
    """
    if not translations:
        return np.zeros((0, len(SIGNALS)))
    near = similarities(translations, encoder, means)
    rows = [_row(each, words, float(cosine)) for each, cosine in zip(translations, near, strict=True)]
    return np.array(rows, dtype=np.float64)


def vectors(translations: Sequence[Translation], encoder: Encoder) -> tuple[Vectors, Vectors]:
    """The encoder's vectors of sources and outputs."""
    both = encoder.encode([*(each.source for each in translations), *(each.text for each in translations)]).vectors
    return both[: len(translations)], both[len(translations) :]


def similarities(translations: Sequence[Translation], encoder: Encoder, means: tuple[Vectors, Vectors]) -> Doubles:
    """Cosine of each source and its output, after what is common to each language is taken away."""
    source, target = (unit(each - mean) for each, mean in zip(vectors(translations, encoder), means, strict=True))
    cosines: Doubles = (source * target).sum(axis=1, dtype=np.float64)
    return cosines


def _row(translation: Translation, words: KnownWords, similarity: float) -> tuple[float, ...]:
    hypothesis = translation.hypothesis
    if hypothesis is None:
        raise ValueError("only what the network has written can be judged")
    read, written = words_of(translation.read), words_of(translation.text)
    seen, known = words.source.look_up(read), words.target.look_up(written)
    strange = [word for word, count in zip(written, known, strict=True) if not count]
    chances = hypothesis.chances
    return (
        sum(chances) / len(chances),
        sum(map(math.exp, chances)) / len(chances),
        max(min(chances), _LEAST),
        sum(chance < _UNSURE for chance in chances) / len(chances),
        max(min(hypothesis.lead, _FURTHEST_LEAD), -_FURTHEST_LEAD),
        hypothesis.share,
        hypothesis.consensus,
        similarity,
        abs(math.log((len(translation.text) + 5) / (_USUAL_RATIO * len(translation.source) + 5))),
        _repetition(read, written),
        _share(int((seen == 0).sum()), len(read)),
        _share(int((seen < _RARE).sum()), len(read)),
        math.log1p(int(seen.min())) if len(read) else math.log1p(_RARE),
        _share(len(strange), len(written)),
        _share(len(set(strange) & set(read)), len(written)),
        float(bool(_DENIES_SOURCE.search(translation.source)) != bool(_DENIES_TARGET.search(translation.text))),
        float(("?" in translation.source) != ("?" in translation.text)),
        math.log1p(len(read)),
    )


def _repetition(read: Sequence[str], written: Sequence[str]) -> float:
    again = (len(written) - len(set(written))) - (len(read) - len(set(read)))
    return _share(max(again, 0), len(written))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
