"""`sprat models add`: classifiers as transformers writes them become artefacts that say the same."""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat.base.thresholds import find_thresholds
from sprat_classify.__main__ import SERVICE, ClassifySettings
from sprat_encoder.label_model import LabellingModel
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.classifier import ClassCalibration, Classifier
from sprat_inference.converters.agreement import check_agreement, compare, original_logits, sample_texts
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.classifiers import convert_classifier
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.label_calibration import softmax
from sprat_local.installation.models import version_in
from support.int8 import needs_vnni
from support.model_hub import COMMIT, MODELS, TOKEN, add_model, change, model_hub, run
from support.model_hub import expected as computed

KINDS = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")
PROVENANCE = Provenance("tiny", "the folder tiny", "us", "Apache-2.0", ("en",))


def expected(kind: str) -> tuple[list[str], np.ndarray]:
    """Return texts and the logits that transformers computed for them; see make.py there."""
    rows = computed(kind)
    return [row["text"] for row in rows], np.array([row["logits"] for row in rows], np.float32)


def converted(saved: SavedModel, provenance: Provenance, task: str, folder: Path, **more: str) -> Card:
    folder.mkdir()
    return convert_classifier(saved, provenance, task, folder, **more)


def read(folder: Path, texts: list[str]) -> np.ndarray:
    return Classifier.load(folder, load_artefact(folder).card).read(texts).logits


def add(output: Path, *more: str, model: Path = MODELS / "bert", task: str = "intent", code: int = 0) -> str:
    """Add a model in float32 without a comparison, and return what is said."""
    command = ("models", "add", str(model), "--task", task, "--no-compare", "--output", str(output))
    return run(*command, "--quantization", "float32", *more, code=code)


def rows_of(file: Path) -> tuple[list[str], list[str]]:
    """Return texts and labels of a file of rows."""
    rows = [line.rpartition(",") for line in file.read_text("utf-8").splitlines()[1:]]
    return [text.strip('"') for text, _, _ in rows], [label for _, _, label in rows]


def write_rows(file: Path, texts: Iterable[str], labels: Iterable[str]) -> Path:
    rows = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True)]
    file.write_text("\n".join(["text,label", *rows]) + "\n", "utf-8")
    return file


def surer(folder: Path) -> Path:
    """Return a copy whose logits lie a million times further apart, so that every probability rounds to 1."""
    saved = Path(shutil.copytree(MODELS / "bert", folder / "sure"))
    weights = load_file(saved / "model.safetensors")
    weights |= {name: array * 1e6 for name, array in weights.items() if name.startswith("classifier.")}
    save_file(weights, saved / "model.safetensors")
    return saved


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(MODELS / "bert", tmp_path / "bert"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    texts, wanted = expected(kind)
    saved = SavedModel.open(MODELS / kind)
    converted(saved, PROVENANCE, "intent", tmp_path / "f32", quantization="float32")
    assert np.abs(read(tmp_path / "f32", texts) - wanted).max() < 1e-3
    converted(saved, PROVENANCE, "intent", tmp_path / "int8")
    agreement = compare(read(tmp_path / "int8", texts), wanted)
    assert agreement.labels == 4
    needs_vnni()
    assert agreement.share >= 0.9, agreement  # twenty texts of a random network, whose logits lie close together


def test_the_label_for_texts_outside_becomes_the_last_class(tmp_path: Path) -> None:
    texts, wanted = expected("bert")
    provenance = Provenance("tiny", "x", "us", "Apache-2.0", (), outside_label="delivery")
    card = converted(SavedModel.open(MODELS / "bert"), provenance, "intent", tmp_path / "a", quantization="float32")
    assert card.labels == ("refund", "greeting", "outside")
    assert np.abs(read(tmp_path / "a", texts) - wanted[:, [0, 2, 3, 1]]).max() < 1e-3


def test_half_precision_and_weights_in_parts_are_read(bert: Path, tmp_path: Path) -> None:
    """bfloat16 has 8 bits of precision, so the logits differ by about a hundredth."""
    texts, wanted = expected("bert")
    weights = load_file(bert / "model.safetensors")
    halves = {name: (array.view(np.uint32) >> 16).astype(np.uint16) for name, array in weights.items()}
    names, index = sorted(halves), {}
    for part, some in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-0000{part}-of-00002.safetensors"
        write_bfloat16(bert / file, {name: halves[name] for name in some})
        index |= dict.fromkeys(some, file)
    (bert / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}), "utf-8")
    (bert / "model.safetensors").unlink()
    converted(SavedModel.open(bert), PROVENANCE, "intent", tmp_path / "a", quantization="float32")
    difference = np.abs(read(tmp_path / "a", texts) - wanted).max()
    assert 1e-4 < difference < 0.2


