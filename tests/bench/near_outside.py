"""Measure models of few labels on texts outside them: near ones, of labels of the same domain, and far ones.

The known labels are drawn from single domains of CLINC150, and from BANKING77, which is one domain; the other labels of
these domains are near. The official out-of-scope test set of CLINC150 is far. The method was chosen on the domains of
CLINC150 in `CHOSEN_ON`, which are a set of their own.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sprat_training  # noqa: F401 - before numpy, which it pins to one thread, as in the command

# isort: split
import numpy as np
from numpy.typing import NDArray

from sprat_contracts.thresholds import Step
from sprat_inference.heads import Floats
from sprat_training.datasets.config import no_progress
from sprat_training.fitting.encoding import TextEncoder, encode_texts, load_base
from sprat_training.fitting.figures import hidden_kept, readings_of
from sprat_training.fitting.heads import cross_validate, features_of, fit_calibrator, group_numbers, logits_of
from sprat_training.fitting.noise import LEAST_TEXTS, copies_to_train
from sprat_training.thresholds import estimate

ACCURACY: Final = 0.97
OUTSIDE_SHARE: Final = 0.1
CHOSEN_ON: Final = slice(0, None, 2)
MEASURED_ON: Final = slice(1, None, 2)
"""Of the ten domains in alphabetical order."""
ROWS: Final = (100, 20, 10)
DRAWS: Final = {5: 5, 10: 5, 20: 3, 50: 1}
"""Number of labels → how often they are drawn."""
SETS: Final = ("CLINC150", "CLINC150 (the rule's)", "BANKING77")


@dataclass(frozen=True, slots=True)
class LabelledVectors:
    """The vectors of some texts, and their labels."""

    vectors: Floats
    labels: NDArray[np.str_]
    copies: Floats | None = None
    """Vectors of an untidy copy of each, which heads are fitted on, too."""

    def of(self, labels: Sequence[str]) -> "LabelledVectors":
        """Return the texts with one of these labels."""
        chosen = np.isin(self.labels, labels)
        return LabelledVectors(self.vectors[chosen], self.labels[chosen])


Parts = tuple[list[list[str]], LabelledVectors, LabelledVectors, Floats]
"""Domains of labels, the vectors of training and test texts, and those of far texts."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One choice of known and near labels."""

    known: tuple[str, ...]
    near: tuple[str, ...]


def near_outside(data: Path, encoder: Path | None) -> dict[str, Any]:
    """Measure all numbers of labels and rows, print a line for each, and return the figures."""
    parts = read_parts(data, load_base(encoder, threads=1).encoder)
    found = {of: measured(*parts[of]) for of in SETS}
    return {f"{of}, {name}": each for of, figures in found.items() for name, each in figures.items()}


def read_parts(data: Path, encoder: TextEncoder) -> dict[str, Parts]:
    """Read the texts of each set."""
    folder = data / "intent/clinc150"
    train = _encoded(encoder, folder / "tsv/train.tsv", copied=True)
    test, far = (_encoded(encoder, folder / f"tsv/{name}.tsv") for name in ("test", "oos_test"))
    domains = json.loads((folder / "domains.json").read_text("utf-8"))
    parts = [sorted(domains[name]) for name in sorted(domains)]
    folder = data / "intent/banking77"
    banking = _encoded(encoder, folder / "train.tsv", copied=True)
    banking_test = _encoded(encoder, folder / "test.tsv")
    labels = sorted(map(str, np.unique(banking_test.labels)))
    return {
        "CLINC150": (parts[MEASURED_ON], train, test, far.vectors),
        "CLINC150 (the rule's)": (parts[CHOSEN_ON], train, test, far.vectors),
        "BANKING77": ([labels], banking, banking_test, far.vectors),
    }


def measured(
    domains: Sequence[Sequence[str]], train: LabelledVectors, test: LabelledVectors, far: Floats
) -> dict[str, Any]:
    """Measure all numbers of labels and rows on these domains."""
    figures: dict[str, Any] = {}
    for rows in ROWS:
        for count in DRAWS:
            each = [one_draw(draw, rows, seed, train, test, far) for seed, draw in enumerate(draws(domains, count))]
            means = {name: round(float(np.mean([one[name] for one in each])), 4) for name in each[0]}
            means["near_texts"] = int(means["near_texts"])  # about as many in each draw
            means["near_kept_least"] = round(min(one["near_kept"] for one in each), 4)
            means["near_kept_most"] = round(max(one["near_kept"] for one in each), 4)
            means["near_kept_above_hidden"] = sum(one["near_kept"] > one["hidden_kept_most"] for one in each)
            means["right_with_near_least"] = round(min(one["right_with_near"] for one in each), 4)
            figures[f"{count} labels, {rows} rows"] = means | {"draws": len(each)}
            counts = ("near_texts", "near_kept_above_hidden")
            shares = "  ".join(f"{name} {value:.1%}" for name, value in means.items() if name not in counts)
            print(f"near outside, {count} labels, {rows} rows: {shares}", flush=True)
    return figures


