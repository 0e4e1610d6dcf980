"""Loads a model as its service would, and has it answer its probe, in a process of its own.

`python -m sprat_local.models.trial TASK DIR`; exit code 1 and one line where it cannot be served.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from sprat import plugins
from sprat.errors import SpratError, UserError
from sprat_contracts import TASKS
from sprat_local import environment

_PATIENCE_S: Final = 60.0


def try_model(task: str, folder: Path) -> None:
    """Try the model in `folder`, in another process: a model that breaks its process breaks nobody else's.

    Raises:
        UserError: it cannot be served; says why.
    """
    argv = [sys.executable, "-P", "-m", "sprat_local.models.trial", task, str(folder)]
    try:
        done = subprocess.run(
            argv, env=environment.threads(), capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{folder}: it does not answer its probe within {_PATIENCE_S:.0f} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise UserError(lines[-1] if lines else f"{folder}: loading it ends the process, code {done.returncode}")


def main() -> int:
    """Load and probe; gives the exit code."""
    parser = argparse.ArgumentParser(description="Say whether a model can be served.")
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    try:
        plugins.load(plugins.MODELS, given.task).load(given.folder, threads=1).probe()
    except SpratError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
