"""`sprat models add --task ner`: models that label tokens find the same spans as with transformers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat.base.thresholds import find_thresholds
from sprat_contracts.announcements import NOT_FITTED
from sprat_contracts.thresholds import NONE, SOME
from sprat_inference.artefact import BrokenArtefact, load_artefact, write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.agreement import compare, original_logits
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.classifiers import convert_token_classifier
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.token_classifier import MOST_CODE_POINTS, TokenClassifier
from sprat_ner.__main__ import SERVICE
from sprat_ner.added import AddedNerModel
from support.int8 import needs_vnni
from support.model_hub import MODELS, change, expected, run

KINDS = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")
PROVENANCE = Provenance("tiny", "the folder tiny", "us", "Apache-2.0", ("en",))


def converted(source: Path, folder: Path, **more: str) -> Card:
    folder.mkdir()
    return convert_token_classifier(SavedModel.open(source), PROVENANCE, "ner", folder, **more)


def added(kind: str, folder: Path, **more: str) -> AddedNerModel:
    converted(MODELS / f"{kind}-tokens", folder, **more)
    return AddedNerModel.load(folder)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(MODELS / "bert-tokens", tmp_path / "bert"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_of_the_tokens_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    rows = expected(f"{kind}-tokens")
    wanted = np.concatenate([np.array(row["logits"], np.float32) for row in rows])
    texts = [row["text"] for row in rows]
    found = {}
    for quantization in ("float32", "int8"):
        card = converted(MODELS / f"{kind}-tokens", tmp_path / quantization, quantization=quantization)
        classifier = TokenClassifier.load(tmp_path / quantization, card)
        found[quantization] = compare(np.concatenate(classifier.token_logits(texts)), wanted, "tokens")
    assert found["float32"].largest_difference < 1e-3
    assert found["float32"].labels == wanted.shape[1]
    needs_vnni()
    assert found["int8"].share >= 0.9, found  # a random network, whose logits lie close together


def test_the_spans_are_those_of_transformers(tmp_path: Path) -> None:
    model = added("bert", tmp_path / "a", quantization="float32")
    rows = expected("bert-tokens")
    answers = model.answer([Question(row["text"], "en") for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        found = [[each.start, each.end, each.label] for each in answer.output.entities]
        assert found == row["spans"], row["text"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_service_serves_it(kind: str, tmp_path: Path) -> None:
    converted(MODELS / f"{kind}-tokens", tmp_path / "a")
    model = SERVICE.load(tmp_path / "a")
    model.probe()
    assert isinstance(model, AddedNerModel)
    assert set(model.card.labels or ()) <= {"PER", "PROD"}
    texts = [row["text"] for row in expected(f"{kind}-tokens")]
    together = model.answer([Question(text, "en") for text in texts])
    assert together == [model.answer([Question(text, "en")])[0] for text in texts]
    named = 0
    for text, answer in zip(texts, together, strict=True):
        assert 0 <= answer.confidence <= 1
        for entity in answer.output.entities:
            named += 1
            assert text[entity.start : entity.end] == entity.text == entity.text.strip()
            assert 0 <= answer.confidence <= entity.probability <= 1
    assert named > 5


def test_a_long_text_is_read_to_its_end_and_offsets_are_code_points(tmp_path: Path) -> None:
    model = added("bert", tmp_path / "a", quantization="float32")
    start = "😀 Bonjour, où est mon colis ? "
    (answer,) = model.answer([Question(start * 60, "en")])
    places = [entity.start for entity in answer.output.entities]
    assert max(places) > len(start) * 58
    assert all((start * 60)[each.start : each.end] == each.text for each in answer.output.entities)
    assert model.tokens(Question(start * 60, "en")) >= len(start) * 10


@pytest.mark.parametrize("text", ["", " \n ", "\0", "\u0301", "x" * 20_000, "\ufdfa" * 20_000])
def test_odd_text_gets_an_answer(tmp_path: Path, text: str) -> None:
    (answer,) = added("xlm-roberta", tmp_path / "a").answer([Question(text, "en")])
    assert 0 <= answer.confidence <= 1
    if text.startswith("\ufdfa"):
        assert (len(text) * 18 > MOST_CODE_POINTS, answer.confidence) == (True, 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "deberta-v2"}, "of the architecture deberta-v2; bert, camembert"),
        (
            {"architectures": ["BertForSequenceClassification"]},
            "a model that labels tokens is a …ForTokenClassification",
        ),
        ({"id2label": {"0": "O", "1": "B-A"}}, "5 outputs and 2 labels"),
        ({"id2label": {"0": "O"}}, "names no type beside O"),
        ({"num_hidden_layers": 3}, "of the arrays .* such as encoder.layer.1"),
    ],
)
def test_a_model_that_cannot_be_converted_is_refused(
    bert: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    change(bert / "config.json", **changes)
    with pytest.raises(UserError, match=message):
        converted(bert, tmp_path / "a")


@pytest.mark.parametrize("content", ['["O", "B-OTHER", "I-OTHER", "B-X", "I-X"]', "{}", "rubbish"])
def test_tags_that_do_not_fit_are_refused(tmp_path: Path, content: str) -> None:
    converted(MODELS / "bert-tokens", tmp_path / "a")
    (tmp_path / "a" / "tags.json").write_text(content, "utf-8")
    write_artefact(tmp_path / "a", json.loads((tmp_path / "a" / "card.json").read_text("utf-8")))
    with pytest.raises(BrokenArtefact, match=r"tags\.json"):
        SERVICE.load(tmp_path / "a")


def test_an_artefact_of_another_reader_is_refused(tmp_path: Path) -> None:
    converted(MODELS / "bert-tokens", tmp_path / "a")
    card = json.loads((tmp_path / "a" / "card.json").read_text("utf-8"))
    write_artefact(tmp_path / "a", card | {"reader": "sprat-token-classifier/0"})
    with pytest.raises(BrokenArtefact, match="made for sprat-token-classifier/0"):
        SERVICE.load(tmp_path / "a")


def test_a_model_is_added(tmp_path: Path) -> None:
    said = run("models", "add", str(MODELS / "bert-tokens"), "--task", "ner", "--no-compare", "--output",
               str(tmp_path / "a"))  # fmt: skip
    assert "2 labels; reads en" in said
    assert "sprat up --model ner/bert-tokens=" in said
    assert "tasks: {ner: {models: {bert-tokens: {keep_at: YOURS, uncalibrated: keep}}}}" in said
    card = load_artefact(tmp_path / "a").card
    assert (card.labels, card.keep_at, card.licence) == (("PER", "PROD"), 1.0, "apache-2.0")
    assert card.calibration.fitted_on == NOT_FITTED
    assert any("Not calibrated" in limit for limit in card.limits)
    wrong = run("models", "add", str(MODELS / "bert"), "--task", "ner", "--no-compare", "--output",
                str(tmp_path / "b"), code=2)  # fmt: skip
    assert "BertForSequenceClassification" in wrong


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """600 texts with the spans that the model finds; the less sure it is, the likelier the spans are wrong."""
    dice = np.random.default_rng(7)
    words = " ".join(row["text"] for row in expected("bert-tokens")).split()
    texts = [" ".join(dice.choice(words, 1 + place % 3)) for place in range(600)]
    found = added("bert", tmp_path / "gold").answer([Question(text, "en") for text in texts])
    confidences = np.array([answer.confidence for answer in found])
    ranks = confidences.argsort().argsort() / len(texts)
    rows = []
    for text, answer, rank in zip(texts, found, ranks, strict=True):
        spans = [{"start": each.start, "end": each.end, "label": each.label} for each in answer.output.entities]
        if dice.random() > rank:
            spans = spans[1:] if spans else [{"start": 0, "end": 1, "label": "PER"}]
        rows.append(json.dumps({"text": text, "entities": spans}))
    file = tmp_path / "marked.jsonl"
    file.write_text("\n".join(rows) + "\n", "utf-8")
    return file


def test_a_calibrated_model_says_how_often_all_its_spans_are_right(marked: Path, tmp_path: Path) -> None:
    said = run("models", "add", str(MODELS / "bert-tokens"), "--task", "ner", "--no-compare", "--output",
               str(tmp_path / "a"), "--calibrate", str(marked), "--goal", "0.8")  # fmt: skip
    assert "600 rows of the rows to calibrate on" in said
    assert "uncalibrated" not in said
    model = SERVICE.load(tmp_path / "a")
    rows = [json.loads(line) for line in marked.read_text("utf-8").splitlines()]
    answers = model.answer([Question(row["text"], "en") for row in rows])
    right = np.array([
        {(e.start, e.end, e.label) for e in answer.output.entities}
        == {(e["start"], e["end"], e["label"]) for e in row["entities"]}
        for row, answer in zip(rows, answers, strict=True)
    ])  # fmt: skip
    stated = np.array([answer.confidence for answer in answers])
    assert 0.3 < right.mean() < 0.7
    for part in np.array_split(stated.argsort(), 3):
        assert abs(stated[part].mean() - right[part].mean()) < 0.1, "the calibration does not make it a probability"
    found = find_thresholds(tmp_path / "a", model_version=model.card.version)
    assert (found.right, found.recommended_goal) == ("all names with their types, none missed", 0.95)
    assert found.cell(None, SOME).rows + found.cell(None, NONE).rows == 600
    assert model.card.calibration.fitted_on == "600 rows of marked.jsonl"
    assert not any("Not calibrated" in limit for limit in model.card.limits)
    assert model.card.score("calibrated_right") == pytest.approx(right.mean())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("rubbish", "row 1: not of the form"),
        ('{"text": "a"}', "row 1: not of the form"),
        ('{"text": "a", "entities": [{"start": 0, "end": 2, "label": "PER"}]}', "row 1: not of the form"),
        ('{"text": 5, "entities": []}', "row 1: not of the form"),
        ('{"text": "a", "entities": [{"start": 0, "end": 1, "label": "X"}]}', "1 labels are none of the model's: 'X'"),
        ('{"text": "a", "entities": []}', "has 1 rows; 50 are needed"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(row + "\n\n", "utf-8")
    said = run("models", "add", str(MODELS / "bert-tokens"), "--task", "ner", "--no-compare", "--output",
               str(tmp_path / "a"), "--calibrate", str(tmp_path / "rows.jsonl"), code=2)  # fmt: skip
    assert message in said
    assert not (tmp_path / "a").exists()


def test_a_calibration_of_another_kind_is_refused(tmp_path: Path) -> None:
    converted(MODELS / "bert-tokens", tmp_path / "a")
    card = json.loads((tmp_path / "a" / "card.json").read_text("utf-8"))
    card["calibration"]["parameters"] = {"temperature": [1.0]}
    write_artefact(tmp_path / "a", card)
    with pytest.raises(BrokenArtefact, match="a calibration of another kind"):
        SERVICE.load(tmp_path / "a")


def test_the_original_is_computed_by_transformers(tmp_path: Path) -> None:
    """Needs torch: `make test-models`."""
    pytest.importorskip("torch", reason="needs torch and transformers: make test-models")
    for kind in KINDS:
        rows = expected(f"{kind}-tokens")
        found, _ = original_logits(MODELS / f"{kind}-tokens", [row["text"] for row in rows], 40, of_tokens=True)
        assert all(np.abs(each - row["logits"]).max() < 1e-3 for each, row in zip(found, rows, strict=True))
    run("models", "add", str(MODELS / "roberta-tokens"), "--task", "ner", "--quantization", "float32", "--output",
        str(tmp_path / "a"))  # fmt: skip
    assert load_artefact(tmp_path / "a").card.score("agreement_with_original") >= 0.99
