"""`sprat models add` on models whose files state what cannot be: one line of text, and nothing left behind."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from sprat.base.errors import UserError
from sprat_cli.main import app
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.saved_model import SavedModel
from sprat_inference.converters.sentence_encoder import convert_encoder

MODELS = Path(__file__).parents[1] / "data" / "hub"
HUGE = 10**10

ENCODERS = [
    ("num_attention_heads", 0),
    ("num_attention_heads", -4),
    ("num_attention_heads", 3),
    ("num_attention_heads", HUGE),
    ("num_attention_heads", "4"),
    ("num_hidden_layers", 0),
    ("num_hidden_layers", HUGE),
    ("layer_norm_eps", "small"),
    ("layer_norm_eps", float("nan")),
    ("architectures", {"BertModel": 0}),
    ("architectures", "BertModel"),
    ("architectures", [1]),
]
TRANSLATORS = [
    ("marian", "encoder_attention_heads", 0),
    ("marian", "decoder_attention_heads", 0),
    ("marian", "encoder_attention_heads", 3),
    ("marian", "encoder_layers", 0),
    ("marian", "decoder_layers", HUGE),
    ("marian", "max_position_embeddings", 10**9),
    ("marian", "max_position_embeddings", 0),
    ("marian", "max_position_embeddings", "many"),
    ("marian", "d_model", -4),
    ("marian", "d_model", HUGE),
    ("marian", "eos_token_id", HUGE),
    ("marian", "eos_token_id", -1),
    ("marian", "decoder_start_token_id", 117),
    ("marian", "pad_token_id", HUGE),
    ("marian", "pad_token_id", -1),
    ("marian", "architectures", {"MarianMTModel": 0}),
    ("mbart-50", "encoder_attention_heads", 0),
    ("m2m-100", "max_position_embeddings", 10**9),
    ("m2m-100", "d_model", 20),
    ("t5", "num_heads", 0),
    ("t5", "num_heads", 3),
    ("t5", "d_kv", 0),
    ("t5", "d_kv", 8),
    ("t5", "num_layers", HUGE),
    ("t5", "num_decoder_layers", 0),
    ("t5", "d_model", -4),
    ("t5", "pad_token_id", HUGE),
    ("t5", "relative_attention_max_distance", 0),
    ("t5", "relative_attention_max_distance", HUGE),
    ("t5", "layer_norm_epsilon", []),
]


def copy_with(kind: str, folder: Path, file: str = "config.json", **changes: Any) -> Path:
    """Return a copy of a model whose file states other values."""
    copied = Path(shutil.copytree(MODELS / kind, folder / "model"))
    content = json.loads((copied / file).read_text("utf-8")) if (copied / file).is_file() else {}
    (copied / file).write_text(json.dumps(content | changes), "utf-8")
    return copied


def refusal(model: Path, task: str, *more: str) -> str:
    """Add a model that must be refused, and return the one line that says so."""
    place = model.parent / "place"
    place.mkdir()
    command = ["models", "add", str(model), "--task", task, "--no-compare", "--licence", "MIT", *more]
    result = CliRunner().invoke(app, [*command, "--output", str(place / "added")], catch_exceptions=False)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert list(place.iterdir()) == []
    return " ".join(result.output.split())


@pytest.mark.parametrize(("field", "value"), ENCODERS)
@pytest.mark.parametrize(("kind", "task"), [("bert", "intent"), ("bert-tokens", "ner")])
def test_a_classifier_is_refused(tmp_path: Path, kind: str, task: str, field: str, value: object) -> None:
    found = refusal(copy_with(kind, tmp_path, **{field: value}), task)
    assert field in found
    assert "config.json" in found


@pytest.mark.parametrize("value", [HUGE, -1, None])
def test_the_padding_before_the_positions_is_one_of_them(tmp_path: Path, value: object) -> None:
    assert "pad_token_id" in refusal(copy_with("roberta", tmp_path, pad_token_id=value), "intent")


@pytest.mark.parametrize(
    ("file", "field", "value"),
    [*(("config.json", *each) for each in ENCODERS), ("sentence_bert_config.json", "max_seq_length", -5)],
)
def test_a_sentence_encoder_is_refused(tmp_path: Path, file: str, field: str, value: object) -> None:
    model, folder = copy_with("bert-sentences", tmp_path, file, **{field: value}), tmp_path / "added"
    folder.mkdir()
    saved = SavedModel.open(model)
    weights = saved.weights()
    with pytest.raises(UserError) as raised:
        convert_encoder(saved, weights, Provenance("tiny", "tiny", "us", "MIT", ("en",)), folder)
    assert field in str(raised.value)
    assert file in str(raised.value)


@pytest.mark.parametrize(("kind", "field", "value"), TRANSLATORS)
def test_a_translation_model_is_refused(tmp_path: Path, kind: str, field: str, value: object) -> None:
    found = refusal(copy_with(kind, tmp_path, **{field: value}), "translation", "--language", "de-en")
    assert field in found
    assert "config.json" in found


@pytest.mark.parametrize("value", [HUGE, -1])
def test_the_settings_of_generation_are_checked(tmp_path: Path, value: int) -> None:
    model = copy_with("marian", tmp_path, decoder_start_token_id=None)
    config = json.loads((model / "config.json").read_text("utf-8"))
    del config["decoder_start_token_id"]
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    (model / "generation_config.json").write_text(json.dumps({"decoder_start_token_id": value}), "utf-8")
    found = refusal(model, "translation", "--language", "de-en")
    assert "generation_config.json: decoder_start_token_id must be an integer from 0 to 116" in found


@pytest.mark.parametrize("id", [HUGE, 117, -1, "x", None, 1.5, True])
def test_an_id_of_the_vocabulary_has_a_row_of_the_embeddings(tmp_path: Path, id: object) -> None:
    found = refusal(copy_with("marian", tmp_path, "vocab.json", far=id), "translation", "--language", "de-en")
    assert "vocab.json: the id of 'far' must be an integer from 0 to 116" in found


@pytest.mark.parametrize(("kind", "task"), [("bert", "intent"), ("bert-tokens", "ner"), ("t5", "translation")])
def test_a_token_added_to_the_tokenizer_has_a_row_of_the_embeddings(tmp_path: Path, kind: str, task: str) -> None:
    content = json.loads((MODELS / kind / "tokenizer.json").read_text("utf-8"))
    token = {"id": 4_000_000_000, "content": "far", "special": False, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False}  # fmt: skip
    content["added_tokens"].append(token)
    vocabulary = content["model"]["vocab"]
    if isinstance(vocabulary, dict):
        vocabulary["far"] = token["id"]
    else:
        vocabulary += [[f"far{number}", -9.0] for number in range(300)]
    model = copy_with(kind, tmp_path, "tokenizer.json", **content)
    assert "tokenizer.json" in refusal(model, task, *(["--language", "de-en"] if task == "translation" else []))


SHAPES = [
    ("bert", "intent", "bert.embeddings.word_embeddings.weight"),
    ("bert", "intent", "bert.embeddings.position_embeddings.weight"),
    ("bert", "intent", "bert.embeddings.token_type_embeddings.weight"),
    ("bert", "intent", "bert.embeddings.LayerNorm.weight"),
    ("bert", "intent", "bert.encoder.layer.1.attention.self.query.weight"),
    ("bert", "intent", "bert.encoder.layer.0.attention.self.value.bias"),
    ("bert", "intent", "bert.encoder.layer.0.intermediate.dense.weight"),
    ("bert", "intent", "bert.encoder.layer.0.intermediate.dense.bias"),
    ("bert", "intent", "bert.encoder.layer.1.output.dense.weight"),
    ("bert", "intent", "bert.pooler.dense.weight"),
    ("bert", "intent", "bert.pooler.dense.bias"),
    ("bert", "intent", "classifier.weight"),
    ("bert", "intent", "classifier.bias"),
    ("distilbert", "intent", "distilbert.transformer.layer.0.ffn.lin2.weight"),
    ("distilbert", "intent", "pre_classifier.weight"),
    ("roberta", "intent", "roberta.embeddings.position_embeddings.weight"),
    ("roberta", "intent", "classifier.out_proj.weight"),
    ("bert-tokens", "ner", "classifier.weight"),
    ("bert-tokens", "ner", "classifier.bias"),
    ("marian", "translation", "model.encoder.layers.0.self_attn.q_proj.weight"),
    ("marian", "translation", "model.decoder.layers.0.encoder_attn.v_proj.bias"),
    ("marian", "translation", "model.decoder.layers.0.fc1.weight"),
    ("marian", "translation", "model.decoder.layers.0.fc2.bias"),
    ("marian", "translation", "model.encoder.layers.0.final_layer_norm.weight"),
    ("marian", "translation", "final_logits_bias"),
    ("mbart-50", "translation", "model.decoder.embed_positions.weight"),
    ("t5", "translation", "encoder.block.0.layer.0.SelfAttention.k.weight"),
    ("t5", "translation", "decoder.block.0.layer.1.EncDecAttention.o.weight"),
    ("t5", "translation", "decoder.block.0.layer.2.DenseReluDense.wo.weight"),
    ("t5", "translation", "decoder.final_layer_norm.weight"),
]


@pytest.mark.parametrize(("kind", "task", "name"), SHAPES)
@pytest.mark.parametrize("how", ["longer", "flat"])
def test_weights_have_the_shapes_that_the_configuration_states(
    tmp_path: Path, kind: str, task: str, name: str, how: str
) -> None:
    """CTranslate2 does not compare them: it would read beyond an array."""
    model = copy_with(kind, tmp_path)
    weights = load_file(model / "model.safetensors")
    array = weights[name]
    weights[name] = {
        "longer": np.concatenate([array, array]),
        "flat": np.stack([array, array]).reshape(-1),
    }[how]
    save_file(weights, model / "model.safetensors")
    more = ["--language", "de-en", "--task-prefix", ""] if kind == "t5" else ["--language", "de-en"]
    found = refusal(model, task, *(more if task == "translation" else []))
    assert name.rpartition(".")[2] in found or "outputs and" in found


@pytest.mark.parametrize("content", ["rubbish", "{}", '{"model": {"type": "WordPiece"}}'])
@pytest.mark.parametrize(("kind", "task"), [("bert", "intent"), ("t5", "translation")])
def test_a_tokenizer_that_cannot_be_read_is_refused(tmp_path: Path, kind: str, task: str, content: str) -> None:
    model = copy_with(kind, tmp_path)
    (model / "tokenizer.json").write_text(content, "utf-8")
    assert "tokenizer" in refusal(model, task, *(["--language", "de-en"] if task == "translation" else []))


def test_a_configuration_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    model = copy_with("bert", tmp_path)
    (model / "config.json").write_text('{"model_type": ' + "[" * 100_000 + "]" * 100_000 + "}", "utf-8")
    assert "config.json: cannot be read" in refusal(model, "intent")
