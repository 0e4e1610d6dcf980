"""Measure the levels of the committed artefact, and write them beside its card. Takes a minute.

    python -m recipes.ner.thresholds --data DIR      (or SPRAT_DATA=DIR)

The rows are the development sentences, each as it is. A calibration that was fitted without the set of a sentence
answers it, and in all, a set weighs the square root of its rows: so the levels hold on average for a set that did not
calibrate. They are estimates, and nothing is certified. The network has read the training parts of all sets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from recipes.common import ROOT, options_of
from recipes.ner.calibrate import development_texts, fit, misses_nothing, served, weights_of
from recipes.ner.gold import Sentence, laid_on, read_spans
from recipes.ner.quality import BATCH, canonical
from recipes.ner.scores import german_half
from recipes.ner.sets import DEVELOPMENT, read_set
from sprat.base.model import Question
from sprat_contracts import NerOutput
from sprat_contracts.thresholds import NONE, says
from sprat_ner.calibration import NameCalibrator
from sprat_ner.decoding import TYPES
from sprat_ner.model import NerModel
from sprat_training.thresholds import NameRows, Rows
from sprat_training.thresholds.levels import write_levels

OUTPUT = ROOT / "services/ner/src/sprat_ner/artefacts/default"
GERMAN_SENTENCES = ROOT / "tests/data/ner_de.jsonl"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the model says of texts and of their names."""

    texts: Rows
    names: NameRows

    @classmethod
    def concat(cls, parts: Sequence[Self], weights: Sequence[float]) -> Self:
        """Return the rows of all parts, each part with its weight."""
        entities = {type: _weighted([each.names.entities[type] for each in parts], weights) for type in TYPES}
        missed = _weighted([each.names.nothing_missed for each in parts], weights)
        return cls(_weighted([each.texts for each in parts], weights), NameRows(entities, missed))


def measured(model: NerModel, without: Mapping[str, NameCalibrator], data: Path) -> Measured:
    """Return the answers to the English development sentences of some sets, and to the German ones that calibrate.

    Args:
        model: as it is served: it answers the German sentences.
        without: set → the calibration that answers its sentences.
        data: folder of open data.
    """
    german = german_half(read_spans(GERMAN_SENTENCES), calibrating=True)
    sets = {name: read_set(data, DEVELOPMENT[name]) for name in without}
    answered = [read_rows(model.calibrated(without[name]), sentences, "en") for name, sentences in sets.items()]
    weights = weights_of([*map(len, sets.values())]).tolist()
    return Measured.concat([*answered, read_rows(model, german, "de")], [*weights, 1.0])


def _weighted(parts: Sequence[Rows], weights: Sequence[float]) -> Rows:
    return Rows.concat(
        [replace(rows, weight=weight * rows.weight) for rows, weight in zip(parts, weights, strict=True)]
    )


def read_rows(model: NerModel, sentences: Sequence[Sentence], language: str) -> Measured:
    """Return the answers as they are published: with emails, amounts and the like, which no data set marks."""
    questions = [Question(sentence.text, language) for sentence in sentences]
    batches = (questions[first : first + BATCH] for first in range(0, len(questions), BATCH))
    answers = [answer for batch in batches for answer in model.answer(batch)]
    right, complete = [], []
    entities: dict[str, list[tuple[float, bool, int]]] = {type: [] for type in TYPES}
    for place, (sentence, answer) in enumerate(zip(sentences, answers, strict=True)):
        assert isinstance(answer.output, NerOutput)  # noqa: S101 - a recipe, stopped by it
        found = [each for each in answer.output.entities if each.label in TYPES]
        names = [(each.start, each.end, each.label) for each in found]
        wanted = served(sentence)
        right.append(canonical(laid_on(sentence.bounds, names)) == canonical(sentence.labels))
        complete.append(misses_nothing(wanted, names))
        for each, name in zip(found, names, strict=True):
            entities[each.label].append((each.probability or 0.0, name in wanted, place))
    none = np.array([says(answer.output) == NONE for answer in answers])
    texts = Rows.of([answer.confidence for answer in answers], right, says_none=none, languages=language)
    chances = [answer.confidence if answer.nothing_missed is None else answer.nothing_missed for answer in answers]
    missed = Rows.of(chances, complete, languages=language).where(~none)
    return Measured(texts, NameRows({type: _entities(rows, language) for type, rows in entities.items()}, missed))


def _entities(rows: Sequence[tuple[float, bool, int]], language: str) -> Rows:
    chances, right, places = zip(*rows, strict=True) if rows else ((), (), ())
    return Rows.of(chances, right, group=places, languages=language)


def main() -> None:
    """Parse the command line and measure."""
    parser = options_of(__doc__)
    options = parser.parse_args()
    model = NerModel.load(OUTPUT)
    german = german_half(read_spans(GERMAN_SENTENCES), calibrating=True)
    without = fit(model, development_texts(options.data), {"de": german}).without
    found = measured(model, without, options.data)
    print(write_levels(OUTPUT, model.card, found.texts, names=found.names).thresholds_version)


if __name__ == "__main__":
    main()
