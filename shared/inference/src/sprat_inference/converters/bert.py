"""Convert weights of the BERT architecture to a CTranslate2 encoder, without torch. Services do not import it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from ctranslate2.specs import TransformerEncoderModelSpec, TransformerEncoderSpec
from ctranslate2.specs.common_spec import Activation
from numpy.typing import NDArray
from tokenizers import Tokenizer

from sprat.base.errors import UserError

Weights = Mapping[str, NDArray[np.float32]]
"""Name → array, named as `BertModel` names them (`encoder.layer.0.output.dense.weight`); matrices are out × in."""

Quantization = Literal["int8", "float32"]
"""int8 computes with integers on the CPU: a quarter of the memory, two to four times the speed."""

LAYER_NORM_EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class BertShape:
    """The hyperparameters that cannot be derived from the arrays."""

    layers: int
    heads: int
    epsilon: float = LAYER_NORM_EPSILON
    """Epsilon of the layer normalisation."""
    activation: Activation = Activation.GELU
    """Of the feed-forward layers."""


def write_bert(
    weights: Weights, shape: BertShape, tokenizer: Path, folder: Path, quantization: Quantization = "int8"
) -> None:
    """Write `model.bin`, `config.json`, `vocabulary.json` and `tokenizer.json` into `folder`, which must exist.

    Equal arrays and tokenizers give equal bytes. `weights` is not changed.

    Raises:
        KeyError: when an array is missing.
        UserError: when the tokenizer cannot be read, or has a token without a row of the embeddings.
    """
    spec = TransformerEncoderModelSpec(_encoder(weights, shape), pooling_layer=False)
    spec.register_vocabulary(vocabulary_of(tokenizer, len(weights["embeddings.word_embeddings.weight"])))
    spec.config.unk_token = _unknown(tokenizer)
    spec.config.layer_norm_epsilon = shape.epsilon
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    spec.save(str(folder))
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())


def vocabulary_of(tokenizer: Path, rows: int) -> list[str]:
    """Return a name for each row of the embeddings; rows that no token uses, which some models have, get one, too.

    Raises:
        UserError: the tokenizer cannot be read, or has a token without a row.
    """
    try:
        ids = Tokenizer.from_file(str(tokenizer)).get_vocab(with_added_tokens=True)
    except Exception as error:  # noqa: BLE001 - the library raises nothing more special
        raise UserError(f"{tokenizer}: cannot be read ({error})") from None
    if (last := max(ids.values(), default=0)) >= rows:
        raise UserError(f"{tokenizer}: has the id {last:,}; the embeddings have {rows:,} rows")
    by_id = {id: token for token, id in ids.items()}
    return [by_id.get(id, f"<unused{id}>") for id in range(rows)]


def _unknown(tokenizer: Path) -> str:
    """Return the unknown token: a WordPiece tokenizer names it, a Unigram tokenizer gives its index, BPE has none."""
    model = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]
    return str(model["vocab"][model["unk_id"]][0] if model["type"] == "Unigram" else model["unk_token"] or "<unk>")


def _encoder(weights: Weights, shape: BertShape) -> TransformerEncoderSpec:
    """Return the specification. Every array is copied, because quantising changes its input in place."""

    def take(name: str) -> NDArray[np.float32]:
        return weights[name].copy()

    encoder = TransformerEncoderSpec(
        shape.layers,
        shape.heads,
        pre_norm=False,
        activation=shape.activation,
        layernorm_embedding=True,
        num_source_embeddings=1,
    )
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = take("embeddings.word_embeddings.weight")
    # The input is always one text, so the token type is always 0 and its row can be added to the positions here.
    encoder.position_encodings.encodings = (
        take("embeddings.position_embeddings.weight") + weights["embeddings.token_type_embeddings.weight"][0]
    )
    encoder.layernorm_embedding.gamma = take("embeddings.LayerNorm.weight")
    encoder.layernorm_embedding.beta = take("embeddings.LayerNorm.bias")
    for number, layer in enumerate(encoder.layer):
        _layer(layer, weights, f"encoder.layer.{number}")
    return encoder


def _layer(layer: TransformerEncoderSpec, weights: Weights, at: str) -> None:
    for kind in ("weight", "bias"):
        parts = [weights[f"{at}.attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
        setattr(layer.self_attention.linear[0], kind, np.concatenate(parts))
        setattr(layer.self_attention.linear[1], kind, weights[f"{at}.attention.output.dense.{kind}"].copy())
        setattr(layer.ffn.linear_0, kind, weights[f"{at}.intermediate.dense.{kind}"].copy())
        setattr(layer.ffn.linear_1, kind, weights[f"{at}.output.dense.{kind}"].copy())
    for norm, name in ((layer.self_attention.layer_norm, "attention.output"), (layer.ffn.layer_norm, "output")):
        norm.gamma = weights[f"{at}.{name}.LayerNorm.weight"].copy()
        norm.beta = weights[f"{at}.{name}.LayerNorm.bias"].copy()
