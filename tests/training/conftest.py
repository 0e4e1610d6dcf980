"""What `sprat evaluate` is tested on: a trained model and texts."""

import json

import pytest

from sprat_training.datasets import doubles
from support import training_files
from support.evaluating import run


@pytest.fixture(scope="package", autouse=True)
def different_sentences():
    """Take rows that differ by a word for different sentences: else the made-up files of these tests have too few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doubles, "_ALIKE", 2.0)
        yield


@pytest.fixture(scope="package")
def folder(different_sentences, tmp_path_factory):
    """Return a folder with a trained model in `hr` and texts to test it on in `test.csv`."""
    folder = tmp_path_factory.mktemp("evaluate")
    lines = training_files.rows()
    training_files.write(folder / "hr.csv", lines[::2] + lines[1::4])
    held_out = [*lines[3::4], ("who won the cup final", "oos"), ("what is the capital of Peru", "oos")]
    training_files.write(folder / "test.csv", held_out)
    answers = [json.dumps({"text": text, "label": label, "cost_eur": 0.0002}) for text, label in held_out]
    (folder / "answers.jsonl").write_text("\n".join(answers))
    result = run("train", "intent", folder / "hr.csv", "--output", folder / "hr", "--encoder", training_files.EN_FAST)
    assert result.exit_code == 0, result.output
    return folder
