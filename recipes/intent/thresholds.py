"""Measure the levels of a committed artefact, and write them beside its card. Takes a minute.

    python -m recipes.intent.thresholds default --data DIR      (or SPRAT_DATA=DIR)

The rows are the texts that the calibration was fitted on, and an untidy copy of each English one: the levels are
estimates, a little too good, and nothing is certified.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recipes.common import ROOT, options_of
from recipes.intent import metrics
from recipes.intent.cards import KINDS, OUTSIDE_SHARE
from recipes.intent.clinc150 import Split, read_queries, read_split
from recipes.intent.noise import IN_TURN, copies
from recipes.intent.noise import KINDS as COPIES
from sprat_encoder.label_model import LabellingModel
from sprat_inference.label_calibration import BASE_LANGUAGE
from sprat_training.evaluation.metrics import ModelReadings
from sprat_training.thresholds import Rows
from sprat_training.thresholds.levels import write_levels

ARTEFACTS = ROOT / "services/intent/src/sprat_intent/artefacts"
QUERIES = ROOT / "tests/data"


def outside_texts(data: Path) -> Split:
    """Return all out-of-scope texts except those of the test set."""
    parts = [read_split(data, "oos_val"), read_split(data, "oos_train_plus250")]
    return Split(parts[0].texts + parts[1].texts, parts[0].labels + parts[1].labels)


def rows_of(model: LabellingModel, data: Path, queries: Path) -> Rows:
    """Return the answers to the texts of each language that is calibrated, with `OUTSIDE_SHARE` of texts out of scope.

    Of each English text there is an untidy copy, too. German and French have no texts out of scope: the English ones
    stand in for them, as in the calibration.
    """
    inside, outside = read_split(data, "val"), outside_texts(data)
    untidy = zip(copies(inside, "to_fit").values(), copies(outside, "to_fit").values(), strict=True)
    read = [metrics.read_splits(model, *pair) for pair in ((inside, outside), *untidy)]
    texts = np.arange(len(inside.texts)), len(inside.texts) + np.arange(len(outside.texts))
    copied = (each[first % IN_TURN :: IN_TURN] for first in range(len(COPIES)) for each in texts)
    group = np.concatenate([*texts, *copied])
    parts = [_rows(metrics.joined(read), group=group, real=np.arange(len(group)) < len(read[0].right))]
    for language in model.calibrated[1:]:
        asked, stand_ins = read_queries(queries, language)[0], replace(outside, language=language)
        of_queries = metrics.read_splits(model, asked, stand_ins)
        parts.append(_rows(of_queries, language, real=of_queries.in_scope))
    return Rows.concat(parts)


def _rows(
    read: ModelReadings,
    language: str = BASE_LANGUAGE,
    *,
    real: NDArray[np.bool_],
    group: NDArray[np.int64] | None = None,
) -> Rows:
    return Rows.of(
        read.confidence,
        read.right,
        says_none=read.is_rejected,
        languages=language,
        weight=read.weights(OUTSIDE_SHARE) * int(read.in_scope.sum()) / (1 - OUTSIDE_SHARE),
        real=real,
        outside=~read.in_scope,
        group=group,
    )


def main() -> None:
    """Parse the command line and measure."""
    parser = options_of(__doc__)
    parser.add_argument("artefact", choices=sorted(KINDS))
    options = parser.parse_args()
    folder = ARTEFACTS / options.artefact
    model = LabellingModel.load(folder)
    print(write_levels(folder, model.card, rows_of(model, options.data, QUERIES)).thresholds_version)


if __name__ == "__main__":
    main()
