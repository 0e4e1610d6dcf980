"""Measure models with their lexical stage and without it: answers, texts outside, CPU.

    python -m tests.bench.lexical_quality --data DIR [--json FILE]      (or SPRAT_DATA=DIR)

The shipped models on CLINC150, and models that `sprat train intent` makes of BANKING77 and bitext. Without the stage,
a model has the `keep_at` that its recipe or its training finds for the encoder alone. Each batch is read by both in
turn. Exits 1 when a shipped model misses what is asked of the stage. Ten minutes.
"""

import gzip
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import sprat_training  # noqa: F401 - before numpy, which it pins to one thread, as in the command

# isort: split
import numpy as np

from recipes.intent import metrics
from recipes.intent.build import lowest_threshold
from recipes.intent.clinc150 import Split, read_split
from recipes.intent.thresholds import ARTEFACTS, outside_texts
from sprat_encoder.label_model import Classification, LabellingModel
from sprat_training.datasets.config import TrainingConfig, no_progress
from sprat_training.evaluation.metrics import Flags, ModelReadings
from sprat_training.train import train
from tests.bench.arguments import parser_of, write_json
from tests.bench.train_quality import Rows, bitext, table, write

OUTSIDE_SHARE: Final = 0.1
MARGIN: Final = 0.002
"""How much worse accuracy, kept share, right of kept and calibration may be with the stage, and how much more of the
texts outside may be kept with a label."""
MOST_CPU: Final = {"default": 0.45, "en-fast": 0.45}
"""Shipped model → CPU with the stage ÷ CPU without it."""
BATCHES: Final = (64, 500)
"""Texts at a time: what the service takes by default, and many. The encoder is cheaper on many; it gets fewer now."""
FAR_TEXTS: Final = 1_000
KNOWN_LABELS: Final = {"BANKING77": 50, "bitext": 20}


@dataclass(frozen=True, slots=True)
class Pair:
    """A model with the stage and the same without it, and texts that neither was fitted on."""

    name: str
    words: LabellingModel
    alone: LabellingModel
    inside: Split
    near: Split
    """About the same subjects, but outside every label."""
    far: Split


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = parser_of(__doc__)
    options = parser.parse_args(argv)
    figures: dict[str, Any] = {"sets": {}}
    for name in MOST_CPU:
        pair = shipped(name, options.data)
        figures["sets"][pair.name] = said(pair.name, compared(pair))
    with tempfile.TemporaryDirectory() as folder:
        for name in KNOWN_LABELS:
            pair = trained(name, options.data, Path(folder))
            figures["sets"][pair.name] = said(pair.name, compared(pair))
    figures["missed"] = [line for name, most in MOST_CPU.items() for line in missed(name, figures["sets"], most)]
    print("\n".join(figures["missed"]) or "All targets are met.")
    write_json(options.json, figures)
    return 1 if figures["missed"] else 0


def shipped(name: str, data: Path) -> Pair:
    """Return a shipped model, and without the stage as the recipe would have made it."""
    model = LabellingModel.load(ARTEFACTS / name)
    alone = model.encoder_alone()
    keep_at = lowest_threshold(metrics.read_splits(alone, read_split(data, "val"), outside_texts(data)))
    alone.card = model.card.model_copy(update={"keep_at": keep_at, "lexical": None})
    far = gzip.decompress((data / "intent/clinc150/all_wiki_sents.txt.gz").read_bytes()).decode("utf-8").splitlines()
    return Pair(name, model, alone, read_split(data, "test"), read_split(data, "oos_test"), unlabelled(far[:FAR_TEXTS]))


def trained(name: str, data: Path, folder: Path) -> Pair:
    """Return models of some labels of a set; texts of its other labels are near, those of CLINC150 out of scope far."""
    rows, test = rows_of(name, data)
    labels = sorted({label for _, label in rows})
    known = set(np.random.default_rng(0).permutation(labels)[: KNOWN_LABELS[name]].tolist())
    file = folder / f"{name}.csv"
    write(file, [row for row in rows if row[1] in known])

    def model(*, lexical: bool) -> LabellingModel:
        output = folder / f"{name}-{lexical}"
        train(TrainingConfig(files=(file,), output=output, name="bench", lexical=lexical), no_progress)
        return LabellingModel.load(output)

    inside = [row for row in test if row[1] in known]
    near = [text for text, label in (*rows, *test) if label not in known]
    split = Split(tuple(text for text, _ in inside), tuple(label for _, label in inside))
    return Pair(
        f"{name}, {len(known)} of {len(labels)} labels",
        model(lexical=True),
        model(lexical=False),
        split,
        unlabelled(near),
        read_split(data, "oos_test"),
    )


def rows_of(name: str, data: Path) -> tuple[Rows, Rows]:
    """Return the training rows and the test rows of a set."""
    if name == "bitext":
        return bitext(held_out=False)(data), bitext(held_out=True)(data)
    return table(data / "intent/banking77/train.tsv"), table(data / "intent/banking77/test.tsv")


def unlabelled(texts: Sequence[str]) -> Split:
    """Return texts outside every label."""
    return Split(tuple(texts), ("",) * len(texts))


