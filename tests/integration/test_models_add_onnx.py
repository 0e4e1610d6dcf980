"""`sprat models add` where CTranslate2 does not have the architecture: the network that a repository ships as ONNX."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sprat.base.errors import UserError
from sprat.base.model import Question
from sprat_encoder.label_model import LabellingModel
from sprat_inference.artefact import BrokenArtefact, load_artefact
from sprat_inference.card import Card
from sprat_inference.classifier import Classifier
from sprat_inference.converters.agreement import compare, original_logits
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.classifiers import convert_classifier, convert_token_classifier
from sprat_inference.converters.hub import find_source
from sprat_inference.converters.onnx_model import find_onnx
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.token_classifier import TokenClassifier
from sprat_ner.__main__ import SERVICE as NER
from support.int8 import needs_vnni
from support.model_hub import COMMIT, MODELS, add_model, model_hub, run

KINDS = ("deberta-v2", "modernbert")
PROVENANCE = Provenance("tiny", "the folder tiny", "us", "Apache-2.0", ("en",))
RUNTIMES = ("onnx", "onnxruntime", "torch", "transformers")


def expected(name: str) -> tuple[list[str], list[np.ndarray]]:
    """Return texts, and the logits that transformers computed for each; see make_onnx.py there."""
    rows = json.loads((MODELS / name / "expected.json").read_text("utf-8"))
    return [row["text"] for row in rows], [np.array(row["logits"], np.float32) for row in rows]


def converted(source: Path, folder: Path, quantization: str = "float32", **more: object) -> Card:
    """Convert a model, of texts or of tokens, from its network as ONNX."""
    folder.mkdir()
    saved = SavedModel.open(source, weights=False)
    found = find_onnx(find_source(str(source)), quantization)
    if saved.architecture.endswith("ForTokenClassification"):
        return convert_token_classifier(saved, PROVENANCE, "ner", folder, onnx=found)
    provenance = Provenance("tiny", "x", "us", "Apache-2.0", ("en",), **more)
    return convert_classifier(saved, provenance, "intent", folder, onnx=found)


def read(folder: Path, texts: list[str]) -> np.ndarray:
    return Classifier.load(folder, load_artefact(folder).card).read(texts).logits


@pytest.fixture
def deberta(tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(MODELS / "deberta-v2", tmp_path / "deberta"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    texts, wanted = expected(kind)
    card = converted(MODELS / kind, tmp_path / "a")
    assert np.abs(read(tmp_path / "a", texts) - np.concatenate(wanted)).max() < 1e-3
    assert card.reader == "sprat-classifier-onnx/1"
    assert card.max_tokens == 40
    assert "as ONNX in float32, from onnx/model.onnx" in card.made_of[0].used_for
    assert "Needs ONNX Runtime, an extra of the service that serves it." in card.limits
    assert sorted(card.files) == ["model.onnx", "tokenizer.json", "vocabulary.json"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_of_the_tokens_are_those_of_transformers(kind: str, tmp_path: Path) -> None:
    texts, wanted = expected(f"{kind}-tokens")
    card = converted(MODELS / f"{kind}-tokens", tmp_path / "a")
    found = TokenClassifier.load(tmp_path / "a", card).token_logits(texts)
    agreement = compare(np.concatenate(found), np.concatenate(wanted), "tokens")
    assert agreement.largest_difference < 1e-3
    assert agreement.labels == 5
    assert card.reader == "sprat-token-classifier-onnx/1"


def test_a_network_in_int8_is_taken_where_there_is_one(tmp_path: Path) -> None:
    texts, wanted = expected("deberta-v2")
    card = converted(MODELS / "deberta-v2", tmp_path / "a", "int8")
    assert "in int8, from onnx/model_quantized.onnx" in card.made_of[0].used_for
    agreement = compare(read(tmp_path / "a", texts), np.concatenate(wanted))
    assert agreement.largest_difference > 1e-3, "this is the one in float32"
    card = converted(MODELS / "modernbert", tmp_path / "b", "int8")
    assert "in float32, from onnx/model.onnx" in card.made_of[0].used_for
    needs_vnni()
    assert agreement.share >= 0.9, agreement  # twenty texts of a random network, whose logits lie close together


@pytest.mark.parametrize("threads", [1, 2])
def test_an_answer_does_not_depend_on_the_batch(tmp_path: Path, threads: int) -> None:
    """The scales of a network in int8 are those of the whole batch, if it is given one."""
    texts, _ = expected("deberta-v2")
    card = converted(MODELS / "deberta-v2", tmp_path / "a", "int8")
    classifier = Classifier.load(tmp_path / "a", card, threads)
    together = classifier.read([*texts, *texts]).logits
    alone = np.concatenate([classifier.read([text]).logits for text in texts])
    assert np.array_equal(together, np.concatenate([alone, alone]))


def test_the_label_for_texts_outside_becomes_the_last_class(tmp_path: Path) -> None:
    texts, wanted = expected("modernbert")
    card = converted(MODELS / "modernbert", tmp_path / "a", outside_label="delivery")
    assert card.labels == ("refund", "greeting", "outside")
    assert np.abs(read(tmp_path / "a", texts) - np.concatenate(wanted)[:, [0, 2, 3, 1]]).max() < 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_the_services_serve_it(kind: str, tmp_path: Path) -> None:
    texts, wanted = expected(kind)
    converted(MODELS / kind, tmp_path / "a")
    model = LabellingModel.load(tmp_path / "a", threads=2)
    model.probe()
    answers = model.answer([Question(text, "en") for text in texts])
    labels = model.card.labels or ()
    assert [each.output.label for each in answers] == [labels[row.argmax()] for row in np.concatenate(wanted)]
    converted(MODELS / f"{kind}-tokens", tmp_path / "b")
    names = NER.load(tmp_path / "b")
    names.probe()
    (answer,) = names.answer([Question("😀 Bonjour, où est mon colis ? " * 30, "en")])
    assert max(entity.end for entity in answer.output.entities) > 800, "a text is read to its end"


def test_loading_and_answering_starts_no_thread(tmp_path: Path) -> None:
    card = converted(MODELS / "deberta-v2", tmp_path / "a")
    Classifier.load(tmp_path / "a", card)
    before = len(list(Path("/proc/self/task").iterdir()))
    classifier = Classifier.load(tmp_path / "a", card)
    classifier.read(["where is my order"] * 20)
    assert len(list(Path("/proc/self/task").iterdir())) == before


def test_a_service_without_the_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted(MODELS / "deberta-v2", tmp_path / "a")
    converted(MODELS / "deberta-v2-tokens", tmp_path / "b")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for load, folder in ((LabellingModel.load, tmp_path / "a"), (NER.load, tmp_path / "b")):
        with pytest.raises(BrokenArtefact, match=r"needs ONNX Runtime.*pip install .*'sprat-inference\[onnx\]'"):
            load(folder)


def test_a_model_that_ctranslate2_computes_loads_no_other_runtime() -> None:
    program = (
        "import sys; from sprat.base.plugins import load_specialist; "
        "found = [load_specialist(name) for name in ('intent', 'ner')]; "
        "[each.load(each.shipped).probe() for each in found]; "
        f"print(sorted(set(sys.modules) & set({RUNTIMES})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_file_of_a_network_that_the_card_does_not_list_is_refused(tmp_path: Path) -> None:
    converted(MODELS / "deberta-v2", tmp_path / "a")
    (tmp_path / "a" / "other.onnx").write_bytes(b"x")
    with pytest.raises(BrokenArtefact, match=r"other\.onnx: the card does not list it"):
        load_artefact(tmp_path / "a")


def test_a_damaged_network_cannot_be_loaded(tmp_path: Path) -> None:
    card = converted(MODELS / "deberta-v2", tmp_path / "a")
    (tmp_path / "a" / "model.onnx").write_bytes(b"rubbish")
    with pytest.raises(BrokenArtefact, match=r"model\.onnx: ONNX Runtime cannot load it"):
        Classifier.load(tmp_path / "a", card)


def test_only_the_network_that_is_taken_is_downloaded(tmp_path: Path) -> None:
    with model_hub({"owner/tiny": MODELS / "deberta-v2"}) as hub:
        done = add_model(hub, tmp_path / "home", "--task", "intent", f"owner/tiny@{COMMIT[:7]}", "--no-compare",
                         "--output", str(tmp_path / "taken"))  # fmt: skip
        assert done.returncode == 0, done.stderr
        asked = {each.partition(f"/resolve/{COMMIT}/")[2] for each in hub.requests if each.startswith("GET /owner")}
        assert {each for each in asked if "onnx" in each} == {"onnx/model_quantized.onnx"}
        hub.requests.clear()
        again = add_model(hub, tmp_path / "home", "--task", "intent", f"owner/tiny@{COMMIT[:7]}", "--no-compare",
                          "--output", str(tmp_path / "again"), HF_HUB_OFFLINE="1")  # fmt: skip
        assert again.returncode == 0, again.stderr
        assert hub.requests == []
    card = load_artefact(tmp_path / "taken").card
    assert card.made_of[0].source == f"owner/tiny@{COMMIT}"
    assert "pip install" in done.stdout + done.stderr
    assert "sprat-inference[onnx]" in done.stdout + done.stderr


def test_a_model_without_such_a_network_is_refused(deberta: Path, tmp_path: Path) -> None:
    shutil.rmtree(deberta / "onnx")
    said = run("models", "add", str(deberta), "--task", "intent", "--no-compare", "--output", str(tmp_path / "a"),
               code=2)  # fmt: skip
    assert "of the architecture deberta-v2" in said
    assert "it has no onnx/model.onnx, which would be taken instead" in said


def test_a_model_with_such_a_network_alone_is_not_compared(deberta: Path, tmp_path: Path) -> None:
    (deberta / "model.safetensors").unlink()
    command = ("models", "add", str(deberta), "--task", "intent", "--output", str(tmp_path / "a"))
    assert "--no-compare adds it without" in run(*command, code=2)
    assert "licence apache-2.0; 4 labels" in run(*command, "--no-compare")


def change(folder: Path, *, change: Callable[[onnx.ModelProto], object]) -> None:
    path = folder / "onnx" / "model.onnx"
    model = onnx.load_model(path)
    change(model)
    path.write_bytes(model.SerializeToString())


def refused(folder: Path, place: Path) -> str:
    with pytest.raises(UserError) as raised:
        converted(folder, place)
    assert not any(place.glob("card.json"))
    return str(raised.value)


def largest(model: onnx.ModelProto) -> TensorProto:
    return max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))


def store_outside(tensor: TensorProto, **stated: object) -> bytes:
    """Let the tensor state that it is in another file, and return what belongs there."""
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in stated.items():
        tensor.external_data.add(key=key, value=str(value))
    return data


def test_weights_in_a_file_of_their_own_are_taken_into_the_artefact(deberta: Path, tmp_path: Path) -> None:
    texts, wanted = expected("deberta-v2")
    parts = []

    def outside(model: onnx.ModelProto) -> None:
        tensor = largest(model)
        parts.append(b"head" + store_outside(tensor, location="model.onnx_data", offset=4, length=len(tensor.raw_data)))

    change(deberta, change=outside)
    (deberta / "onnx" / "model.onnx_data").write_bytes(parts[0])
    card = converted(deberta, tmp_path / "a")
    assert "model.onnx_data" not in card.files
    assert np.abs(read(tmp_path / "a", texts) - np.concatenate(wanted)).max() < 1e-3


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"location": "../tokenizer.json"}, "names a file outside its own folder"),
        ({"location": "/etc/passwd"}, "names a file outside its own folder"),
        ({"location": "../../../../../etc/passwd"}, "names a file outside its own folder"),
        ({"location": ".."}, "names a file outside its own folder"),
        ({"location": ""}, "names a file outside its own folder"),
        ({"location": "nothing"}, "names nothing, which is not there"),
        ({"location": "part"}, "part does not hold"),
        ({"location": "part", "offset": 0, "length": 10**15}, "part does not hold"),
        ({"location": "part", "offset": -1, "length": 8}, "part does not hold"),
        ({"location": "part", "offset": "x"}, "part does not hold"),
    ],
)
def test_weights_elsewhere_are_not_read(deberta: Path, tmp_path: Path, stated: dict[str, object], message: str) -> None:
    change(deberta, change=lambda model: store_outside(largest(model), **stated))
    (deberta / "onnx" / "part").write_bytes(b"12345678")
    assert message in refused(deberta, tmp_path / "a")


def test_a_part_within_a_node_is_found(deberta: Path, tmp_path: Path) -> None:
    def outside(model: onnx.ModelProto) -> None:
        node = helper.make_node("Constant", [], ["unused"], value=numpy_helper.from_array(np.ones(3, np.float32)))
        store_outside(node.attribute[0].t, location="../secret")
        inner = helper.make_graph([node], "inner", [], [])
        model.graph.node.append(helper.make_node("If", ["cond"], ["x"], then_branch=inner, else_branch=inner))

    change(deberta, change=outside)
    assert "names a file outside its own folder" in refused(deberta, tmp_path / "a")


def custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Evil", ["input_ids"], ["x"], domain="own.ops"))


def renamed_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1]))


def fixed_axes(model: onnx.ModelProto) -> None:
    for each in model.graph.input:
        each.type.tensor_type.shape.dim[1].dim_value = 128


def other_type(model: onnx.ModelProto) -> None:
    for each in model.graph.input:
        each.type.tensor_type.elem_type = TensorProto.INT32


def other_output(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["scores" if name == "logits" else name for name in names]
    model.graph.output[0].name = "scores"


def half_precision(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def no_weights(model: onnx.ModelProto) -> None:
    largest(model).raw_data = b""


def huge_weights(model: onnx.ModelProto) -> None:
    largest(model).dims[:] = [10**9, 10**9]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (custom_operator, "needs the operator 'Evil' of 'own.ops', which ONNX Runtime does not have"),
        (renamed_input, "takes input_ids, attention_mask, pixel_values;"),
        (fixed_axes, "takes inputs of one size alone"),
        (other_type, "is no matrix of int64"),
        (other_output, "computes scores, not logits"),
        (half_precision, "are not float32"),
        (no_weights, "ONNX Runtime cannot compute it"),
        (huge_weights, "ONNX Runtime cannot compute it"),
    ],
)
def test_a_network_that_cannot_be_served_is_refused(
    deberta: Path, tmp_path: Path, damage: Callable[[onnx.ModelProto], None], message: str
) -> None:
    change(deberta, change=damage)
    assert message in refused(deberta, tmp_path / "a")


def test_a_file_that_is_no_network_is_refused(deberta: Path, tmp_path: Path) -> None:
    (deberta / "onnx" / "model.onnx").write_bytes(b"rubbish")
    assert "cannot be read as ONNX" in refused(deberta, tmp_path / "a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "by id2label they should be texts × 3"),
        ({"vocab_size": 100}, "the embeddings have 100 rows"),
        ({"vocab_size": 10**10}, "vocab_size must be an integer"),
        ({"max_position_embeddings": 10**10}, "max_position_embeddings must be an integer"),
        ({"architectures": ["DebertaV2ForTokenClassification"]}, "by id2label they should be texts × tokens × 4"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    deberta: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    config = json.loads((deberta / "config.json").read_text("utf-8"))
    if "architectures" in changes:
        changes |= {"id2label": {"0": "O", "1": "B-A", "2": "I-A", "3": "B-B"}}
    (deberta / "config.json").write_text(json.dumps(config | changes), "utf-8")
    assert message in refused(deberta, tmp_path / "a")


def test_a_tokenizer_with_other_tokens_around_a_text_is_refused(deberta: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((deberta / "tokenizer.json").read_text("utf-8"))
    (deberta / "tokenizer.json").write_text(json.dumps(tokenizer | {"post_processor": None}), "utf-8")
    assert "other tokens around a text than one on each side" in refused(deberta, tmp_path / "a")


def test_the_original_is_computed_by_transformers(tmp_path: Path) -> None:
    """Needs torch: `make test-models`."""
    pytest.importorskip("torch", reason="needs torch and transformers: make test-models")
    for kind in KINDS:
        texts, wanted = expected(kind)
        found, _ = original_logits(MODELS / kind, texts, 40)
        assert np.abs(np.concatenate(found) - np.concatenate(wanted)).max() < 1e-3
        run("models", "add", str(MODELS / kind), "--task", "intent", "--quantization", "float32", "--output",
            str(tmp_path / kind))  # fmt: skip
        assert load_artefact(tmp_path / kind).card.score("agreement_with_original") >= 0.99
