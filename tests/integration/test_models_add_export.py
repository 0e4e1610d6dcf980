"""`sprat models add --export-onnx`: the network of a model that ships none, made of its weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tokenizers import Tokenizer

from sprat_inference.artefact import load_artefact
from sprat_inference.converters import onnx_export
from sprat_inference.converters.agreement import original_logits, sample_texts
from support.model_hub import MODELS, run

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "pad_token_id": 1,
         "intermediate_size": 32, "max_position_embeddings": 40}  # fmt: skip
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "deberta-v3": (
        "deberta-v2",
        "deberta-v2",
        {"relative_attention": True, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True,
         "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "type_vocab_size": 0,
         "pooler_hidden_size": 16},
    ),
    "modernbert": (
        "modernbert",
        "modernbert",
        {"local_attention": 8, "global_attn_every_n_layers": 2, "bos_token_id": 0, "cls_token_id": 0,
         "eos_token_id": 2, "sep_token_id": 2},
    ),
    "electra": ("electra", "bert", {"embedding_size": 8, "pad_token_id": 0}),
    "albert": ("albert", "xlm-roberta", {"embedding_size": 8, "bos_token_id": 0, "eos_token_id": 2}),
}  # fmt: skip
"""Name → type of the model, whose tokenizer it has, its configuration."""
LABELS = ("refund", "delivery", "greeting", "outside")
TAGS = ("O", "B-PER", "I-PER", "B-PROD", "I-PROD")


def random_model(kind: str, folder: Path, *, of_tokens: bool = False) -> Path:
    """Write a small model with random weights that gives texts different labels."""
    import torch  # noqa: PLC0415 - an extra, which most tests do without
    import transformers  # noqa: PLC0415 - as above

    torch.manual_seed(9)
    type_, tokenizer, more = KINDS[kind]
    words = Tokenizer.from_file(str(MODELS / tokenizer / "tokenizer.json")).get_vocab_size()
    config = transformers.AutoConfig.for_model(type_, vocab_size=words, **SHAPE | more)
    config.id2label = dict(enumerate(TAGS if of_tokens else LABELS))
    auto = (
        transformers.AutoModelForTokenClassification if of_tokens else transformers.AutoModelForSequenceClassification
    )
    model = auto.from_config(config).eval()
    shutil.copytree(
        MODELS / tokenizer, folder, ignore=shutil.ignore_patterns("onnx", "model.safetensors", "config.json")
    )
    last = model.classifier.out_proj if hasattr(model.classifier, "out_proj") else model.classifier
    with torch.no_grad():
        for array in model.parameters():
            array.add_(torch.randn_like(array) * (0.3 if array.ndim > 1 else 0.05))
        model.save_pretrained(folder)
        logits, _ = original_logits(folder, sample_texts()[::5], 40, of_tokens=of_tokens)
        last.bias -= torch.from_numpy(np.concatenate(logits).mean(axis=0))
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["intent", "ner"])
def test_the_artefact_computes_what_transformers_computes(kind: str, task: str, tmp_path: Path) -> None:
    """Needs torch: `make test-models`."""
    for package in ("torch", "transformers", "onnxscript"):
        pytest.importorskip(package, reason="needs torch, transformers and onnxscript: make test-models")
    folder = random_model(kind, tmp_path / "model", of_tokens=task == "ner")
    (tmp_path / "texts.txt").write_text("\n".join(sample_texts()[::5]), "utf-8")
    said = run("models", "add", str(folder), "--task", task, "--export-onnx", "--quantization", "float32", "--test",
               str(tmp_path / "texts.txt"), "--output", str(tmp_path / "a"))  # fmt: skip
    assert "get the label of the original" in said
    assert "its service needs ONNX Runtime" in said
    card = load_artefact(tmp_path / "a").card
    assert card.score("agreement_with_original") >= 0.99
    assert "as ONNX in float32, from an export by torch" in card.made_of[0].used_for
    assert b"site-packages" not in (tmp_path / "a" / "model.onnx").read_bytes(), "traces of the stack"
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    if task == "intent":
        run("models", "add", str(folder), "--task", task, "--export-onnx", "--no-compare", "--output",
            str(tmp_path / "b"))  # fmt: skip
        card = load_artefact(tmp_path / "b").card
        assert "as ONNX in int8, from an export by torch" in card.made_of[0].used_for
        kinds = {each.data_type for each in onnx.load_model(tmp_path / "b" / "model.onnx").graph.initializer}
        assert onnx.TensorProto.INT8 in kinds


@pytest.fixture
def deberta(tmp_path: Path) -> Path:
    """A model without a network as ONNX."""
    return Path(shutil.copytree(MODELS / "deberta-v2", tmp_path / "model", ignore=shutil.ignore_patterns("onnx")))


def add(folder: Path, *more: str) -> str:
    """Add a model that is refused, and return what is said."""
    return run("models", "add", str(folder), "--no-compare", "--output", str(folder.parent / "a"), *more, code=2)


def test_what_makes_the_network_is_said(deberta: Path) -> None:
    assert "--export-onnx makes one of its weights, which needs torch" in add(deberta, "--task", "intent")


def test_a_missing_package_is_said(deberta: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None if name == "onnxscript" else name)
    said = add(deberta, "--task", "intent", "--export-onnx")
    assert "--export-onnx: needs the Python package onnxscript: pip install" in said


def test_what_needs_or_has_no_such_network_is_refused(deberta: Path) -> None:
    said = add(MODELS / "bert", "--task", "intent", "--export-onnx", "--output", str(deberta.parent / "a"))
    assert "--export-onnx is not needed; CTranslate2 has the architecture" in said
    assert "--export-onnx: is for --task intent or ner" in add(deberta, "--task", "translation", "--export-onnx")
    config = json.loads((deberta / "config.json").read_text("utf-8"))
    (deberta / "config.json").write_text(json.dumps(config | {"architectures": ["DebertaV2Model"]}), "utf-8")
    said = add(deberta, "--task", "intent", "--export-onnx")
    assert "names DebertaV2Model; --export-onnx takes a …ForSequenceClassification" in said
    (deberta / "model.safetensors").unlink()
    assert "model.safetensors" in add(deberta, "--task", "intent", "--export-onnx")