class Watched:
    """A model that notes what its lexical stage answers, and the CPU that it takes."""

    def __init__(self, model: LabellingModel) -> None:
        self.card = model.card
        self.by_words: list[Flags] = []
        self.seconds = 0.0
        self._model = model

    def classify(self, texts: Sequence[str], languages: Sequence[str]) -> Classification:
        """Classify; see :class:`LabellingModel`."""
        before = time.process_time()
        found = self._model.classify(texts, languages)
        self.seconds += time.process_time() - before
        self.by_words.append(found.by_words)
        return found


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model says of some texts."""

    readings: ModelReadings
    by_words: Flags
    """Whether the lexical stage answers each."""
    cpu: float
    """CPU seconds per 1,000 texts."""


def read_in_turn(
    pair: Pair, inside: Split, outside: Split = metrics.EMPTY_SPLIT, count: int = BATCHES[0]
) -> dict[str, Reading]:
    """Return what each says, with the stage (`on`) and without it (`off`); both read each `count` texts in turn."""
    models = {"on": Watched(pair.words), "off": Watched(pair.alone)}
    parts: dict[str, list[ModelReadings]] = {mode: [] for mode in models}
    for split, is_inside in ((inside, True), (outside, False)):
        for start in range(0, len(split.texts), count):
            batch = slice(start, start + count)
            some = Split(split.texts[batch], split.labels[batch])
            for mode, model in models.items():
                both = (some,) if is_inside else (metrics.EMPTY_SPLIT, some)
                parts[mode].append(metrics.read_splits(model, *both))
    texts = len(inside.texts) + len(outside.texts)
    return {
        mode: Reading(
            joined(parts[mode]),
            np.concatenate(model.by_words),
            1_000 * model.seconds / texts,
        )
        for mode, model in models.items()
    }


def joined(parts: Sequence[ModelReadings]) -> ModelReadings:
    """Return the readings of all parts, in their order."""
    names = [each.name for each in fields(ModelReadings)]
    return ModelReadings(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def compared(pair: Pair) -> dict[str, Any]:
    """Return the figures of both on texts with a label, near ones and far ones."""
    inside = read_in_turn(pair, pair.inside)
    found = answered(pair, inside)
    many = read_in_turn(pair, pair.inside, count=BATCHES[1])
    found["cpu_ratio_many"] = many["on"].cpu / many["off"].cpu
    for mode, read in many.items():
        found[mode]["cpu_many"] = read.cpu
    near, far = len(pair.near.texts), len(pair.far.texts)
    found |= {"near_texts": near, "far_texts": far}
    outside = Split(pair.near.texts + pair.far.texts, pair.near.labels + pair.far.labels)
    for mode, read in read_in_turn(pair, metrics.EMPTY_SPLIT, outside).items():
        readings, keep_at = read.readings, found[mode]["keep_at"]
        kept = ~readings.is_rejected & (readings.confidence >= keep_at)
        for what, part in (("near", slice(-near - far, -far)), ("far", slice(-far, None))):
            found[mode] |= {
                f"{what}_kept": float(kept[part].mean()),
                f"{what}_by_words": float(read.by_words[part].mean()),
            }
        bins = metrics.reliability_bins(joined([inside[mode].readings, readings]), OUTSIDE_SHARE)
        found[mode]["ece"] = metrics.expected_calibration_error(bins)
    return found


def answered(pair: Pair, read: Mapping[str, Reading]) -> dict[str, Any]:
    """Return the figures of both on texts with a label alone."""
    words = read["on"]
    wrong = ~words.readings.best_right[words.by_words]
    found: dict[str, Any] = {
        "texts": len(words.by_words),
        "by_words": float(words.by_words.mean()),
        "by_words_wrong": float(wrong.mean()) if len(wrong) else 0.0,
        "cpu_ratio": words.cpu / read["off"].cpu,
    }
    for mode, model in (("on", pair.words), ("off", pair.alone)):
        readings, keep_at = read[mode].readings, model.card.keep_at
        share, right = metrics.kept_share(readings, keep_at, 0.0)
        found[mode] = {
            "keep_at": keep_at,
            "accuracy": metrics.raw_accuracy(readings),
            "kept_share": share,
            "kept_right": right,
            "cpu": read[mode].cpu,
        }
    return found


def missed(name: str, sets: Mapping[str, Any], most_cpu: float) -> list[str]:
    """Return one line for each figure of a shipped model that is worse with the stage than is allowed."""
    found = sets[name]
    on, off = found["on"], found["off"]
    worse = {
        **{what: off[what] - on[what] for what in ("accuracy", "kept_share", "kept_right")},
        **{what: on[what] - off[what] for what in ("ece", "near_kept", "far_kept")},
    }
    lines = [
        f"{name}: {what} is {100 * change:.2f} points worse with the stage, more than {100 * MARGIN:.1f}"
        for what, change in worse.items()
        if change > MARGIN
    ]
    lines += [
        f"{name}: {found[ratio]:.2f} times the CPU in batches of {count}, above {most_cpu}"
        for ratio, count in zip(("cpu_ratio", "cpu_ratio_many"), BATCHES, strict=True)
        if found[ratio] > most_cpu
    ]
    return lines


def said(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Print the figures, and return them rounded."""
    rounded = {
        key: {name: round(value, 4) for name, value in part.items()} if isinstance(part, dict) else round(part, 4)
        for key, part in found.items()
    }
    print(f"{name}: {json.dumps(rounded)}", flush=True)
    return rounded


if __name__ == "__main__":
    sys.exit(main())
