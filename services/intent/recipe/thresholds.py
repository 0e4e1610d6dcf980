"""Measure the levels of a committed artefact, and write them beside its card. Takes a minute.

    python -m services.intent.recipe.thresholds default --data DIR      (or SPRAT_DATA=DIR)

The rows are those that the calibration was fitted on: the levels are estimates, a little too good, and nothing is
certified.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from services.intent.recipe.cards import KINDS, OUTSIDE_SHARE
from sprat_inference.label_calibration import BASE_LANGUAGE
from sprat_intent.model import IntentModel
from sprat_training.datasets.clinc150 import Split, read_queries, read_split
from sprat_training.evaluation import metrics
from sprat_training.levels import write_levels
from sprat_training.thresholds import Rows

ROOT = Path(__file__).resolve().parents[3]
ARTEFACTS = ROOT / "services/intent/src/sprat_intent/artefacts"
QUERIES = ROOT / "tests/data"


def outside_texts(data: Path) -> Split:
    """Return all out-of-scope texts except those of the test set."""
    parts = [read_split(data, "oos_val"), read_split(data, "oos_train_plus250")]
    return Split(parts[0].texts + parts[1].texts, parts[0].labels + parts[1].labels)


def rows_of(model: IntentModel, data: Path, queries: Path) -> Rows:
    """Return the answers to the texts of each language that is calibrated, with `OUTSIDE_SHARE` of texts out of scope.

    German and French have none: the English ones stand in for them, as in the calibration.
    """
    return Rows.concat(list(_by_language(model, data, queries)))


def _by_language(model: IntentModel, data: Path, queries: Path) -> Iterator[Rows]:
    for language in model.calibrated:
        is_base = language == BASE_LANGUAGE
        inside = read_split(data, "val") if is_base else read_queries(queries, language)[0]
        read = metrics.read_splits(model, inside, replace(outside_texts(data), language=language))
        yield Rows.of(
            read.confidence,
            read.right,
            says_none=read.is_rejected,
            languages=language,
            weight=read.weights(OUTSIDE_SHARE) * len(inside.texts) / (1 - OUTSIDE_SHARE),
            real=read.in_scope | is_base,
            outside=~read.in_scope,
        )


def main() -> None:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SPRAT_DATA")
    parser.add_argument("artefact", choices=sorted(KINDS))
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="the folder of open data")
    options = parser.parse_args()
    folder = ARTEFACTS / options.artefact
    model = IntentModel.load(folder)
    print(write_levels(folder, model.card, rows_of(model, options.data, QUERIES)).thresholds_version)


if __name__ == "__main__":
    main()
