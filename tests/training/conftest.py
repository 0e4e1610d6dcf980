"""What `sprat assess` is tested on: a trained model, texts, and models beside it."""

import json
import shutil

import pytest

from sprat_inference.artefact import write_artefact
from sprat_training import doubles
from support import training_files
from support.assessing import POLICY, run


@pytest.fixture(scope="package", autouse=True)
def different_sentences():
    """Take rows that differ by a word for different sentences: else the made-up files of these tests have too few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doubles, "_ALIKE", 2.0)
        yield


@pytest.fixture(scope="package")
def folder(different_sentences, tmp_path_factory):
    """Return a folder with a trained model in `hr` and texts to test it on in `test.csv`."""
    folder = tmp_path_factory.mktemp("assess")
    lines = training_files.rows()
    training_files.write(folder / "hr.csv", lines[::2] + lines[1::4])
    held_out = [*lines[3::4], ("who won the cup final", "oos"), ("what is the capital of Peru", "oos")]
    training_files.write(folder / "test.csv", held_out)
    answers = [json.dumps({"text": text, "label": label, "cost_eur": 0.0002}) for text, label in held_out]
    (folder / "answers.jsonl").write_text("\n".join(answers))
    result = run("train", "intent", folder / "hr.csv", "--output", folder / "hr", "--encoder", training_files.EN_FAST)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def assess_stricter(folder, tmp_path):
    """Assess a model whose card says 0.99, which was shown, with the policy `policy.yaml`."""
    rule = "the least hundredth at which the answers kept are right, with 95 % confidence"
    model, page = tmp_path / "hr", tmp_path / "page.html"
    shutil.copytree(folder / "hr", model)
    write_artefact(model, json.loads((model / "card.json").read_text()) | {"keep_at": 0.99, "keep_at_rule": rule})
    (tmp_path / "policy.yaml").write_text(POLICY)

    def assess_stricter(*more, policy=("--policy", tmp_path / "policy.yaml", "--as", "hr")):
        return run("assess", folder / "test.csv", "--model", model, "--output", page, *policy, *more)

    return assess_stricter


@pytest.fixture
def beside(folder, tmp_path, monkeypatch):
    """Return a model as `models add --task mood` writes it, a policy, and the file of the task, whose model is `hr`."""
    monkeypatch.delenv("SPRAT_TASKS", raising=False)
    model, policy, file = tmp_path / "mood-80", tmp_path / "policy.yaml", tmp_path / "tasks" / "mood.yaml"
    shutil.copytree(folder / "hr", model)
    card = json.loads((model / "card.json").read_text())
    write_artefact(model, card | {"task": "mood", "name": "mood-bert"})
    policy.write_text(POLICY)
    file.parent.mkdir()
    labels = "{badge: , laptop: , leave: , payroll: }"
    file.write_text(f"kind: classification\nlabels: {labels}\nartefact: {folder / 'hr'}\nkeep_at: 0.61\n")
    return model, policy, file
