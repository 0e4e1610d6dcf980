import os
import subprocess
import sys
from pathlib import Path

import pytest

from sprat_inference.threads import PINS, pin_threads


def test_pinning_sets_missing_variables_and_keeps_those_of_the_operator() -> None:
    environment = {"OMP_NUM_THREADS": "4"}
    added = pin_threads(environment)
    assert environment == {**PINS, "OMP_NUM_THREADS": "4"}
    assert set(added) == set(PINS) - {"OMP_NUM_THREADS"}


def test_importing_sprat_inference_first_leaves_a_process_with_one_thread() -> None:
    program = (
        "import os, sprat_inference, numpy, tokenizers, ctranslate2;"
        "numpy.ones((400, 400), 'float32') @ numpy.ones((400, 400), 'float32');"
        "print(sprat_inference.PINNED_IN_TIME, len(os.listdir('/proc/self/task')))"
        if Path("/proc/self/task").is_dir()
        else "import sprat_inference; print(sprat_inference.PINNED_IN_TIME, 1)"
    )
    bare = {name: value for name, value in os.environ.items() if name not in PINS}
    done = subprocess.run([sys.executable, "-c", program], env=bare, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "1"]


@pytest.mark.parametrize("module", ["sprat_cli.train.command", "sprat_cli.assess.command"])
def test_commands_that_compute_have_numpy_with_one_thread_too(module: str) -> None:
    program = f"import {module}, sprat_inference; print(sprat_inference.PINNED_IN_TIME)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_pinned_in_time_is_false_if_numpy_was_loaded_before() -> None:
    program = "import numpy, sprat_inference; print(sprat_inference.PINNED_IN_TIME)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
