import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sprat_inference.processor import AVX512, NEEDED, PINS, VARIABLE, pin_threads, processor_flags

DATA = Path(__file__).parents[1] / "data"


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


@pytest.mark.parametrize("module", ["sprat_cli.commands.train.command", "sprat_cli.commands.evaluate"])
def test_commands_that_compute_have_numpy_with_one_thread_too(module: str) -> None:
    program = f"import {module}, sprat_inference; print(sprat_inference.PINNED_IN_TIME)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_pinned_in_time_is_false_if_numpy_was_loaded_before() -> None:
    program = "import numpy, sprat_inference; print(sprat_inference.PINNED_IN_TIME)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


LABELS = """
import json, sys
from sprat_intent.__main__ import SHIPPED
from sprat_encoder.label_model import LabellingModel
texts = json.load(sys.stdin)
found = LabellingModel.load(SHIPPED).classify(texts, ["de"] * 150 + ["fr"] * 150)
json.dump({"best": found.best.tolist(), "confidence": found.confidence.tolist()}, sys.stdout)
"""


@pytest.mark.long
@pytest.mark.skipif(not processor_flags() >= NEEDED, reason="this processor has no AVX-512 with VNNI")
def test_the_instruction_set_is_used_and_changes_hardly_a_label() -> None:
    files = [DATA / f"queries_{language}.tsv" for language in ("de", "fr")]
    texts = [line.split("\t")[0] for file in files for line in file.read_text("utf-8").splitlines()]
    bare = {name: value for name, value in os.environ.items() if name != VARIABLE} | {"CT2_VERBOSE": "1"}
    wide, narrow = ({}, AVX512), ({VARIABLE: "AVX2"}, "AVX2")
    answers = []
    for more, expected in (wide, narrow):
        done = subprocess.run(
            [sys.executable, "-c", LABELS],
            env=bare | more,
            input=json.dumps(texts),
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"Selected ISA: {expected}" in done.stderr
        answers.append(json.loads(done.stdout))
    same = sum(one == two for one, two in zip(*(answer["best"] for answer in answers), strict=True))
    assert same >= 0.99 * len(texts)
    apart = [abs(one - two) for one, two in zip(*(answer["confidence"] for answer in answers), strict=True)]
    assert sum(apart) / len(apart) < 0.01