def write_bfloat16(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    header, data = {}, b""
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {
            "dtype": "BF16",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_a_long_text_is_read_up_to_the_last_position(tmp_path: Path) -> None:
    converted(SavedModel.open(MODELS / "roberta"), PROVENANCE, "intent", tmp_path / "a", quantization="float32")
    assert load_artefact(tmp_path / "a").card.max_tokens == 40
    start = "Please send it to my new address "
    assert np.array_equal(read(tmp_path / "a", [start * 9]), read(tmp_path / "a", [start * 9 + "refund"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "deberta-v2"}, "of the architecture deberta-v2; bert, camembert"),
        ({"model_type": "own", "auto_map": {"AutoModel": "code.py"}}, "code of its own, which is never run"),
        ({"architectures": ["BertModel"]}, "sprat train"),
        ({"problem_type": "regression"}, "is a model for regression"),
        ({"id2label": {"0": "only"}}, "a single output"),
        ({"id2label": {"0": "a", "1": "a", "2": "b", "3": "c"}}, "repeated label"),
        ({"id2label": {"1": "a", "2": "b"}}, "does not name the labels"),
        ({"id2label": {"0": "a", "1": "b"}}, "4 outputs and 2 labels"),
        ({"position_embedding_type": "relative_key"}, "relative positions"),
        ({"hidden_act": "silu"}, "activation silu"),
        ({"num_hidden_layers": 3}, "16 of the arrays .* such as encoder.layer.2"),
        ({"num_attention_heads": None}, "has no num_attention_heads"),
    ],
)
def test_a_model_that_cannot_be_converted_is_refused(
    bert: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    change(bert / "config.json", **changes)
    with pytest.raises(UserError, match=message):
        converted(SavedModel.open(bert), PROVENANCE, "intent", tmp_path / "a")
    assert not any((tmp_path / "a").iterdir())


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("model.safetensors", b"rubbish", "cannot be read"),
        ("model.safetensors", None, "has no model.safetensors"),
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("config.json", b"[]", "holds a list"),
        ("config.json", b"{}", "names no model_type"),
        ("config.json", None, "not found"),
    ],
)
def test_a_damaged_folder_is_refused(
    bert: Path, tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    (bert / file).unlink() if content is None else (bert / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        converted(SavedModel.open(bert), PROVENANCE, "intent", tmp_path / "a")


def test_pickled_weights_are_not_opened(bert: Path) -> None:
    (bert / "model.safetensors").unlink()
    (bert / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UserError, match="can run any code"):
        SavedModel.open(bert)


def test_values_that_are_not_finite_are_refused(bert: Path, tmp_path: Path) -> None:
    weights = load_file(bert / "model.safetensors")
    weights["classifier.bias"][0] = np.nan
    save_file(weights, bert / "model.safetensors")
    with pytest.raises(UserError, match=r"classifier\.bias holds values that are not finite"):
        converted(SavedModel.open(bert), PROVENANCE, "intent", tmp_path / "a")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    assert "exists already; name another --output" in add(tmp_path, code=2)
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_a_calibration_must_be_of_this_kind_and_one_of_an_earlier_version_is_read_as_it_was(tmp_path: Path) -> None:
    calibration = converted(SavedModel.open(MODELS / "bert"), PROVENANCE, "intent", tmp_path / "a").calibration

    def read_of(**parameters: tuple[float, ...]) -> ClassCalibration:
        return ClassCalibration.of(calibration.model_copy(update={"parameters": parameters}))

    for parameters in ({}, {"right": (0.0,)}, {"right": (0.0, -1.0)}, {"right": (0.0, 1.0), "right_de": (0.0, -1.0)}):
        with pytest.raises(BrokenArtefact, match="no right with a slope of 0 or above"):
            read_of(**parameters)
    logits = np.array([[2.0, 1.0, 0.5], [0.0, 3.0, -1.0]], np.float32)
    earlier = read_of(temperature=(2.5,), temperature_de=(0.5,)).chances(logits, ["en", "de-AT"])
    np.testing.assert_allclose(earlier, softmax(logits / np.array([[2.5], [0.5]], np.float32)), rtol=1e-6)
    for temperature in ((0.0,), (-1.0,), (1.0, 2.0)):
        with pytest.raises(BrokenArtefact, match="no temperature above 0"):
            read_of(temperature=temperature)


def test_a_model_that_differs_from_the_original_is_refused() -> None:
    original = np.eye(4, dtype=np.float32)[[0, 1] * 50]
    ours = original.copy()
    check_agreement(compare(ours, original), "float32")
    ours[:4] = ours[:4, [1, 0, 2, 3]]  # 96 of 100 agree
    with pytest.raises(UserError, match=r"96 of 100 texts \(96.0%\)"):
        check_agreement(compare(ours, original), "int8")
    with pytest.raises(UserError, match="one label from the original, so nothing is compared"):
        check_agreement(compare(original[:1], original[:1]), "int8")


def test_the_shipped_texts_are_two_hundred_different_ones() -> None:
    assert len(set(sample_texts())) == len(sample_texts()) == 200


def test_a_model_is_taken_from_a_hub_and_then_from_the_cache(tmp_path: Path) -> None:
    output, home = tmp_path / "taken", tmp_path / "home"
    folder = Path(shutil.copytree(MODELS / "bert", tmp_path / "served"))
    (folder / "modeling_own.py").write_text("raise SystemExit('run')")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with model_hub({"owner/tiny": folder}) as hub:
        done = add_model(
            hub, home, "--task", "intent", f"owner/tiny@{COMMIT[:7]}", "--no-compare", "--output", str(output)
        )
        assert done.returncode == 0, done.stderr
        asked = {each.rpartition("/")[2] for each in hub.requests if each.startswith("GET /owner")}
        assert asked == {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "README.md"}
        card = load_artefact(output).card
        assert (card.name, card.licence, card.languages) == ("tiny", "apache-2.0", ("en", "de"))
        assert card.made_of[0].source == f"owner/tiny@{COMMIT}"
        assert card.keep_at == 1.0
        assert "Not compared with the original model after the conversion." in card.limits
        hub.requests.clear()
        again = add_model(hub, home, "--task", "intent", f"owner/tiny@{COMMIT[:7]}", "--no-compare",
                          "--output", str(tmp_path / "again"), HF_HUB_OFFLINE="1")  # fmt: skip
        assert again.returncode == 0, again.stderr
        assert hub.requests == []
        assert load_artefact(tmp_path / "again").card.version == card.version


@pytest.mark.parametrize(
    ("model", "variables", "message"),
    [
        ("owner/none", {}, "no such model, or it is private"),
        ("owner/tiny@../main", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "no such revision"),
        ("owner/gated", {}, "ask for consent"),
        ("owner/tiny", {"HF_HUB_OFFLINE": "1"}, "not in the cache, and HF_HUB_OFFLINE is set"),
        ("owner/tiny", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "HF_ENDPOINT names a mirror"),
    ],
)
def test_what_cannot_be_had_is_said_without_a_stack_trace(
    tmp_path: Path, model: str, variables: dict[str, str], message: str
) -> None:
    models = {"owner/tiny": MODELS / "bert", "owner/gated": MODELS / "bert"}
    with model_hub(models, gated=frozenset({"owner/gated"})) as hub:
        done = add_model(
            hub, tmp_path, "--task", "intent", model, "--no-compare", "--output", str(tmp_path / "a"), **variables
        )
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    assert "no such folder" in add(tmp_path / "a", model=tmp_path / "nothing", code=2)


def test_consent_is_shown_by_a_token(tmp_path: Path) -> None:
    command = ("--task", "intent", "owner/gated", "--no-compare", "--output", str(tmp_path / "a"))
    with model_hub({"owner/gated": MODELS / "bert"}, gated=frozenset({"owner/gated"})) as hub:
        done = add_model(hub, tmp_path, *command, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr


TEMPERATURE = 2.5


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """400 rows whose labels are drawn from what the model says at a temperature, and 40 texts outside all labels."""
    dice = np.random.default_rng(3)
    words = " ".join(expected("bert")[0]).split()
    texts = [" ".join(dice.choice(words, 6)) for _ in range(440)]
    saved = SavedModel.open(MODELS / "bert")
    labels = converted(saved, PROVENANCE, "intent", tmp_path / "gold", quantization="float32").labels or ()
    chances = softmax(read(tmp_path / "gold", texts) / TEMPERATURE)
    drawn = [labels[dice.choice(len(labels), p=row)] for row in chances[:400]] + ["oos"] * 40
    return write_rows(tmp_path / "ours.csv", texts, drawn)


def test_a_calibrated_model_says_how_often_it_is_right_and_is_served_by_the_intent_service(
    labelled: Path, tmp_path: Path
) -> None:
    output = tmp_path / "added"
    facts = json.loads(add(output, "--calibrate", str(labelled), "--goal", "0.8", "--language", "en", "--json"))
    model = LabellingModel.load(output)
    card = model.card
    assert (facts["decision"]["rows"], facts["decision"]["outside"], facts["version"]) == (440, 40, card.version)
    assert "440 rows" in card.scores[0].protocol
    found = find_thresholds(output, model_version=card.version)
    assert (found.task, found.certificate, found.measurements[0].by) == ("intent", None, "train")
    assert card.calibration.fitted_on == "440 rows of ours.csv, 40 of them outside every label"
    assert card.calibration.outside_share == 0.1
    assert not any("Not calibrated" in limit for limit in card.limits)
    texts, labels = (column[:400] for column in rows_of(labelled))
    answers = model.answer([Question(text, "en") for text in texts])
    stated = np.mean([answer.confidence for answer in answers])
    true = np.mean([answer.output.label == label for answer, label in zip(answers, labels, strict=True)])
    assert stated < true, "such a text may be outside every label"
    assert abs(stated - 0.9 * true) < 0.03, "the calibration does not make the confidence a probability"
    assert card.score("calibrated_right") == pytest.approx(0.9 * true, abs=0.01)


def test_a_model_that_is_not_good_enough_keeps_nothing_however_sure_it_is(tmp_path: Path) -> None:
    """At most 75 % of its answers are right."""
    texts, wanted = expected("bert")
    saved = surer(tmp_path)
    labels = [json.loads((saved / "config.json").read_text("utf-8"))["id2label"][str(number)] for number in range(4)]
    turns = [(f"{text} {turn}", labels[row.argmax() - (turn == 0)])
             for turn in range(4) for text, row in zip(texts, wanted, strict=True)]  # fmt: skip
    file = write_rows(tmp_path / "ours.csv", *zip(*turns, strict=True))
    said = add(tmp_path / "a", "--calibrate", str(file), "--language", "en", model=saved)
    model = LabellingModel.load(tmp_path / "a")
    assert max(each.confidence for each in model.answer([Question(text, "en") for text in texts])) < 0.8
    assert model.card.keep_at == 1.0
    assert model.card.score("calibrated_kept_share") == 0
    assert "calibrated_kept_right" not in {score.name for score in model.card.scores}, "nothing is kept"
    assert "no threshold reaches 97.0%, nor any lower level" in said
    assert "serve it" not in said, "there is nothing to serve"


def right_rows(labelled: Path, gold: Path, inside: int, outside: int) -> None:
    """Write the label that the model gives to each of some rows, and leave so many others outside every label."""
    own = load_artefact(gold).card.labels or ()
    texts, _ = rows_of(labelled)
    best = [own[number] for number in read(gold, texts[:inside]).argmax(axis=1)]
    write_rows(labelled, [*texts[:inside], *texts[400 : 400 + outside]], [*best, *["oos"] * outside])


def test_texts_outside_that_are_as_sure_as_the_others_keep_the_goal_out_of_reach(
    labelled: Path, tmp_path: Path
) -> None:
    """All labels are right, and the texts outside are as sure as the others: 10 % of the traffic is kept wrong."""
    right_rows(labelled, tmp_path / "gold", inside=400, outside=40)
    said = add(tmp_path / "a", "--calibrate", str(labelled), "--language", "en", model=surer(tmp_path))
    assert re.search(r"no threshold reaches 97\.0%; (89|9[01])\.[05]% is reached from 0\.\d\d on", said)


def confidences_beside_raw(artefact: Path, gold: Path, labelled: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return how sure a calibrated model is of the file's texts, and the softmax probabilities."""
    texts, _ = rows_of(labelled)
    answers = LabellingModel.load(artefact).answer([Question(text, "en") for text in texts])
    return np.array([each.confidence for each in answers]), softmax(read(gold, texts)).max(axis=1)


def test_rows_of_which_none_is_wrong_make_a_model_no_surer(labelled: Path, tmp_path: Path) -> None:
    right_rows(labelled, tmp_path / "gold", inside=100, outside=0)
    said = add(tmp_path / "a", "--calibrate", str(labelled), "--language", "en")
    stated, raw = confidences_beside_raw(tmp_path / "a", tmp_path / "gold", labelled)
    assert stated == pytest.approx(raw, abs=1e-3)
    assert "none of these rows is wrong, so they do not say when it is" in said
    assert "no row was wrong" in load_artefact(tmp_path / "a").card.calibration.method


def test_rows_outside_every_label_count_as_errors_by_their_share_of_the_traffic(labelled: Path, tmp_path: Path) -> None:
    """The model is as sure of the texts outside as of the others: no confidence can be higher than the share inside."""
    right_rows(labelled, tmp_path / "gold", inside=100, outside=15)
    for share in (0.1, 0.4):
        output = tmp_path / f"a{share}"
        add(output, "--calibrate", str(labelled), "--language", "en", "--outside-share", str(share))
        stated, _ = confidences_beside_raw(output, tmp_path / "gold", labelled)
        of_traffic = (1 - share) * stated[:100].mean() + share * stated[100:].mean()
        assert of_traffic == pytest.approx(1 - share, abs=0.02), "a confidence of 0.90 is right in 90 % of the traffic"
        assert load_artefact(output).card.score("calibrated_calibration_error") < 0.08


GERMAN = "wo bleibt meine Bestellung Überweisung zurück und warum kommt das nicht bei mir an ich warte schon lange"
ENGLISH = "where is my order I want my money back and why does it not come to the new address I have"


def test_a_language_with_enough_rows_has_a_calibration_of_its_own(tmp_path: Path) -> None:
    """The labels of German rows are drawn at another temperature than those of English ones; Dutch rows are few."""
    dice = np.random.default_rng(4)
    texts = [" ".join(dice.choice(words.split(), 9)) for words in (ENGLISH, GERMAN) for _ in range(400)]
    converted(SavedModel.open(MODELS / "bert"), PROVENANCE, "intent", tmp_path / "gold", quantization="float32")
    logits = read(tmp_path / "gold", texts)
    labels = load_artefact(tmp_path / "gold").card.labels or ()
    drawn = [labels[dice.choice(4, p=row)]
             for row in softmax(logits / np.repeat([[0.5], [4.0]], 400, axis=0))]  # fmt: skip
    dutch = "waar blijft mijn bestelling dan"
    file = write_rows(tmp_path / "ours.csv", [*texts, dutch], [*drawn, "refund"])
    add(tmp_path / "a", "--calibrate", str(file), "--language", "en", "--language", "de", "--language", "nl")
    model = LabellingModel.load(tmp_path / "a")
    fitted = ClassCalibration.of(model.card.calibration)
    assert set(fitted.by_language) == set(model.calibrated) == {"de", "en"}
    assert fitted.by_language["en"].slope > 2 * fitted.by_language["de"].slope
    assert fitted.by_language["de"].slope < fitted.default.slope < fitted.by_language["en"].slope
    assert model.card.calibration.fitted_on == "801 rows of ours.csv, de and en apart"
    for language, part in (("en", slice(0, 400)), ("de", slice(400, 800))):
        answers = model.answer([Question(text, language) for text in texts[part]])
        right = np.mean([each.output.label == gold for each, gold in zip(answers, drawn[part], strict=True)])
        assert abs(np.mean([each.confidence for each in answers]) - right) < 0.06, language


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.replace("refund", "Erstattung"), "1 labels are none of the model's: 'Erstattung'"),
        (lambda rows: "\n".join(rows.splitlines()[:40]) + "\n", "has 39 rows with a label of the model"),
    ],
    ids=["of other labels", "too few"],
)
def test_rows_that_cannot_be_used_are_refused(
    labelled: Path, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    labelled.write_text(change(labelled.read_text("utf-8")), "utf-8")
    assert message in add(tmp_path / "a", "--calibrate", str(labelled), code=2)
    assert not (tmp_path / "a").exists()


def test_a_class_for_texts_outside_is_no_label(tmp_path: Path) -> None:
    texts, wanted = expected("bert")
    provenance = Provenance("tiny", "x", "us", "Apache-2.0", ("en",), outside_label="outside")
    converted(SavedModel.open(MODELS / "bert"), provenance, "intent", tmp_path / "a", quantization="float32")
    answers = LabellingModel.load(tmp_path / "a").answer([Question(text, "en") for text in texts])
    assert [answer.output.label is None for answer in answers] == [best == 3 for best in wanted.argmax(axis=1)]
    for answer, row in zip(answers, softmax(wanted), strict=True):
        assert answer.confidence == pytest.approx(row.max(), abs=1e-3)
        assert answer.output.alternatives[0].probability == pytest.approx(row[:3].max(), abs=1e-3)


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of task files that the commands read, with the labels of the tiny models in one of them."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    labels = "".join(f"  {label}: about {label}\n" for label in ("outside", "refund", "delivery", "greeting"))
    (folder / "desk.yaml").write_text(f"kind: classification\nlabels:\n{labels}languages: [de]\n", "utf-8")
    (folder / "mood.yaml").write_text("kind: classification\nlabels: {good: , bad: , delivery: }\n", "utf-8")
    (folder / "summary.yaml").write_text("kind: text\ninstruction: Summarise it.\n", "utf-8")
    monkeypatch.setenv("SPRAT_TASKS", str(folder))
    return folder


def test_a_model_is_added_for_a_task_from_a_file_and_served_by_its_service(
    tasks: Path, labelled: Path, tmp_path: Path
) -> None:
    right_rows(labelled, tmp_path / "gold", inside=400, outside=0)  # so that some of it is kept
    said = add(tmp_path / "a", "--calibrate", str(labelled), "--goal", "0.9", task="desk")
    assert f"or as the model of the task, in {tasks / 'desk'}.yaml: artefact: ../a" in said
    said = add(tmp_path / "bare", task="desk")
    assert f"write into {tasks / 'desk'}.yaml: models: {{bert: {{keep_at: YOURS, uncalibrated: keep}}}}" in said
    (tasks / "desk.yaml").write_text((tasks / "desk.yaml").read_text("utf-8") + "artefact: ../a\n", "utf-8")
    model = SERVICE.model_of(ClassifySettings(secret="s" * 32, classify={"task": "desk"}))
    assert (model.card.task, model.card.languages) == ("desk", ("de",))
    assert version_in(tmp_path / "a", "desk") == load_artefact(tmp_path / "a").card.version
    texts, wanted = expected("bert")
    answers = model.answer([Question(text, "de") for text in texts])
    labels = load_artefact(tmp_path / "a").card.labels or ()
    assert [answer.output.label for answer in answers] == [labels[row.argmax()] for row in wanted]


@pytest.mark.parametrize(
    ("task", "more", "message"),
    [
        ("mood", (), "The model alone has refund, greeting, outside; the file alone has good, bad"),
        ("desk", ("--outside-label", "outside"), "The model alone has none more; the file alone has outside"),
        ("summary", (), "has no labels: a large model alone answers it"),
        (
            "other",
            (),
            "and for tasks from files: desk, mood, summary; to make it a task, write its file: sprat task init",
        ),
    ],
)
def test_a_model_that_does_not_fit_the_task_is_refused(
    tasks: Path, tmp_path: Path, task: str, more: tuple[str, ...], message: str
) -> None:
    assert message in add(tmp_path / "a", *more, task=task, code=2)
    assert not (tmp_path / "a").exists()


def test_the_original_is_computed_by_transformers(tmp_path: Path) -> None:
    """Needs torch: `make test-models`."""
    pytest.importorskip("torch", reason="needs torch and transformers: make test-models")
    texts, wanted = expected("roberta")
    logits, versions = original_logits(MODELS / "roberta", texts, 40)
    assert np.abs(np.concatenate(logits) - wanted).max() < 1e-3
    assert versions.startswith("transformers 5")
    run("models", "add", str(MODELS / "roberta"), "--task", "intent", "--quantization", "float32", "--output",
        str(tmp_path / "a"))  # fmt: skip
    assert load_artefact(tmp_path / "a").card.score("agreement_with_original") >= 0.99
