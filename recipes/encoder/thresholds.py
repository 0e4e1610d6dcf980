"""Measure the levels of the committed zero-shot part, and write them beside its card. Takes a minute.

    python -m recipes.encoder.thresholds --data DIR      (or SPRAT_DATA=DIR)

The calibration saw neither texts nor labels of BANKING77. Its 77 labels are dealt into tasks of 3, 10 and 20 labels,
each with a model of its own. One text in ten is of another task: outside, though near. Such hidden labels stand in for
texts that nobody wrote, so the levels are estimates, and nothing is certified.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recipes.common import options_of
from recipes.encoder.zero_shot import read_rows
from recipes.intent.clinc150 import Split
from recipes.intent.metrics import read_splits
from sprat.base.thresholds import THRESHOLDS, write_thresholds
from sprat_contracts.thresholds import ZERO_SHOT_GOAL
from sprat_encoder.zero_shot import ARTEFACT, NAME, OUTSIDE_SHARE, READER, load_zero_shot
from sprat_inference.artefact import load_part
from sprat_training.thresholds import Rows
from sprat_training.thresholds.levels import LABEL_RIGHT, MeasuredOf, measure_now

SIZES = (*[3] * 9, *[10] * 3, 20)
"""Labels of each task, 77 in all."""


def rows_of(data: Path) -> Rows:
    """Return the answers of a model of each task to the texts of its labels, and to some of other tasks."""
    rows = read_rows(data / "intent/banking77/test.tsv")
    return Rows.concat(list(_by_task(rows)))


def _by_task(rows: list[tuple[str, str]]) -> Iterator[Rows]:
    random = np.random.default_rng(7)
    labels = random.permutation(sorted({label for _, label in rows}))
    for chosen in np.split(labels, np.cumsum(SIZES)[:-1]):
        inside = [row for row in rows if row[1] in chosen]
        others = [row for row in rows if row[1] not in chosen]
        count = round(len(inside) * OUTSIDE_SHARE / (1 - OUTSIDE_SHARE))
        outside = [others[place] for place in random.choice(len(others), count, replace=False)]
        model = load_zero_shot("banking77", dict.fromkeys(sorted(chosen), ""))
        read = read_splits(model, _split(inside), _split(outside))
        yield Rows.of(
            read.confidence,
            read.right,
            says_none=read.is_rejected,
            languages="en",
            real=read.in_scope,
            outside=~read.in_scope,
        )


def _split(rows: list[tuple[str, str]]) -> Split:
    return Split(tuple(text for text, _ in rows), tuple(label for _, label in rows))


def main() -> None:
    """Parse the command line and measure."""
    parser = options_of(__doc__)
    version = load_part(ARTEFACT, reader=READER).version
    of = MeasuredOf(NAME, NAME, version, None, ZERO_SHOT_GOAL)
    thresholds = measure_now(rows_of(parser.parse_args().data), of, LABEL_RIGHT, by="train")
    write_thresholds(ARTEFACT / THRESHOLDS, thresholds)
    print(thresholds.thresholds_version)


if __name__ == "__main__":
    main()
