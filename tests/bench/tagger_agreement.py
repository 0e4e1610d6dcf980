"""Measure the committed tagger: agreement with its own ONNX, milliseconds per text by length, memory.

    python -m tests.bench.tagger_agreement --data DIR [--json FILE] [--cache DIR]      (or SPRAT_DATA=DIR)

Needs onnx and onnxruntime, and fetches the original weights on its first run. Exits 1 when the agreement is below
99.5 %, or the card states another one. Times are CPU time of one thread; they are for comparing on one machine.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes.privacy.measure import Agreement, measure_agreement
from recipes.privacy.sources import CACHE, agreement_texts, fetch, read_annotated
from sprat_privacy.detectors.tagger import Tagger
from tests.bench.arguments import parser_of, write_json

ROOT = Path(__file__).resolve().parents[2]
ARTEFACT = ROOT / "shared/privacy/src/sprat_privacy/artefacts/rampart"

AT_LEAST = 0.995
CARD_TOLERANCE = 0.001
"""Other processors multiply int8 differently: about twenty of the tokens may differ."""

WORDS = {20: 200, 200: 40, 2_000: 6}
"""Words of a text → number of texts that are timed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the measurement; return the exit code."""
    parser = parser_of(__doc__)
    parser.add_argument("--artefact", type=Path, default=ARTEFACT)
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the original is kept (default: %(default)s)")
    options = parser.parse_args(argv)
    resident = memory(options.artefact)
    tagger = Tagger.load(options.artefact)
    figures: dict[str, Any] = {"version": tagger.card.version, **compare(tagger, options.data, options.cache)}
    texts = [row.text for row in read_annotated(options.data)[::3]]
    seconds = cpu_seconds(lambda: tagger.find_many(texts))
    figures["texts_per_cpu_second"] = len(texts) / seconds
    figures["ms_per_text"] = {words: timed(tagger, texts, words, count) for words, count in WORDS.items()}
    figures["rss_mib"] = resident
    print(f"{len(texts) / seconds:.0f} texts of presidio-research per CPU second, one after the other")
    for words, (half, most) in figures["ms_per_text"].items():
        print(f"{words:6} words  p50 {half:8.1f} ms  p95 {most:8.1f} ms")
    print("resident: " + ", ".join(f"{size:.0f} MiB {when}" for when, size in resident.items()))
    complaints = missed(figures["agreement"], tagger)
    print("\n".join(complaints) or "The agreement reaches the target and matches the card.")
    write_json(options.json, figures | {"missed": complaints})
    return 1 if complaints else 0


def compare(tagger: Tagger, data: Path, cache: Path) -> dict[str, Any]:
    """Return the agreement by origin of the texts, and over all."""
    graph = fetch(cache)["onnx/model_q4.onnx"]
    total, by_origin = Agreement(0, 0, 0), {}
    for origin, texts in agreement_texts(data).items():
        part = measure_agreement(tagger, graph, texts)
        by_origin[origin] = part.same / part.tokens
        total += part
        print(f"{origin:20}{len(texts):5} texts {part.tokens:6} tokens  {part.same / part.tokens:.2%} same label")
    same, same_side = total.same / total.tokens, total.same_side / total.tokens
    print(f"{'all':20}{total.tokens:17} tokens  {same:.2%} same label, {same_side:.2%} agree whether personal at all")
    return {"agreement": same, "same_side": same_side, "tokens": total.tokens, "agreement_by_origin": by_origin}


def missed(measured: float, tagger: Tagger) -> list[str]:
    """Return what misses the target or the card."""
    stated = tagger.card.score("agreement_with_onnx")
    low = [f"agreement {measured:.2%} is below {AT_LEAST:.1%}"] if measured < AT_LEAST else []
    differs = abs(measured - stated) > CARD_TOLERANCE
    return low + ([f"agreement {measured:.2%}, but the card says {stated:.2%}"] if differs else [])


def timed(tagger: Tagger, texts: Sequence[str], words: int, count: int) -> tuple[float, float]:
    """Return CPU milliseconds per text, median and 95th percentile, each text alone."""
    stream = " ".join(texts).split()
    starts = [place * words % max(1, len(stream) - words) for place in range(count)]
    pieces = [" ".join(stream[start : start + words]) for start in starts]
    spent = [1e3 * cpu_seconds(lambda piece=piece: tagger.find(piece)) for piece in pieces]
    return float(np.percentile(spent, 50)), float(np.percentile(spent, 95))


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def memory(artefact: Path) -> dict[str, float]:
    """Return the resident MiB of a process of its own: after imports, after loading, after 20,000 code points."""
    script = (
        "import sys, psutil, pathlib, sprat_privacy.detectors.tagger as t\n"
        "rss = lambda: psutil.Process().memory_info().rss / 2**20\n"
        "print(rss()); tagger = t.Tagger.load(pathlib.Path(sys.argv[1])); print(rss())\n"
        "tagger.find('My name is Anna Schmidt. ' * 800); print(rss())\n"
    )
    out = subprocess.run([sys.executable, "-c", script, str(artefact)], check=True, capture_output=True, text=True)
    return dict(zip(("imported", "loaded", "used"), map(float, out.stdout.split()), strict=True))


if __name__ == "__main__":
    sys.exit(main())
