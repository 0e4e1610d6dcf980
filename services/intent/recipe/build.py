"""Makes the artefact `en-fast`: fetch, convert, fit, calibrate, measure, write. About a minute on one core.

    python services/intent/recipe/build.py --data DIR      (or SPRAT_DATA=DIR)

DIR holds `intent/clinc150/tsv`. The README beside this file says how well it reproduces.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import about
import numpy as np
from convert import convert
from fit import fit_calibrator, fit_head
from source import fetch
from threadpoolctl import threadpool_limits

from sprat.models import Calibration, Card, content_hash, label_set_hash, write_artefact
from sprat.models.encoder import Encoder
from sprat_intent import quality
from sprat_intent.calibration import METHOD, Calibrator
from sprat_intent.clinc150 import Split, read_split
from sprat_intent.head import Head
from sprat_intent.model import READER, IntentModel
from sprat_intent.scores import measure

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parent / "src" / "sprat_intent" / "artefacts" / "en-fast"
CACHE = Path.home() / ".cache" / "sprat" / "all-minilm-l6-v2"
MAX_TOKENS = 128

_start = time.monotonic()


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SPRAT_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="the folder of open data")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the artefact to write (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the weights are kept (default: %(default)s)")
    options = parser.parse_args()
    # One thread: sums are then added in one order, and a second run gives the same bytes.
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1):
        folder = Path(name)
        card = build(options.data, options.cache, folder)
        shutil.rmtree(options.output, ignore_errors=True)
        shutil.copytree(folder, options.output)
        options.output.chmod(0o755)  # a temporary folder is closed to others
    say(f"wrote {options.output}, version {content_hash(options.output)}")
    for score in card.scores:
        print(f"  {score.name:32} {score.value:.4f}")


def build(data: Path, cache: Path, folder: Path) -> Card:
    """Write the whole artefact into `folder`, which is empty, and give its card."""
    say("weights")
    files = fetch(cache)
    say("conversion to int8")
    convert(files["model.safetensors"], files["tokenizer.json"], folder)
    encoder = Encoder.load(folder, max_tokens=MAX_TOKENS)
    say("vectors of 15,000 training texts")
    train = read_split(data, "train")
    gold, labels = np.array(train.labels), tuple(sorted(set(train.labels)))
    vectors = encoder.encode(train.texts).vectors
    say("head")
    head = fit_head(vectors, gold, labels)
    head.save(folder)
    say("calibration")
    inside, outside = read_split(data, "val"), outside_texts(data)
    calibrator = calibrate(encoder, head, labels, inside, outside)
    longest = max(len(text) for text in inside.texts + outside.texts)
    draft = describe(labels, calibrator, longest)
    keep_at = least_confidence(quality.see(IntentModel(draft, encoder, head, calibrator), inside, outside))
    draft = draft.model_copy(update={"keep_at": keep_at})
    say("scores on the test set")
    scores, _ = measure(IntentModel(draft, encoder, head, calibrator), data)
    write_artefact(folder, draft.model_copy(update={"scores": scores}).model_dump())
    return IntentModel.load(folder).card


def outside_texts(data: Path) -> Split:
    """All out-of-scope texts but the test set's."""
    parts = [read_split(data, "oos_val"), read_split(data, "oos_train_plus250")]
    return Split(parts[0].texts + parts[1].texts, parts[0].labels + parts[1].labels)


def calibrate(encoder: Encoder, head: Head, labels: tuple[str, ...], inside: Split, outside: Split) -> Calibrator:
    """Fit the calibration on what the fitted head says of texts that are new to it."""
    logits = head.logits(encoder.encode(inside.texts).vectors)
    right = np.array(labels)[logits.argmax(axis=1)] == np.array(inside.labels)
    return fit_calibrator(logits, right, head.logits(encoder.encode(outside.texts).vectors), about.OUTSIDE_SHARE)


def describe(labels: tuple[str, ...], calibrator: Calibrator, longest: int) -> Card:
    """The card, still without scores, files, version and keep_at."""
    return Card(
        name="en-fast",
        version="0" * 16,
        task="intent",
        reader=READER,
        labels=labels,
        label_set=label_set_hash(labels),
        languages=("en",),
        max_tokens=MAX_TOKENS,
        licence="Apache-2.0 AND CC-BY-3.0",
        made_of=about.MADE_OF,
        scores=(),
        calibration=Calibration(
            method=METHOD,
            fitted_on=about.FITTED_ON,
            outside_share=about.OUTSIDE_SHARE,
            longest_code_points=longest,
            parameters=dict(calibrator.parameters()),
        ),
        keep_at=1.0,
        keep_at_rule=about.KEEP_AT_RULE,
        limits=about.LIMITS,
        files={},
    )


def least_confidence(seen: quality.Seen) -> float:
    """The least hundredth at which what is kept is right often enough."""
    hundredths = (step / 100 for step in range(100))
    return next(at for at in hundredths if quality.kept(seen, at, about.OUTSIDE_SHARE)[1] >= about.KEPT_RIGHT)


def say(what: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"{time.monotonic() - _start:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
