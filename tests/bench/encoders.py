"""Measure models on one shared encoder, on the other, and on both, as `sprat train intent` makes them.

    python -m tests.bench.encoders --data DIR [--save] [--only NAME …]     (or SPRAT_DATA=DIR)

Each model is trained from a file without texts outside, and reads a test that nothing was chosen on. The encoders take
turns on one thread; their CPU compares within one run alone.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import sprat_training  # noqa: F401 - before numpy, which it pins to one thread, as in the command

# isort: split
import numpy as np
from numpy.typing import NDArray

import sprat_encoder
from sprat.base.model import Question
from sprat.base.thresholds import find_thresholds
from sprat_encoder.label_model import LabellingModel
from sprat_inference.encoder import SentenceVectors
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.datasets.sources import read_sources
from sprat_training.evaluation.decision import Goal, VersionAtGoal
from sprat_training.evaluation.metrics import wilson
from sprat_training.fitting.encoding import BOTH, BaseEncoder, RememberingEncoder, TextEncoder, load_base
from sprat_training.fitting.label_fit import fit_labels
from sprat_training.thresholds import Rows
from sprat_training.train import write_training
from tests.bench.arguments import parser_of, write_json
from tests.bench.benchmarks_page import read, save
from tests.bench.near_outside import draws, one_draw, read_parts
from tests.bench.train_quality import Rows as Texts
from tests.bench.train_quality import bitext, clinc150, table, write

OUTSIDE: Final = "oos"
ENCODERS: Final = {"e5": sprat_encoder.ARTEFACT, "MiniLM": sprat_encoder.MINILM, "both": BOTH}
GOAL: Final = Goal(0.97)
ROWS_OF_A_LABEL: Final = 100
NEAR_LABELS: Final = 10
TIMED: Final = 1_000
ROUNDS: Final = 3
BATCH: Final = 64
RESAMPLED: Final = 1_000


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Texts to train on and to test on; those outside every label have the label `oos`."""

    train: Texts
    test: Texts
    near: bool = True
    """Whether it has labels of one domain, of which some can be left out."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a line for each model, and return the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--save", action="store_true", help="save the figures and fill docs/benchmarks")
    parser.add_argument("--only", nargs="*", help="these sets alone")
    options = parser.parse_args(argv)
    figures: dict[str, Any] = {}
    encoders = bases()
    for name, of in sets(options.data).items():
        if not options.only or name in options.only:
            figures[name] = measured(name, of, options.data, encoders)
            if options.save:
                saved = read("encoders") | figures
                save("encoders", {each: saved[each] for each in sets(options.data) if each in saved})
    write_json(options.json, figures)
    return 0


def sets(data: Path) -> dict[str, LabelledSet]:
    """Return the sets by their names."""
    outside = table(data / "intent/clinc150/tsv/oos_test.tsv")
    return {
        "CLINC150": LabelledSet(
            clinc150("train")(data), [*clinc150("test")(data), *((text, OUTSIDE) for text, _ in outside)]
        ),
        "BANKING77": LabelledSet(table(data / "intent/banking77/train.tsv"), table(data / "intent/banking77/test.tsv")),
        "bitext support": LabelledSet(bitext(held_out=False)(data), bitext(held_out=True)(data), near=False),
    }


@dataclass(frozen=True, slots=True)
class OneOfTwo:
    """One encoder's vectors, of texts that both read once for all models."""

    both: TextEncoder
    place: int

    def encode(self, texts: Sequence[str]) -> SentenceVectors:
        """Return the vectors of texts, in order."""
        read = self.both.encode(texts)
        return SentenceVectors(read.vectors[:, self.place], read.truncated, read.empty)


def bases() -> dict[str, BaseEncoder]:
    """Return what models are made on; each text is read once."""
    found = {name: load_base(place, threads=1) for name, place in ENCODERS.items()}
    both = RememberingEncoder(found["both"].encoder)
    encoders: list[TextEncoder] = [OneOfTwo(both, 0), OneOfTwo(both, 1), both]
    return {name: replace(base, encoder=encoder) for (name, base), encoder in zip(found.items(), encoders, strict=True)}


