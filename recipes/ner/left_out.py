"""What a set's own training part is worth: a short training without each set in turn, measured on its test part.

    python -m recipes.ner.left_out --data DIR --weights e5.safetensors --tokenizer tokenizer.json --work DIR

Four layers, two epochs, no translated sentences: far shorter than the training of the served weights, so only the
differences between its own runs say something. One run reads all sets; the others leave one out. Seeded; a run that is
finished is not run again. Writes docs/figures/names-left-out.json and fills the page. An hour on one core.
"""

import argparse
import json
from pathlib import Path
from typing import Final

import torch

from recipes.common import options_of
from recipes.ner.sets import TESTS
from recipes.ner.train import SEED, TrainingRun, say
from tests.bench.benchmarks_page import save

SETS: Final = ("uner_ewt", "btc", "wnut17", "sec", "crossner")
"""The sets that have a test part; wikigold has none."""
EPOCHS: Final = 2
LAYERS: Final = 4


def is_of(test: str, name: str) -> bool:
    """Return whether a test part is one of the set's: CrossNER has one for each domain, WNUT17 two annotations."""
    return test == name or test.startswith(f"{name}_")


def main() -> None:
    """Parse the command line, train what is not trained yet, and save the figures."""
    parser = options_of(__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="multilingual-e5-small in float32")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where the runs lie")
    options = parser.parse_args()
    torch.set_num_threads(1)
    everything = figures(options, None)
    left_out = {test: f1 for name in SETS for test, f1 in figures(options, name).items() if is_of(test, name)}
    save("names-left-out", {"epochs": EPOCHS, "layers": LAYERS, "with": everything, "without": left_out})


def figures(options: argparse.Namespace, without: str | None) -> dict[str, float]:
    """Return the F1 of every test part, 0 to 1, after a short training on all sets but one."""
    work = options.work / (without or "all")
    measured = work / "f1.json"
    if not measured.exists():
        work.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(SEED)
        shared = {"data": options.data, "weights": options.weights, "tokenizer": options.tokenizer, "work": work}
        plan = {"epochs": EPOCHS, "layers": LAYERS, "silver_from": EPOCHS, "start": None, "stop": None}
        run = TrainingRun(argparse.Namespace(**shared, **plan, without=without))
        run.train()
        measured.write_text(json.dumps(run.word_f1(TESTS), indent=1))
    found = {test: f1 / 100 for test, f1 in json.loads(measured.read_text()).items()}
    say(f"without {without}: " + ", ".join(f"{test} {f1:.1%}" for test, f1 in found.items()))
    return found


if __name__ == "__main__":
    main()
