"""The scores of the card, measured on the test sets. Needs sacreBLEU (`recipes/requirements.txt`)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from recipes.common import auroc, calibration_error
from recipes.translation.corpora import NAMES, TESTS, read_pairs, written_pairs
from recipes.translation.quality import (
    BLEU,
    CHRF,
    POOR_CHRF,
    Mask,
    TranslatedPair,
    score_of,
    see,
    surest,
)
from sprat_inference.card import Score
from sprat_translation.model import TranslationModel

HALF = 0.5

_FEWEST = 10
"""Fewest good and fewest bad translations for which an AUROC is reported."""


def see_tests(model: TranslationModel, data: Path, every: int = 1) -> dict[str, TranslatedPair]:
    """Translate the test sets in `data`, of Tatoeba's, the longest, each `every`-th text, and the chat written here."""
    steps = {"tatoeba": every}
    seen = {name: see(model, read_pairs(data, file).every(steps.get(name, 1))) for name, file in TESTS.items()}
    return seen | {"written": see(model, written_pairs())}


def scores(seen: Mapping[str, TranslatedPair], keep_at: float) -> tuple[Score, ...]:
    """Return all scores of the card."""
    mixed = [seen[name].with_words() for name in TESTS]
    return (*(each for name, some in seen.items() for each in _of_one(name, some, keep_at)), *_of_all(mixed))


def _of_one(name: str, everything: TranslatedPair, keep_at: float) -> Iterator[Score]:
    yield from _corpus(name, everything, np.ones(len(everything.pairs), dtype=np.bool_), f"{NAMES[name]}, all")
    seen = everything.with_words()
    kept = seen.confidence >= keep_at
    wordless = len(everything.pairs) - len(seen.pairs)
    at = f"{NAMES[name]}, by text" + (f" without the {wordless} that have no words" if wordless else "")
    yield Score(
        name=f"{name}_kept_share", value=_round(kept.mean()), protocol=f"{at}: confidence of {keep_at:g} or more"
    )
    if kept.any():
        poor = (seen.chrf[kept] < POOR_CHRF).mean()
        below = f"{at}: share of the kept below chrF {POOR_CHRF:g}"
        yield from _part(f"{name}_kept", seen, kept, f"{NAMES[name]}, kept at {keep_at:g}")
        yield Score(name=f"{name}_kept_poor", value=_round(poor), protocol=below)
    yield from _part(f"{name}_half", seen, surest(seen.confidence, HALF), f"{NAMES[name]}, the surer half")
    if _FEWEST <= seen.good.sum() <= len(seen.good) - _FEWEST:
        event = f"{at}: tells chrF of 60 or more from less"
        known, alone = auroc(seen.confidence, seen.good), auroc(seen.log_probability, seen.good)
        yield Score(name=f"{name}_auroc", value=_round(known), protocol=f"{event}, by confidence")
        yield Score(
            name=f"{name}_auroc_log_probability", value=_round(alone), protocol=f"{event}, by log-probability alone"
        )
    gap = _round(calibration_error(seen.confidence, seen.good, 10))
    yield Score(name=f"{name}_ece", value=gap, protocol=f"{at}: expected calibration error of that chance, 10 bins")


def _of_all(seen: Sequence[TranslatedPair]) -> Iterator[Score]:
    """Yield the scores of traffic with an equal share of each test set."""
    good = np.concatenate([some.good for some in seen])
    least = min(len(some.pairs) for some in seen)
    rows = np.concatenate([_spread(len(some.pairs), least) for some in seen])
    event = "equal parts of the three tests, by text: tells chrF of 60 or more from less"
    for name, words in (("confidence", "by confidence"), ("log_probability", "by log-probability alone")):
        values = np.concatenate([getattr(some, name) for some in seen])
        suffix = "" if name == "confidence" else f"_{name}"
        yield Score(
            name=f"mixed_auroc{suffix}", value=_round(auroc(values[rows], good[rows])), protocol=f"{event}, {words}"
        )


def _spread(count: int, wanted: int) -> Mask:
    """Return the indices of a number of rows, evenly spread."""
    chosen = np.zeros(count, dtype=np.bool_)
    chosen[np.linspace(0, count - 1, wanted).astype(np.int64)] = True
    return chosen


def _part(name: str, seen: TranslatedPair, where: Mask, protocol: str) -> Iterator[Score]:
    """Yield the scores of the surest texts, and of as many chosen by log-probability alone."""
    yield from _corpus(name, seen, where, protocol)
    others = surest(seen.log_probability, where.mean())
    yield from _corpus(f"{name}_by_log_probability", seen, others, f"{protocol}, as many by log-probability alone")


def _corpus(name: str, seen: TranslatedPair, where: Mask, protocol: str) -> Iterator[Score]:
    measured = score_of(seen, where)
    yield Score(
        name=f"{name}_bleu", value=round(measured.bleu, 2), protocol=f"{protocol}: sacreBLEU {BLEU.get_signature()}"
    )
    yield Score(name=f"{name}_chrf", value=round(measured.chrf, 2), protocol=f"{protocol}: chrF {CHRF.get_signature()}")


def _round(value: float) -> float:
    return round(float(value), 4)
