"""`sprat models add`: models of `multi_label_classification` give a text all labels that apply."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sprat.base.model import Question
from sprat.base.thresholds import find_thresholds
from sprat_classify.__main__ import SERVICE, ClassifySettings
from sprat_cli.main import app
from sprat_contracts.thresholds import SOME
from sprat_encoder.label_model import LabellingModel
from sprat_encoder.label_set_model import LabelSetModel, load_task_model
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.label_sets import SetCalibration, sigmoid

MODELS = Path(__file__).parents[1] / "data" / "hub"
LABELS = ("refund", "delivery", "greeting", "outside")
KINDS = ("bert", "distilbert", "roberta", "modernbert")


def expected(kind: str) -> tuple[list[str], np.ndarray]:
    """Return texts and the logits that transformers computed; what they mean is stated apart from them."""
    rows = json.loads((MODELS / kind / "expected.json").read_text("utf-8"))
    return [row["text"] for row in rows], np.array([np.ravel(row["logits"]) for row in rows], np.float32)


def several(kind: str, folder: Path, **changes: object) -> Path:
    """Return a copy of a model whose labels are independent of each other."""
    copied = Path(shutil.copytree(MODELS / kind, folder / kind))
    config = json.loads((copied / "config.json").read_text("utf-8"))
    config |= {"problem_type": "multi_label_classification"} | changes
    (copied / "config.json").write_text(json.dumps(config), "utf-8")
    return copied


@pytest.fixture(autouse=True)
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    labels = "".join(f"  {label}: about {label}\n" for label in LABELS)
    (folder / "topics.yaml").write_text(f"kind: multi_label\nlabels:\n{labels}artefact: ../added\n", "utf-8")
    (folder / "desk.yaml").write_text(f"kind: classification\nlabels:\n{labels}", "utf-8")
    monkeypatch.setenv("SPRAT_TASKS", str(folder))
    return folder


def add(model: Path, output: Path, *more: str, task: str = "topics", code: int = 0) -> str:
    command = ["models", "add", str(model), "--task", task, "--no-compare", "--output", str(output), *more]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("kind", KINDS)
def test_each_label_has_the_chance_of_transformers(kind: str, tmp_path: Path) -> None:
    add(several(kind, tmp_path), tmp_path / "added", "--quantization", "float32")
    card = load_artefact(tmp_path / "added").card
    assert (card.kind, card.task, card.labels) == ("multi_label", "topics", LABELS)
    assert any("Not calibrated" in limit for limit in card.limits)
    texts, logits = expected(kind)
    model = SERVICE.model_of(ClassifySettings(secret="s" * 32, classify={"task": "topics"}))
    assert isinstance(model, LabelSetModel)
    chances, applies = sigmoid(logits), logits > 0
    found = model.classify(texts, ["en"] * len(texts))
    assert np.abs(found.chances - chances).max() < 1e-3
    counts = set()
    for answer, row, wanted in zip(
        model.answer([Question(text, "en") for text in texts]), chances, applies, strict=True
    ):
        assert {each.label for each in answer.output.labels} == {LABELS[place] for place in np.flatnonzero(wanted)}
        assert answer.confidence == pytest.approx(np.maximum(row, 1 - row).prod(), abs=1e-3)
        counts.add(len(answer.output.labels))
    assert len(counts) > 1, "all texts have equally many labels"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """600 rows whose labels are drawn from what the model says at three times its logits."""
    dice = np.random.default_rng(5)
    words = " ".join(expected("bert")[0]).split()
    texts = [" ".join(dice.choice(words, 6)) for _ in range(600)]
    add(several("bert", tmp_path / "gold"), tmp_path / "gold" / "added", "--quantization", "float32")
    model = load_task_model(tmp_path / "gold" / "added")
    assert isinstance(model, LabelSetModel)
    logits = model._network.read(texts, ["en"] * len(texts)).logits
    drawn = dice.random(logits.shape) < sigmoid(logits * 3)
    sets = ["|".join(LABELS[place] for place in np.flatnonzero(row)) for row in drawn]
    file = tmp_path / "rows.csv"
    file.write_text(
        "\n".join(["text,labels", *(f'"{a}",{b}' for a, b in zip(texts, sets, strict=True))]) + "\n", "utf-8"
    )
    return file


def test_a_calibrated_model_says_how_often_the_whole_set_is_right(rows: Path, tmp_path: Path) -> None:
    model = several("bert", tmp_path)
    said = add(model, tmp_path / "added", "--calibrate", str(rows), "--quantization", "float32")
    assert "600 rows of the rows to calibrate on" in said
    model = load_task_model(tmp_path / "added")
    slopes = SetCalibration.of(model.card.calibration, len(LABELS)).slopes
    assert slopes.mean() == pytest.approx(3.0, rel=0.3)
    lines = [line.rpartition(",") for line in rows.read_text("utf-8").splitlines()[1:]]
    answers = model.answer([Question(text.strip('"'), "en") for text, _, _ in lines])
    right = np.array([
        {each.label for each in answer.output.labels} == set(cell.split("|")) - {""}
        for answer, (_, _, cell) in zip(answers, lines, strict=True)
    ])  # fmt: skip
    stated = np.array([answer.confidence for answer in answers])
    assert 0.1 < right.mean() < 0.9
    assert abs(stated.mean() - right.mean()) < 0.06
    assert model.card.score("calibrated_right") == pytest.approx(right.mean(), abs=0.05)
    assert model.card.calibration.fitted_on == "600 rows of rows.csv"
    assert not any("Not calibrated" in limit for limit in model.card.limits)
    found = find_thresholds(tmp_path / "added", model_version=model.card.version)
    assert (found.right, found.cell(None, SOME).rows > 100) == ("the whole set of labels", True)


def test_rows_with_a_label_of_another_model_are_refused(rows: Path, tmp_path: Path) -> None:
    rows.write_text(rows.read_text("utf-8").replace("greeting", "Gruss"), "utf-8")
    said = add(several("bert", tmp_path), tmp_path / "added", "--calibrate", str(rows), code=2)
    assert "1 labels are none of the model's: 'Gruss'" in said
    assert not (tmp_path / "added").exists()


def test_the_number_of_labels_a_text_must_be_that_of_the_task(tmp_path: Path) -> None:
    for task in ("intent", "desk"):
        said = add(several("bert", tmp_path / task), tmp_path / "added", task=task, code=2)
        assert "add it for a task whose file says kind: multi_label" in said
    assert "is of the kind multi_label" in add(MODELS / "bert", tmp_path / "added", code=2)
    said = add(several("roberta", tmp_path), tmp_path / "added", "--outside-label", "outside", code=2)
    assert "the model gives a text several labels" in said
    add(several("distilbert", tmp_path), tmp_path / "added")
    with pytest.raises(BrokenArtefact, match="kind: multi_label"):
        LabellingModel.load(tmp_path / "added")


def test_the_decisions_are_compared_with_the_original(tmp_path: Path) -> None:
    """Needs torch: `make test-models`."""
    pytest.importorskip("torch", reason="needs torch and transformers: make test-models")
    command = ["models", "add", str(several("roberta", tmp_path)), "--task", "topics", "--quantization", "float32"]
    result = CliRunner().invoke(app, [*command, "--output", str(tmp_path / "added")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "of 800 pairs of a text and a label get the label of the original" in " ".join(result.output.split())
    assert load_artefact(tmp_path / "added").card.score("agreement_with_original") >= 0.99
