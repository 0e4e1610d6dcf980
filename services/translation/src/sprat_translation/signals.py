"""What tells a good translation from a bad one without a reference: figures of one sentence and its translation."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from sprat_translation.meanings import KINDS, Doubles
from sprat_translation.sentences import Hypothesis, Translation
from sprat_translation.words import PHRASE_SIZES, Counts, KnownWords, phrases_of, words_of

_SIDES: Final = ("source", "target")

SIGNALS: Final = (
    # What the network says of itself.
    "mean_log_probability",  # of the pieces written, the end included
    "mean_probability",  # of the same
    "least_log_probability",  # of the piece that the network was least sure of
    "unsure_share",  # of pieces with a chance below 0.3
    "lead",  # of the candidate taken over the best other one
    "share",  # of the chance that all candidates of the beam have together
    "consensus",  # how alike they are, each counted by its share
    "indecision",  # entropy of those shares
    "least_alike",  # how alike the one is that differs most
    "mean_alike",  # of the other candidates, each counted alike
    # What the texts are like.
    "length_surprise",  # distance of the length ratio from the usual one, as a logarithm
    "repetition",  # share of the output's words that stand in it already and do not repeat in the source
    "unseen_share",  # of the source's words: never in the training texts
    "rare_share",  # of the source's words: fewer than 10 times in them
    "rarest_word",  # the least count of a word of the source, as a logarithm
    "strange_share",  # of the output's words: in no German training text
    "copied_share",  # of the output's words: taken from the source, and in no German training text
    "question",  # 1 where one side asks and the other does not
    "length",  # of the source in words, as a logarithm
    # Of their phrases, of two and of three words: the share unseen in training, and the mean logarithm of the count.
    *(f"{side}_{size}_{what}" for side in _SIDES for size in PHRASE_SIZES for what in ("unseen", "count")),
    # What the multilingual encoder makes of them.
    "similarity",  # of source and output: cosine of centred vectors
    *(f"kind_{number}" for number in range(1, KINDS + 1)),  # what the source is about, and how it is put
)
"""In the order of the columns. Read :func:`measured` for how each comes about."""

_UNSURE = math.log(0.3)
_LEAST = -12.0
_FURTHEST_LEAD = 2.0
_RARE = 10
_USUAL_RATIO = 1.12
"""Characters of German for each of English, in short everyday sentences."""


def measured(translations: Sequence[Translation], words: KnownWords, meanings: Doubles) -> Doubles:
    """Sentences × signals. `meanings` are the rows of :meth:`~sprat_translation.meanings.Meanings.figures`.

    Raises:
        ValueError: when the network was not asked for one of them.
    """
    rows = [
        (*_sureness(_hypothesis(each)), *_texts(each, words), *_phrases(each, words), *near)
        for each, near in zip(translations, meanings, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(SIGNALS))


def _hypothesis(translation: Translation) -> Hypothesis:
    if translation.hypothesis is None:
        raise ValueError("only what the network has written can be judged")
    return translation.hypothesis


def _sureness(hypothesis: Hypothesis) -> tuple[float, ...]:
    chances = hypothesis.chances
    return (
        sum(chances) / len(chances),
        sum(map(math.exp, chances)) / len(chances),
        max(min(chances), _LEAST),
        sum(chance < _UNSURE for chance in chances) / len(chances),
        max(min(hypothesis.beam.lead, _FURTHEST_LEAD), -_FURTHEST_LEAD),
        hypothesis.beam.share,
        hypothesis.beam.consensus,
        hypothesis.beam.indecision,
        hypothesis.beam.least_alike,
        hypothesis.beam.mean_alike,
    )


def _texts(translation: Translation, words: KnownWords) -> tuple[float, ...]:
    read, written = words_of(translation.read), words_of(translation.text)
    seen, known = words.source.look_up(read), words.target.look_up(written)
    strange = [word for word, count in zip(written, known, strict=True) if not count]
    return (
        abs(math.log((len(translation.text) + 5) / (_USUAL_RATIO * len(translation.source) + 5))),
        _repetition(read, written),
        _share(int((seen == 0).sum()), len(read)),
        _share(int((seen < _RARE).sum()), len(read)),
        math.log1p(int(seen.min())) if len(read) else math.log1p(_RARE),
        _share(len(strange), len(written)),
        _share(len(set(strange) & set(read)), len(written)),
        float(("?" in translation.source) != ("?" in translation.text)),
        math.log1p(len(read)),
    )


def _phrases(translation: Translation, words: KnownWords) -> Iterator[float]:
    sides: tuple[tuple[str, Counts], ...] = (
        (translation.read, words.source_phrases),
        (translation.text, words.target_phrases),
    )
    for text, known in sides:
        own = words_of(text)
        for size in PHRASE_SIZES:
            counts = known.look_up(phrases_of(own, size))
            yield _share(int((counts == 0).sum()), len(counts))
            yield float(np.log1p(counts).mean()) if len(counts) else 0.0


def _repetition(read: Sequence[str], written: Sequence[str]) -> float:
    again = (len(written) - len(set(written))) - (len(read) - len(set(read)))
    return _share(max(again, 0), len(written))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
