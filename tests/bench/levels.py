"""Measure what the shipped models keep by the `keep_at` of their cards, and by the levels beside them.

    python -m tests.bench.levels --data DIR      (or SPRAT_DATA=DIR)

All texts are of test sets: no level and no `keep_at` was found on them. Takes five minutes.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from recipes.intent import metrics
from recipes.intent import thresholds as intent
from recipes.intent.clinc150 import Split, read_outside, read_queries, read_split
from recipes.intent.noise import KINDS, copies
from recipes.ner import thresholds as ner
from recipes.ner.scores import GERMAN, POOLED, german_half, read_tests
from recipes.translation import thresholds as translation
from recipes.translation.corpora import NAMES
from recipes.translation.quality import POOR_CHRF
from recipes.translation.scores import see_tests
from sprat.base.thresholds import find_thresholds
from sprat_contracts.kept import least_kept
from sprat_contracts.thresholds import NONE, SOME, Thresholds, thousandths
from sprat_encoder.label_model import LabellingModel
from sprat_inference.card import Card
from sprat_ner.model import NerModel
from sprat_training.thresholds import Rows
from sprat_translation.model import TranslationModel
from tests.bench.arguments import parser_of
from tests.bench.benchmarks_page import save

OUTSIDE_SHARE: Final = 0.1
LANGUAGES: Final = {"en": "English", "de": "German", "fr": "French"}


def measured(data: Path) -> Iterator[dict[str, Any]]:
    """Yield for each model and test set what both rules keep, and how much of that is right."""
    for name in ("default", "en-fast"):
        folder = intent.ARTEFACTS / name
        model = LabellingModel.load(folder)
        for what, rows in _intent(model, data):
            yield _compared(f"intent `{name}`", what, rows, model.card, folder)
    names = NerModel.load(ner.OUTPUT)
    tests = read_tests(data, ner.GERMAN_SENTENCES)
    sets = {
        "en": [sentence for name in POOLED for sentence in tests[name]],
        "de": german_half(tests[GERMAN], calibrating=False),
    }
    for language, sentences in sets.items():
        rows = ner.read_rows(names, sentences, language).texts
        for what, chosen in (("a name", ~rows.says_none), ("none", rows.says_none)):
            of = f"{LANGUAGES[language]} tests, answers with {what}"
            yield _compared("ner", of, rows.where(chosen), names.card, ner.OUTPUT)
    pairs = TranslationModel.load(translation.OUTPUT)
    for name, seen in see_tests(pairs, data, every=5).items():
        some = seen.with_words()
        rows = Rows.of(some.confidence, some.chrf >= POOR_CHRF, languages="en")
        yield _compared("translation", NAMES[name].split(" (")[0], rows, pairs.card, translation.OUTPUT)


def _intent(model: LabellingModel, data: Path) -> Iterator[tuple[str, Rows]]:
    inside, outside = read_split(data, "test"), read_split(data, "oos_test")
    yield "CLINC150 test", _rows(model, inside, outside)
    untidy = copies(inside, "to_measure"), copies(outside, "to_measure")
    for kind in KINDS:
        yield f"a fifth of it: {kind.replace('_', ' ')}", _rows(model, untidy[0][kind], untidy[1][kind])
    for language in model.calibrated[1:]:
        asked = read_queries(intent.QUERIES, language)[1]
        yield f"{LANGUAGES[language]} queries", _rows(model, asked, read_outside(intent.QUERIES, language))


def _rows(model: LabellingModel, inside: Split, outside: Split) -> Rows:
    read = metrics.read_splits(model, inside, replace(outside, language=inside.language))
    return Rows.of(
        read.confidence,
        read.right,
        says_none=read.is_rejected,
        languages=inside.language,
        weight=read.weights(OUTSIDE_SHARE) * len(read.right),
        outside=~read.in_scope,
    )


def _compared(model: str, what: str, rows: Rows, card: Card, folder: Path) -> dict[str, Any]:
    thresholds = find_thresholds(folder, model_version=card.version)
    assert thresholds is not None
    by_card, by_level = _kept_by_card(rows, card), _kept_by_level(rows, thresholds)
    found: dict[str, Any] = {"model": model, "texts": what, "count": len(rows), "goal": thresholds.recommended_goal}
    for rule, kept in (("keep_at", by_card), ("levels", by_level)):
        weight = float(rows.weight[kept].sum())
        found[f"{rule}_kept"] = round(weight / float(rows.weight.sum()), 4)
        found[f"{rule}_right"] = round(float(rows.weight[kept & rows.right].sum()) / weight, 4) if weight else None
    print(found, flush=True)
    return found


def _kept_by_card(rows: Rows, card: Card) -> Any:
    at = np.array([card.keep_at_of(language) for language in rows.languages])
    at = np.where(rows.says_none, np.maximum(at, card.keep_at_outside or 0.0), at)
    return rows.confidence >= [least_kept(each) for each in at]


def _kept_by_level(rows: Rows, thresholds: Thresholds) -> Any:
    answers = zip(rows.confidence, rows.languages, rows.says_none, strict=True)
    levels = [
        thresholds.accuracy(c, language, NONE if none else SOME).estimated or 0.0 for c, language, none in answers
    ]
    return np.array([thousandths(each) for each in levels]) >= thousandths(thresholds.recommended_goal)


def main() -> None:
    """Parse the command line, measure and save."""
    parser = parser_of(__doc__)
    save("levels", list(measured(parser.parse_args().data)))


if __name__ == "__main__":
    main()
