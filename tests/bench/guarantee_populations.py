"""What calibration rows are drawn from, and the truth about it.

A finite population is what a model says of a whole test set, near doubles left out; its rows are drawn with
replacement, and the truth is its own share. A risk curve is made up; its truth is known exactly.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import sprat_training  # noqa: F401 - before numpy, which it pins to one thread, as in the command

# isort: split
import numpy as np
from numpy.typing import NDArray

from recipes.ner.quality import pooled, see
from recipes.ner.scores import POOLED
from recipes.ner.sets import TESTS, read_set
from sprat_contracts.thresholds import LEAST_THRESHOLD, NONE, SOME
from sprat_encoder.label_model import LabellingModel
from sprat_ner.model import NerModel
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.datasets.doubles import core_numbers, doubles_of
from sprat_training.thresholds import Rows
from sprat_training.train import train
from tests.bench.train_quality import Rows as LabelledTexts
from tests.bench.train_quality import table, write

ROOT: Final = Path(__file__).resolve().parents[2]
OUTSIDE: Final = "oos"

At = Mapping[str, float | None]
"""`some` and `none` → the threshold; None keeps nothing."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is kept at thresholds: shares of all texts."""

    kept: float
    wrong: float

    @property
    def right(self) -> float:
        """Return the share right of what is kept; 1 where nothing is."""
        return 1 - self.wrong / self.kept if self.kept else 1.0


class Population(Protocol):
    """Draws rows, and knows what thresholds are worth."""

    def draw(self, random: np.random.Generator, count: int) -> Rows:
        """Return rows that certify."""

    def at(self, thresholds: At) -> Truth:
        """Return the truth."""

    def oracle(self, goal: float) -> At:
        """Return the least thresholds at which what is kept in each cell is as often right as the goal says."""