def draws(domains: Sequence[Sequence[str]], count: int) -> Iterator[Draw]:
    """Yield choices of `count` labels, of as few domains as have so many; the others of these domains are near."""
    for number in range(DRAWS[count]):
        random = np.random.default_rng(100 * count + number)
        wanted = min(max(-(-count // 10), 1), len(domains))
        used = [domains[(number + step) % len(domains)] for step in range(wanted)]
        orders = [[str(label) for label in random.permutation(domain)] for domain in used]
        each = count // wanted
        yield Draw(
            tuple(sorted(label for order in orders for label in order[:each])),
            tuple(label for order in orders for label in order[each:]),
        )


def one_draw(
    draw: Draw, rows: int, seed: int, train: LabelledVectors, test: LabelledVectors, far: Floats
) -> dict[str, float]:
    """Train on `rows` texts of each known label, find the thresholds as the command does, and measure what is kept."""
    random = np.random.default_rng(seed)
    chosen = [
        place for label in draw.known for place in random.permutation(np.flatnonzero(train.labels == label))[:rows]
    ]
    vectors, gold = train.vectors[chosen], _numbers(train.labels[chosen], draw.known)
    copies = None if train.copies is None or rows < LEAST_TEXTS else train.copies[chosen]
    validation = cross_validate(vectors, gold, len(draw.known), vectors[:0], no_progress, copies=copies)
    best = validation.logits.argmax(axis=1)
    calibrator = fit_calibrator(validation.inside, best == gold, validation.outside, OUTSIDE_SHARE)
    readings = readings_of(validation.logits, validation.inside, gold, validation.outside, calibrator)
    groups = group_numbers(vectors, gold)
    weights = readings.weights(OUTSIDE_SHARE) * len(gold) / (1 - OUTSIDE_SHARE)
    doubles = np.concatenate([groups, validation.outside_groups + int(groups.max()) + 1])
    keep_at = {
        none: least(estimate(readings.confidence[of], readings.right[of], weights[of], doubles[of]))
        for none, of in ((False, ~readings.is_rejected), (True, readings.is_rejected))
    }

    inside = test.of(draw.known)
    head, inside_gold = validation.head, _numbers(inside.labels, draw.known)
    stand_in_kept = ((readings.confidence >= keep_at[False]) & ~readings.is_rejected)[~readings.in_scope]
    hidden = hidden_kept(stand_in_kept, validation.outside_groups)
    found: dict[str, float] = {
        "keep_at": keep_at[False],
        "hidden_kept": hidden.share,
        "hidden_kept_least": hidden.least,
        "hidden_kept_most": hidden.most,
    }
    near = np.concatenate([train.of(draw.near).vectors, test.of(draw.near).vectors])
    for name, outside in (("near", near), ("far", far)):
        read = readings_of(
            logits_of(head, inside.vectors),
            features_of(head, inside.vectors),
            inside_gold,
            features_of(head, outside),
            calibrator,
        )
        kept_texts = read.confidence >= np.where(read.is_rejected, keep_at[True], keep_at[False])
        weights = read.weights(OUTSIDE_SHARE)
        own = read.in_scope
        if name == "near":
            found["near_texts"] = len(outside)
            found["kept_inside"] = float(kept_texts[own].mean())
            found["right_inside"] = float(read.right[own & kept_texts].mean()) if kept_texts[own].any() else 1.0
        found[f"{name}_kept"] = float((kept_texts & ~read.is_rejected)[~own].mean())
        total = float(weights[kept_texts].sum())
        found[f"right_with_{name}"] = float(weights[kept_texts & read.right].sum()) / total if total else 1.0
    return found


def least(steps: Sequence[Step]) -> float:
    """Return the threshold of the accuracy asked for, above 1 where none reaches it."""
    return next((each.threshold for each in steps if each.accuracy >= ACCURACY), 1.01)


def _numbers(labels: NDArray[np.str_], known: Sequence[str]) -> NDArray[np.int64]:
    numbers = {label: number for number, label in enumerate(known)}
    return np.array([numbers[str(label)] for label in labels], dtype=np.int64)


def _encoded(encoder: TextEncoder, path: Path, *, copied: bool = False) -> LabelledVectors:
    rows = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
    texts = [row[0] for row in rows]
    vectors, labels = encode_texts(encoder, texts, no_progress).vectors, np.array([row[1] for row in rows])
    if not copied:
        return LabelledVectors(vectors, labels)
    copies = copies_to_train(texts, ["en"] * len(texts))
    return LabelledVectors(vectors, labels, encode_texts(encoder, copies, no_progress).vectors)