def measured(name: str, of: LabelledSet, data: Path, encoders: dict[str, BaseEncoder]) -> dict[str, Any]:
    """Train on each encoder, and return the figures of each model."""
    figures: dict[str, Any] = {}
    models: dict[str, LabellingModel] = {}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "train.csv", of.train)
        for encoder, base in encoders.items():
            output = Path(folder) / encoder
            config = TrainingConfig(files=(Path(folder) / "train.csv",), output=output, name="bench", threads=1)
            write_training(fit_labels(base, read_sources(config), config, no_progress), no_progress)
            models[encoder] = LabellingModel.load(output)
            figures[encoder] = tested(models[encoder], output, of.test)
            if of.near:
                figures[encoder] |= near_kept(name, data, base.encoder)
    for encoder, seconds in cpu_seconds(models, [text for text, _ in of.test]).items():
        figures[encoder] |= {"cpu_s": seconds, "cpu_s_of_kept": seconds / figures[encoder]["kept"][0]}
        print(name, encoder, figures[encoder], flush=True)
    return figures


def tested(model: LabellingModel, folder: Path, test: Texts) -> dict[str, Any]:
    """Return what a model says of the test, and what is kept at the goal."""
    labels = list(model.card.labels or ())
    said = model.classify([text for text, _ in test], ["en"] * len(test))
    gold = np.array([labels.index(label) if label in labels else -1 for _, label in test])
    outside = gold < 0
    best = said.best == gold
    right = np.where(said.is_outside, outside, best)
    rows = Rows.of(said.confidence, right, says_none=said.is_outside, languages="en", outside=outside)
    found = find_thresholds(folder, model_version=model.card.version)
    kept = VersionAtGoal.measured("", model.card.version, rows, found, GOAL).kept
    assert kept is not None
    inside = ~outside
    return {
        "texts": int(inside.sum()),
        "outside": int(outside.sum()),
        "right": shares(best[inside]),
        "kept": shares(kept.kept[inside]),
        "kept_right": shares(right[kept.kept]),
        "outside_kept": shares((kept.kept & ~said.is_outside)[outside]) if outside.any() else None,
        "aurc": resampled(said.confidence, right),
        "by_words": float(said.by_words.mean()),
    }


def near_kept(name: str, data: Path, encoder: TextEncoder) -> dict[str, Any]:
    """Return what models of ten labels keep of texts of other labels of the same domains, and of their own."""
    parts, train_, test, far = read_parts(data, encoder)[name]
    found = [
        one_draw(draw, ROWS_OF_A_LABEL, seed, train_, test, far) for seed, draw in enumerate(draws(parts, NEAR_LABELS))
    ]
    near = [each["near_kept"] for each in found]
    return {
        "draws": len(found),
        "near_kept": [float(np.mean(near)), min(near), max(near)],
        "near_kept_inside": float(np.mean([each["kept_inside"] for each in found])),
    }


def cpu_seconds(models: dict[str, LabellingModel], texts: Sequence[str]) -> dict[str, float]:
    """Return the CPU seconds of 1,000 texts in batches, of the fastest of the rounds; the models take turns."""
    order = np.random.default_rng(0).permutation(len(texts))[:TIMED]
    questions = [Question(texts[place], "en") for place in order]
    batches = [questions[start : start + BATCH] for start in range(0, len(questions), BATCH)]
    found: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            started = time.process_time()
            for batch in batches:
                model.answer(batch)
            found[name].append((time.process_time() - started) * 1_000 / len(questions))
    return {name: min(each) for name, each in found.items()}


def shares(flags: NDArray[np.bool_]) -> list[float]:
    """Return the share that is true, with its 95 % interval (Wilson)."""
    found = wilson(float(flags.sum()), len(flags))
    return [found.value, found.low, found.high]


def risk_area(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the area under risk and coverage: the mean, over how many of the surest are kept, of the share wrong."""
    wrong = ~right[np.argsort(-confidence, kind="stable")]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def resampled(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> list[float]:
    """Return the area, with the 95 % interval of a bootstrap over the texts."""
    random = np.random.default_rng(0)
    drawn = [random.integers(0, len(right), len(right)) for _ in range(RESAMPLED)]
    low, high = np.quantile([risk_area(confidence[each], right[each]) for each in drawn], [0.025, 0.975])
    return [risk_area(confidence, right), float(low), float(high)]


if __name__ == "__main__":
    sys.exit(main())