class FinitePopulation:
    """What a model says of some texts."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._sorted: dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}
        for says in (SOME, NONE):
            cell = rows.where(rows.says_none == (says == NONE))
            order = np.argsort(-cell.confidence, kind="stable")
            self._sorted[says] = -cell.confidence[order], np.concatenate([[0], np.cumsum(~cell.right[order])])

    def draw(self, random: np.random.Generator, count: int) -> Rows:
        """Return rows drawn with replacement."""
        places = random.integers(0, len(self.rows), count)
        return Rows.of(
            self.rows.confidence[places],
            self.rows.right[places],
            says_none=self.rows.says_none[places],
            outside=self.rows.outside[places],
            certifies=np.ones(count, bool),
        )

    def at(self, thresholds: At) -> Truth:
        """Return the shares of the population."""
        kept = wrong = 0
        for says, threshold in thresholds.items():
            if threshold is not None:
                ascending, errors = self._sorted[says]
                count = int(np.searchsorted(ascending, -threshold, side="right"))
                kept, wrong = kept + count, wrong + int(errors[count])
        return Truth(kept / len(self.rows), wrong / len(self.rows))

    def oracle(self, goal: float) -> At:
        """Return the thresholds that whoever knows the population would choose."""
        found: dict[str, float | None] = {}
        for says, (ascending, _) in self._sorted.items():
            possible = np.unique(-ascending[ascending <= -LEAST_THRESHOLD])
            found[says] = next((float(each) for each in possible if self.at({says: each}).right >= goal), None)
        return found


@dataclass(frozen=True, slots=True)
class RiskCurve:
    """Confidences are spread evenly over 0.5 to 1; at each, so many answers are wrong."""

    risk: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    mean: Callable[[float], float]
    """A threshold → the share wrong among the answers at or above it."""

    def draw(self, random: np.random.Generator, count: int) -> Rows:
        """Return rows that all name something."""
        confidence = random.uniform(LEAST_THRESHOLD, 1, count)
        return Rows.of(confidence, random.random(count) >= self.risk(confidence), certifies=np.ones(count, bool))

    def at(self, thresholds: At) -> Truth:
        """Return the shares as they follow from the curve."""
        threshold = thresholds.get(SOME)
        if threshold is None:
            return Truth(0.0, 0.0)
        kept = min((1 - threshold) / (1 - LEAST_THRESHOLD), 1.0)
        return Truth(kept, kept * self.mean(threshold))

    def oracle(self, goal: float) -> At:
        """Return the threshold to a thousandth."""
        possible = np.arange(500, 1000) / 1000
        return {SOME: next((float(each) for each in possible if self.mean(each) <= 1 - goal), None), NONE: None}


def flat(risk: float) -> RiskCurve:
    """Return a curve of one risk: no threshold is better than another."""
    return RiskCurve(lambda confidence: np.full(len(confidence), risk), lambda _: risk)


def steep(most: float) -> RiskCurve:
    """Return a curve that rises with the square of the distance from 1, up to `most` at 0.5."""
    return RiskCurve(
        lambda confidence: most * (2 * (1 - confidence)) ** 2, lambda threshold: most * (2 * (1 - threshold)) ** 2 / 3
    )


def clinc150(data: Path) -> FinitePopulation:
    """Return what the shipped intent model says of the test texts, those out of scope among them."""
    rows = [row for name in ("test", "oos_test") for row in table(data / f"intent/clinc150/tsv/{name}.tsv")]
    return answered(ROOT / "services/intent/src/sprat_intent/artefacts/default", rows)


def banking77(data: Path) -> FinitePopulation:
    """Return what a model says of the test texts that was trained without 8 of the 77 labels, 40 texts a label."""
    random = np.random.default_rng(0)
    rows, test = (table(data / f"intent/banking77/{name}.tsv") for name in ("train", "test"))
    hidden = {str(each) for each in random.permutation(sorted({label for _, label in rows}))[:8]}
    known = few([row for row in rows if row[1] not in hidden], 40, random)
    return trained(known, [(text, OUTSIDE if label in hidden else label) for text, label in test])


def bitext(data: Path) -> FinitePopulation:
    """Return what a model says of the other texts that was trained on 10 texts of each label."""
    folder = data / "intent/bitext_customer_support"
    rows = [row for path in sorted(folder.glob("*.tsv.gz")) for row in table(path)]
    known = few(rows, 10, np.random.default_rng(0))
    double = doubles_of([text for text, _ in rows], [text for text, _ in known])
    return trained(known, [row for row, is_double in zip(rows, double, strict=True) if not is_double])


def names(data: Path) -> FinitePopulation:
    """Return what the shipped model of names says of all English test sentences."""
    model = NerModel.load(ROOT / "services/ner/src/sprat_ner/artefacts/default")
    sentences = [one for name in POOLED for one in read_set(data, TESTS[name])]
    seen = pooled([see(model, sentences)])
    return distinct(
        [one.text for one in sentences],
        Rows.of(seen.confidence, seen.right, says_none=~seen.answered_with_name),
    )


def few(rows: LabelledTexts, count: int, random: np.random.Generator) -> LabelledTexts:
    """Return so many random rows of each label."""
    by_label: dict[str, LabelledTexts] = {}
    for place in random.permutation(len(rows)):
        by_label.setdefault(rows[place][1], []).append(rows[place])
    return [row for label in sorted(by_label) for row in by_label[label][:count]]


def trained(known: LabelledTexts, test: LabelledTexts) -> FinitePopulation:
    """Train as the command does, and return what the model says of other texts."""
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder) / "known.csv", Path(folder) / "model"
        write(file, known)
        train(TrainingConfig(files=(file,), output=output, name="bench"), no_progress)
        return answered(output, test)


def answered(artefact: Path, rows: LabelledTexts) -> FinitePopulation:
    """Return what an intent model says of texts; those with the label `oos` are outside every label."""
    model = LabellingModel.load(artefact, threads=2)
    labels = np.array(model.card.labels)
    parts = [model.classify(texts, ["en"] * len(texts)) for texts in batches([text for text, _ in rows])]
    none = np.concatenate([each.is_outside for each in parts])
    said = np.where(none, OUTSIDE, labels[np.concatenate([each.best for each in parts])])
    gold = np.array([label for _, label in rows])
    confidence = np.concatenate([each.confidence for each in parts])
    return distinct(
        [text for text, _ in rows], Rows.of(confidence, said == gold, says_none=none, outside=gold == OUTSIDE)
    )


def batches(texts: list[str]) -> Iterator[list[str]]:
    """Yield the texts as a service reads them."""
    return (texts[first : first + 100] for first in range(0, len(texts), 100))


def distinct(texts: list[str], rows: Rows) -> FinitePopulation:
    """Return the rows as a population, the first of each group of near doubles alone."""
    return FinitePopulation(rows.where(np.sort(np.unique(core_numbers(texts), return_index=True)[1])))
