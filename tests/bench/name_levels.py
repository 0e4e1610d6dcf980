"""Measure what the levels of single names, and of "nothing missed", are worth on test sets.

    python -m tests.bench.name_levels --data DIR      (or SPRAT_DATA=DIR)

Once by the levels that ship, and once so that each set is read by a calibration and levels that were fitted without its
development part. The network is the same: it has read the training parts of all sets but the German one. No level was
chosen on a test set. Takes five minutes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from recipes.ner.calibrate import development_texts, fit
from recipes.ner.gold import Sentence
from recipes.ner.scores import GERMAN, POOLED, german_half, read_tests
from recipes.ner.sets import DEVELOPMENT
from recipes.ner.thresholds import GERMAN_SENTENCES, OUTPUT, Measured, measured, read_rows, served
from sprat.base.thresholds import find_thresholds
from sprat_contracts.thresholds import NONE, SOME, Thresholds, thousandths
from sprat_ner.model import NerModel
from sprat_training.thresholds.levels import measure_levels
from tests.bench.arguments import parser_of
from tests.bench.benchmarks_page import save
from tests.bench.model_tables import NAME_KINDS

GOAL: Final = 0.95
APART: Final = "wnut17"
"""It marks no user names (`@ name`), which BTC has as persons: nine in ten of the sure persons that are wrong there."""


class NamesAtGoal:
    """Counts what reaches the goal, of texts that are read part by part."""

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = {what: [0, 0, 0] for what in NAME_KINDS}

    def add(self, sentences: Sequence[Sentence], found: Measured, thresholds: Thresholds, language: str) -> None:
        """Add the answers to some sentences, judged by thresholds."""
        for type, rows in found.names.entities.items():
            own = {each.language: each for each in thresholds.entities if each.label == type}
            steps = (own.get(language) or own[None]).estimated
            least = next((step.threshold for step in steps if reaches(step.accuracy)), 2.0)
            for what in (type, "names"):
                self._count(what, rows.confidence >= least, rows.right)
        texts, missed = found.texts, found.names.nothing_missed
        worth = [thresholds.completeness(each, language, SOME) for each in missed.confidence]
        kept = np.array([each is not None and reaches(each.estimated) for each in worth], bool)
        self._count("some", kept, missed.right)
        with_name = np.array([bool(served(each)) for each in sentences], bool)
        held = with_name[~texts.says_none]
        self._count("with_name", kept[held], missed.right[held])
        self.counts["with_name"][0] += int((with_name & texts.says_none).sum())
        for what, said, chosen in (("whole", SOME, ~texts.says_none), ("none", NONE, texts.says_none)):
            rows = texts.where(chosen)
            levels = [thresholds.accuracy(each, language, said).estimated for each in rows.confidence]
            self._count(what, np.array([reaches(each) for each in levels], bool), rows.right)

    def figures(self, texts: str) -> list[dict[str, Any]]:
        """Return what was counted of these texts."""
        return [
            {"texts": texts, "kind": what, "count": count, "kept": kept, "right": right}
            for what, (count, kept, right) in self.counts.items()
        ]

    def _count(self, what: str, kept: Any, right: Any) -> None:
        for place, number in enumerate((len(kept), kept.sum(), right[kept].sum())):
            self.counts[what][place] += int(number)


def reaches(level: float | None) -> bool:
    """Return whether a level reaches the goal."""
    return level is not None and thousandths(level) >= thousandths(GOAL)


def shipped(model: NerModel, tests: Mapping[str, list[Sentence]]) -> list[dict[str, Any]]:
    """Return what is reached by the levels that ship."""
    thresholds = find_thresholds(OUTPUT, model_version=model.card.version)
    assert thresholds is not None
    english, others, german = NamesAtGoal(), NamesAtGoal(), NamesAtGoal()
    for name in POOLED:
        found = read_rows(model, tests[name], "en")
        for each in (english, others) if name != APART else (english,):
            each.add(tests[name], found, thresholds, "en")
    half = german_half(tests[GERMAN], calibrating=False)
    german.add(half, read_rows(model, half, "de"), thresholds, "de")
    return [
        *english.figures("English tests"),
        *others.figures("of these without WNUT17"),
        *german.figures("German tests, the half not calibrated on"),
    ]


def left_out(model: NerModel, tests: Mapping[str, list[Sentence]], data: Path) -> list[dict[str, Any]]:
    """Return what is reached where each set is read by a calibration and levels that were fitted without it."""
    english, others = NamesAtGoal(), NamesAtGoal()
    german = {"de": german_half(tests[GERMAN], calibrating=True)}
    texts = development_texts(data)
    for left in DEVELOPMENT:
        own = [name for name in POOLED if name == left or name.startswith(f"{left}_")]
        if not own:
            continue
        fitted = fit(model, {name: each for name, each in texts.items() if name != left}, german)
        calibrated = model.calibrated(fitted.of_all)
        found = measured(calibrated, fitted.without, data)
        thresholds = measure_levels(model.card, found.texts, names=found.names)
        for name in own:
            answers = read_rows(calibrated, tests[name], "en")
            for each in (english, others) if name != APART else (english,):
                each.add(tests[name], answers, thresholds, "en")
    left = "English tests, each set left out"
    return [*english.figures(left), *others.figures(f"{left}, without WNUT17")]


def main() -> None:
    """Parse the command line, measure and save."""
    data = parser_of(__doc__).parse_args().data
    model, tests = NerModel.load(OUTPUT), read_tests(data, GERMAN_SENTENCES)
    figures = [*left_out(model, tests, data), *shipped(model, tests)]
    for each in figures:
        print(each)
    save("name-levels", figures)


if __name__ == "__main__":
    main()
