"""From rows whose right answer is known to the thresholds of a model: `thresholds.json`.

* `rows`: what is measured, and what is stated before labels are read
* `estimated`: the accuracies that are reached on average
* `certified`: the accuracies that hold at a certainty of 95 %
* `measured`: both, for all cells of a file
* `compared`: two models on the same rows, each at its own threshold
* `wording`: what a certificate means
"""

from sprat_training.thresholds.certified import Walk, certify, walks_of
from sprat_training.thresholds.compared import Kept, PairedComparison, compare_at
from sprat_training.thresholds.estimated import estimate
from sprat_training.thresholds.measured import measure
from sprat_training.thresholds.rows import NameRows, Purpose, Rows

__all__ = [
    "Kept",
    "NameRows",
    "PairedComparison",
    "Purpose",
    "Rows",
    "Walk",
    "certify",
    "compare_at",
    "estimate",
    "measure",
    "walks_of",
]
