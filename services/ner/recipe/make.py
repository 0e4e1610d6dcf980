"""Makes the artefact from the encoder's weights: both stages of the training, then `build.py`. The one command.

    python -m services.ner.recipe.make --data DIR --weights e5.safetensors --tokenizer tokenizer.json --work DIR

Started again, it goes on from the last checkpoint. About 1.5 hours on one core.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

DEEP = ("--layers", "6", "--epochs", "4", "--silver-from", "2", "--stop", "1.47")
"""First stage: more layers than are served, for a while."""
SERVED = ("--layers", "4", "--epochs", "3")
"""Second stage: its lower layers, to the end."""


def main() -> None:
    """Parse the command line and run the stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("SPRAT_DATA")
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="the folder of open data")
    parser.add_argument("--weights", type=Path, required=True, help="multilingual-e5-small in float32")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where checkpoints lie")
    options = parser.parse_args()
    given = ("--data", options.data, "--weights", options.weights, "--tokenizer", options.tokenizer)
    deep, final = options.work / "deep", options.work / "served"
    if not (final / "checkpoint.pt").exists():
        run("train.py", *given, "--work", deep, *DEEP)
    if not (final / "ner.safetensors").exists():
        run("train.py", *given, "--work", final, *SERVED, "--start", deep / "checkpoint.pt")
    run("build.py", *given, "--work", final)


def run(script: str, *arguments: object) -> None:
    """Run a stage on one thread; it ends all when it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(HERE / script), *map(str, arguments)], check=True, env=environment)


if __name__ == "__main__":
    main()
