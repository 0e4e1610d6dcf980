"""Build the artefact `rampart`: fetch, dequantise, centre, convert, measure, write. About a minute on one core.

    python -m recipes.privacy.build --data DIR      (or SPRAT_DATA=DIR)

DIR holds the open data that `sources.py` reads. The README in this folder says how well the build reproduces.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

from recipes.privacy import about
from recipes.privacy.convert import convert
from recipes.privacy.measure import Agreement, Quality, measure_agreement, measure_quality
from recipes.privacy.sources import (
    CACHE,
    AnnotatedText,
    agreement_texts,
    centring_texts,
    fetch,
    read_annotated,
)
from sprat_inference.artefact import content_hash, write_artefact
from sprat_inference.card import Calibration, Card, Score, label_set_hash
from sprat_inference.encoder import TokenEncoder
from sprat_inference.heads import TokenHead
from sprat_inference.windows import Windows
from sprat_privacy.detectors.tagger import OVERLAP, READER, Tagger

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "shared/privacy/src/sprat_privacy/artefacts/rampart"
MAX_TOKENS = 32
"""Length of a window. Shorter ones find more names at the same precision (README); 32 still hold a long address."""

LONGEST_CODE_POINTS = 20_000
"""Length of the longest text that the contract allows."""

_start = time.monotonic()


def main() -> None:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SPRAT_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="the folder of open data")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the artefact to write (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the weights are kept (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        card = build(options.data, options.cache, folder)
        shutil.rmtree(options.output, ignore_errors=True)
        shutil.copytree(folder, options.output)
        options.output.chmod(0o755)  # a temporary folder is readable by its owner alone
    say(f"wrote {options.output}, version {content_hash(options.output)}")
    for score in card.scores:
        print(f"  {score.name:32} {score.value:.4f}")
    print(f"  {'keep_at':32} {card.keep_at:.2f}")


def build(data: Path, cache: Path, folder: Path) -> Card:
    """Write the whole artefact into `folder`, which is empty; return its card."""
    say("weights")
    files = fetch(cache)
    graph = files["onnx/model_q4.onnx"]
    say("4 bits to int8")
    labels = convert(graph, files["config.json"], files["tokenizer.json"], centring_texts(data), folder)
    rows = read_annotated(data)
    even = [row for row in rows if row.template % 2 == 0]
    odd = [row for row in rows if row.template % 2 == 1]
    say("keep_at")
    card = choose_keep_at(describe(labels), folder, even)
    tagger = load_without_card(card, folder)
    say("scores")
    parts = (measure_agreement(tagger, graph, texts) for texts in agreement_texts(data).values())
    scores = scores_of(sum(parts, Agreement(0, 0, 0)), measure_quality(tagger, odd))
    write_artefact(folder, card.model_copy(update={"scores": scores}).model_dump())
    return Tagger.load(folder).card


def choose_keep_at(card: Card, folder: Path, rows: list[AnnotatedText]) -> Card:
    """Return the card with the lowest hundredth as `keep_at` at which precision is high enough."""
    candidates = (card.model_copy(update={"keep_at": step / 100}) for step in range(1, 100))
    least = 1 - about.FALSE_POSITIVE_SHARE
    return next(
        each for each in candidates if measure_quality(load_without_card(each, folder), rows).precision >= least
    )


def load_without_card(card: Card, folder: Path) -> Tagger:
    """Load the tagger of a folder that has no card yet."""
    windows = Windows.load(folder, max_tokens=MAX_TOKENS, overlap=OVERLAP)
    return Tagger(card, TokenEncoder.load(folder, threads=1), windows, TokenHead.load(folder, len(card.labels or ())))


def scores_of(agreement: Agreement, quality: Quality) -> tuple[Score, ...]:
    """Return the scores of the card."""
    return (
        Score(name="agreement_with_onnx", value=agreement.same / agreement.tokens, protocol=about.AGREEMENT),
        Score(name="same_side_as_onnx", value=agreement.same_side / agreement.tokens, protocol=about.SAME_SIDE),
        Score(name="precision", value=quality.precision, protocol=about.PRECISION),
        *(
            Score(name=f"covered_{type.lower()}", value=quality.covered[type], protocol=about.COVERED.format(type))
            for type in about.COVERED_TYPES
        ),
    )


def describe(labels: tuple[str, ...]) -> Card:
    """Return the card, still without scores, files, version and `keep_at`."""
    return Card(
        name="rampart",
        version="0" * 16,
        task="pii",
        reader=READER,
        labels=labels,
        label_set=label_set_hash(labels),
        languages=about.LANGUAGES,
        max_tokens=MAX_TOKENS,
        licence="CC-BY-4.0",
        made_of=about.MADE_OF,
        scores=(),
        calibration=Calibration(
            method=about.METHOD,
            fitted_on=about.FITTED_ON,
            outside_share=0.0,
            longest_code_points=LONGEST_CODE_POINTS,
            parameters={},
        ),
        keep_at=1.0,
        keep_at_rule=about.KEEP_AT_RULE,
        limits=about.LIMITS,
        files={},
    )


def say(what: str) -> None:
    """Print progress with the seconds since the start."""
    print(f"{time.monotonic() - _start:6.1f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
