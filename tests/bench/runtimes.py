"""Compare what computes models: CTranslate2 and ONNX Runtime, int8 and float32. `make bench-runtimes`.

    python -m tests.bench.runtimes --data DIR [--texts 1000] [--rounds 3]

All have the same encoder (all-MiniLM-L6-v2) and the same head, on one thread. They take turns, so that what else runs
on the machine slows all of them. Saves docs/figures/runtimes.json and fills docs/benchmarks.
"""

import statistics
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, Final

from tests.bench.arguments import parser_of
from tests.bench.benchmarks_page import ROOT, save
from tests.bench.machine import machine_facts
from tests.bench.peers.__main__ import read_texts
from tests.bench.peers.environments import bare_figures, encoder, versions

ORIGINAL: Final = ("torch", "torch", 1)
"""Environment, runtime, texts in a batch: what the others are compared with."""
RUNTIMES: Final = {
    "ctranslate2-int8-1": ("ctranslate2", "ctranslate2", 1),
    "ctranslate2-int8-32": ("ctranslate2", "ctranslate2", 32),
    "ctranslate2-float32-1": ("ctranslate2", "ctranslate2-float32", 1),
    "ctranslate2-float32-32": ("ctranslate2", "ctranslate2-float32", 32),
    "onnx-int8-1": ("onnx", "onnx-int8", 1),
    "onnx-int8-32": ("onnx", "onnx-int8", 32),
    "onnx-float32-1": ("onnx", "onnx", 1),
    "onnx-float32-32": ("onnx", "onnx", 32),
}
"""Name → the same."""


def measure(texts: list[str], rounds: int) -> dict[str, Any]:
    """Return CPU, memory and agreement of each runtime on these texts."""
    original = bare_figures(*ORIGINAL, texts, 0)["labels"]
    spent: dict[str, list[float]] = {name: [] for name in RUNTIMES}
    figures: dict[str, Any] = {}
    for _ in range(rounds):
        for name, runtime in RUNTIMES.items():
            found = bare_figures(*runtime, texts, 1)
            spent[name] += found["cpu_s"]
            same = [ours == wanted for ours, wanted in zip(found["labels"], original, strict=True)]
            figures[name] = {"memory_mb": found["memory_mb"], "same_label_as_original": statistics.fmean(same)}
    for name, each in figures.items():
        each["cpu_s_per_1000"] = 1000 * statistics.median(spent[name]) / len(texts)
        print(f"  {name}: {each}", flush=True)
    return figures


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--texts", type=int, default=1000, help="of each data set, at most")
    parser.add_argument("--rounds", type=int, default=3, help="of each runtime, in turns")
    options = parser.parse_args()
    encoder()
    sets = read_texts(options.data, options.texts)
    commit = ["git", "rev-parse", "--short", "HEAD"]
    pinned = {name: versions(of)[name] for of, name in (("ctranslate2", "ctranslate2"), ("onnx", "onnxruntime"))}
    figures: dict[str, Any] = {
        "machine": machine_facts("intent"),
        "commit": subprocess.run(commit, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": pinned,
        "rounds": options.rounds,
        "texts": {name: len(texts) for name, texts in sets.items()},
        "runtimes": {},
    }
    for of, texts in sets.items():
        print(f"— {of} —", flush=True)
        for name, each in measure(texts, options.rounds).items():
            figures["runtimes"].setdefault(name, {})[of] = each
    save("runtimes", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
