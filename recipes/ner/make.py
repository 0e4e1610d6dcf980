"""Make the artefact from the weights of the encoder: both stages of the training, then `build`, in one command.

    python -m recipes.ner.make --data DIR --weights e5.safetensors --tokenizer tokenizer.json --work DIR

If it is started again, it continues from the last checkpoint. Takes about 1.5 hours on one core.
"""

import os
import subprocess
import sys
from pathlib import Path

from recipes.common import ROOT, options_of

DEEP = ("--layers", "6", "--epochs", "4", "--silver-from", "2", "--stop", "1.47")
"""Arguments of the first stage: a short training with more layers than are served."""
SERVED = ("--layers", "4", "--epochs", "3")
"""Arguments of the second stage: its lower layers, trained to the end."""


def main() -> None:
    """Parse the command line and run the stages."""
    parser = options_of(__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="multilingual-e5-small in float32")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="the folder of the checkpoints")
    options = parser.parse_args()
    shared = ("--data", options.data, "--weights", options.weights, "--tokenizer", options.tokenizer)
    deep, final = options.work / "deep", options.work / "served"
    if not (final / "checkpoint.pt").exists():
        run("train", *shared, "--work", deep, *DEEP)
    if not (final / "ner.safetensors").exists():
        run("train", *shared, "--work", final, *SERVED, "--start", deep / "checkpoint.pt")
    run("build", *shared, "--work", final)


def run(module: str, *arguments: object) -> None:
    """Run a module of this recipe on one thread; raise if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(module, *arguments), check=True, env=environment, cwd=ROOT)


def command(module: str, *arguments: object) -> list[str]:
    """Return the command line of a module of this recipe."""
    return [sys.executable, "-m", f"recipes.ner.{module}", *map(str, arguments)]


if __name__ == "__main__":
    main()
