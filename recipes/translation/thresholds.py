"""Measure the levels of the committed artefact, and write them beside its card. Takes five minutes.

    python -m recipes.translation.thresholds --data DIR      (or SPRAT_DATA=DIR)

The rows are the development texts, which the quality estimate was fitted on, and texts beyond the model, which all
count as wrong: the levels are estimates, and nothing is certified.
"""

from pathlib import Path

import numpy as np

from recipes.common import ROOT, options_of
from recipes.translation.choices import OUTSIDE_SHARE
from recipes.translation.corpora import ParallelTexts, hard_sentences
from recipes.translation.estimate import HARD_EVERY, development_pairs
from recipes.translation.quality import POOR_CHRF, see
from sprat_training.thresholds import Rows
from sprat_training.thresholds.levels import write_levels
from sprat_translation.model import TranslationModel

OUTPUT = ROOT / "services/translation/src/sprat_translation/artefacts/en-de"


def rows_of(model: TranslationModel, data: Path) -> Rows:
    """Return the translations of the development texts, and `OUTSIDE_SHARE` of texts beyond the model."""
    known = [see(model, pairs).with_words() for pairs in development_pairs(data)]
    beyond = hard_sentences(data, HARD_EVERY)
    hard = see(model, ParallelTexts(tuple(beyond), ("",) * len(beyond))).with_words()
    count, share = sum(len(each.confidence) for each in known), OUTSIDE_SHARE
    parts = [Rows.of(each.confidence, each.chrf >= POOR_CHRF, languages="en") for each in known]
    weight = np.full(len(hard.confidence), share / (1 - share) * count / len(hard.confidence))
    nowhere = np.zeros(len(weight), np.bool_)
    return Rows.concat([*parts, Rows.of(hard.confidence, nowhere, languages="en", weight=weight, real=nowhere)])


def main() -> None:
    """Parse the command line and measure."""
    parser = options_of(__doc__)
    options = parser.parse_args()
    model = TranslationModel.load(OUTPUT)
    print(write_levels(OUTPUT, model.card, rows_of(model, options.data)).thresholds_version)


if __name__ == "__main__":
    main()
