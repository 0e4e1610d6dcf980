"""Write the specification of a network that turns texts into texts, from the weights that transformers saved.

The specifications are CTranslate2's; names and numbers are those of transformers 5 (`modeling_marian.py`,
`modeling_m2m_100.py`, `modeling_mbart.py`, `modeling_t5.py`).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ctranslate2.specs import TransformerDecoderSpec, TransformerEncoderSpec, TransformerSpec
from ctranslate2.specs.common_spec import Activation
from numpy.typing import NDArray

from sprat.base.errors import UserError
from sprat_inference.converters.families import ACTIVATIONS
from sprat_inference.converters.saved_model import (
    CONFIG,
    MOST_HEADS,
    MOST_LAYERS,
    MOST_POSITIONS,
    MOST_WIDTH,
    SavedModel,
    Weights,
    bounded,
)

Floats = NDArray[np.float32]

AROUND_TRANSLATION: Final = 12
"""Positions that a translation may need beyond twice those of its source: 10 pieces, its language, the start."""
LEAST_POSITIONS: Final = AROUND_TRANSLATION + 2 * 3
"""For a sentence of three pieces, and its translation."""

_ALL_ACTIVATIONS: Final = {**ACTIVATIONS, "swish": Activation.SWISH, "silu": Activation.SWISH}
_NEVER: Final = -1e9
"""Logit of a token that must not be written."""
_SIDES: Final = ("encoder", "decoder")


@dataclass(frozen=True, slots=True)
class Seq2SeqFamily:
    """One architecture."""

    write: Callable[["Seq2SeqModel"], TransformerSpec]
    start: str
    """Field of the configuration with the id that decoding starts with, where none is stated for it."""
    pre_norm: bool = False
    norm_embedding: bool = False


@dataclass(frozen=True, slots=True)
class Seq2SeqModel:
    """What the conversion of one model needs."""

    saved: SavedModel
    weights: Weights
    vocabulary: list[str]
    """One name for each row of the embeddings."""
    family: Seq2SeqFamily
    settings: Mapping[str, Any]
    """`config.json`, and what `generation_config.json` says that it does not."""

    @property
    def width(self) -> int:
        """Numbers of a token's vector.

        Raises:
            UserError: the configuration does not state it.
        """
        return self.saved.number("d_model", most=MOST_WIDTH)

    def take(self, *names: str, shape: tuple[int, ...] | None = None) -> Floats:
        """Return a copy of the first of these arrays that there is: quantising changes its input in place.

        Args:
            names: of the array.
            shape: that it must have, by the configuration.

        Raises:
            UserError: there is none, or it has another shape.
        """
        for name in names:
            if (array := self.weights.get(name)) is not None:
                if shape is not None:
                    self.saved.check_shape(name, array, shape)
                return array.copy()
        raise UserError(f"{self.saved.folder}: the weights lack {names[0]}; download the model again")

    def embeddings(self, *names: str) -> Floats:
        """Return a copy of the first of these arrays, which must have a row for each id, and `d_model` columns.

        Raises:
            UserError: there is none, or it is of another form.
        """
        array, width = self.take(*names), self.width
        if array.shape != (len(self.vocabulary), width):
            raise UserError(
                f"{self.saved.folder / CONFIG}: d_model is {width}; the embeddings have the form {array.shape}"
            )
        return array

    def token(self, field: str, default: int) -> str:
        """Return the token whose id a field of the settings states.

        Raises:
            UserError: there is no such id.
        """
        stated = self.settings.get(field)
        file = self.saved.folder / (CONFIG if field in self.saved.config else "generation_config.json")
        most = len(self.vocabulary) - 1
        return self.vocabulary[bounded(file, field, stated if isinstance(stated, int) else default, least=0, most=most)]


def starts_with_padding(saved: SavedModel) -> bool:
    """Return whether the token of the padding only starts a translation, and must not be written, as in Marian."""
    return bool(saved.config["model_type"] == "marian")


def _write_bart(model: Seq2SeqModel) -> TransformerSpec:
    """Return the specification of a model of the form of BART: Marian, M2M-100 and mBART."""
    saved, family = model.saved, model.family
    activation, width = _activation(saved, str(saved.config.get("activation_function", "gelu"))), model.width
    layers = [saved.number(f"{side}_layers", most=MOST_LAYERS) for side in _SIDES]
    heads = [saved.heads(f"{side}_attention_heads", width=width) for side in _SIDES]
    shape: dict[str, Any] = {
        "pre_norm": family.pre_norm,
        "activation": activation,
        "layernorm_embedding": family.norm_embedding,
    }
    encoder = TransformerEncoderSpec(layers[0], heads[0], **shape)
    decoder = TransformerDecoderSpec(layers[1], heads[1], **shape)
    for side, spec in zip(_SIDES, (encoder, decoder), strict=True):
        at = f"model.{side}"
        embeddings = spec.embeddings[0] if side == "encoder" else spec.embeddings
        embeddings.weight = model.embeddings(f"{at}.embed_tokens.weight", "model.shared.weight", *_EMBEDDINGS)
        spec.scale_embeddings = math.sqrt(width) if saved.config.get("scale_embedding") else False
        spec.position_encodings.encodings = _positions(model, side)
        if family.pre_norm:
            _norm(spec.layer_norm, model, f"{at}.layer_norm")
        if family.norm_embedding:
            _norm(spec.layernorm_embedding, model, f"{at}.layernorm_embedding")
        for number, layer in enumerate(spec.layer):
            _bart_layer(layer, model, f"{at}.layers.{number}", crosses=side == "decoder")
    decoder.projection.weight = model.embeddings("lm_head.weight", "model.shared.weight", *_EMBEDDINGS)
    bias = np.zeros(len(model.vocabulary), np.float32)
    if "final_logits_bias" in model.weights:
        bias = model.take("final_logits_bias", shape=(1, len(bias)))[0]
    if starts_with_padding(saved):
        bias[saved.number("pad_token_id", least=0, most=len(bias) - 1)] = _NEVER  # Marian itself does not have it
    if bias.any():
        decoder.projection.bias = bias
    return TransformerSpec(encoder, decoder)


_EMBEDDINGS: Final = tuple(f"model.{side}.embed_tokens.weight" for side in _SIDES)


def _bart_layer(layer: Any, model: Seq2SeqModel, at: str, *, crosses: bool) -> None:
    width = model.width
    inner = model.saved.number(f"{'decoder' if crosses else 'encoder'}_ffn_dim", most=MOST_WIDTH)
    attentions = [(layer.self_attention, "self_attn")] + ([(layer.attention, "encoder_attn")] if crosses else [])
    for spec, name in attentions:
        parts = [
            [model.take(f"{at}.{name}.{part}_proj.{kind}", shape=shape) for part in ("q", "k", "v", "out")]
            for kind, shape in (("weight", (width, width)), ("bias", (width,)))
        ]
        for kind, (query, key, value, out) in zip(("weight", "bias"), parts, strict=True):
            fused = [[query], [key, value]] if name == "encoder_attn" else [[query, key, value]]
            for linear, arrays in zip(spec.linear, [*map(np.concatenate, fused), out], strict=True):
                setattr(linear, kind, arrays)
        _norm(spec.layer_norm, model, f"{at}.{name}_layer_norm")
    for linear, name, (rows, columns) in (
        (layer.ffn.linear_0, "fc1", (inner, width)),
        (layer.ffn.linear_1, "fc2", (width, inner)),
    ):
        linear.weight = model.take(f"{at}.{name}.weight", shape=(rows, columns))
        linear.bias = model.take(f"{at}.{name}.bias", shape=(rows,))
    _norm(layer.ffn.layer_norm, model, f"{at}.final_layer_norm")


def _norm(spec: Any, model: Seq2SeqModel, name: str) -> None:
    spec.gamma, spec.beta = (model.take(f"{name}.{kind}", shape=(model.width,)) for kind in ("weight", "bias"))


def _positions(model: Seq2SeqModel, side: str) -> Floats:
    """Return the vectors of the positions, positions × width: learnt by mBART, computed by the others."""
    count = model.saved.number("max_position_embeddings", least=LEAST_POSITIONS, most=MOST_POSITIONS)
    width, kind = model.width, model.saved.config["model_type"]
    if kind == "mbart":
        return model.take(f"model.{side}.embed_positions.weight", shape=(count + 2, width))[2:]  # its first one is 2
    half = width // 2
    if kind == "marian":
        rates = 10_000 ** (-2 * np.arange(half) / width)
        angles = np.arange(count)[:, None] * rates
    else:
        rates = np.exp(np.arange(half) * -(math.log(10_000) / (half - 1)))
        angles = (np.arange(count) + 2)[:, None] * rates  # its first position is the one after the padding's
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _write_t5(model: Seq2SeqModel) -> TransformerSpec:
    """Return the specification of a T5 or mT5."""
    saved = model.saved
    gate, _, name = str(saved.config.get("feed_forward_proj", "relu")).rpartition("gated-")
    gated = "gated-" in str(saved.config.get("feed_forward_proj", "relu"))
    activation = _activation(saved, "gelu_new" if gated and name == "gelu" else name or gate)
    shape: dict[str, Any] = {
        "activation": activation,
        "ffn_glu": gated,
        "relative_attention_bias": True,
        "rms_norm": True,
        "head_dim": saved.number("d_kv", most=MOST_WIDTH),
    }
    heads, layers = saved.number("num_heads", most=MOST_HEADS), saved.number("num_layers", most=MOST_LAYERS)
    encoder = TransformerEncoderSpec(layers, heads, **shape)
    decoder = TransformerDecoderSpec(saved.number("num_decoder_layers", "num_layers", most=MOST_LAYERS), heads, **shape)
    for side, spec in zip(_SIDES, (encoder, decoder), strict=True):
        embeddings = spec.embeddings[0] if side == "encoder" else spec.embeddings
        embeddings.weight = model.embeddings(f"{side}.embed_tokens.weight", "shared.weight")
        spec.scale_embeddings = False
        spec.layer_norm.gamma = model.take(f"{side}.final_layer_norm.weight", shape=(model.width,))
        bias = model.take(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
        query = model.take(f"{side}.block.0.layer.0.SelfAttention.q.weight")
        if bias.ndim != 2 or bias.shape[1] != heads or len(query) != heads * shape["head_dim"]:
            raise UserError(
                f"{saved.folder / CONFIG}: num_heads is {heads} and d_kv {shape['head_dim']}; the weights have "
                f"{bias.shape[-1]} heads and {len(query)} numbers in them all"
            )
        # Distances up to half the buckets have one each; the others share the rest by their logarithm.
        farthest = np.int32(
            saved.number("relative_attention_max_distance", least=len(bias) // 2 + 1, most=1 << 20, default=128)
        )
        for number, layer in enumerate(spec.layer):
            layer.self_attention.relative_attention_bias = bias
            layer.self_attention.relative_attention_max_distance = farthest
            _t5_layer(layer, model, f"{side}.block.{number}.layer", crosses=side == "decoder", gated=gated)
    decoder.projection.weight = model.embeddings("lm_head.weight", "shared.weight")
    stated = saved.config.get("scale_decoder_outputs", saved.config.get("tie_word_embeddings", True))
    if stated is not False:
        decoder.scale_outputs = model.width**-0.5
    spec = TransformerSpec(encoder, decoder)
    spec.config.layer_norm_epsilon = saved.epsilon("layer_norm_epsilon", 1e-6)
    return spec


def _t5_layer(layer: Any, model: Seq2SeqModel, at: str, *, crosses: bool, gated: bool) -> None:
    saved, width = model.saved, model.width
    together = saved.number("num_heads", most=MOST_HEADS) * saved.number("d_kv", most=MOST_WIDTH)
    inner = saved.number("d_ff", most=MOST_WIDTH)
    attentions = [(layer.self_attention, f"{at}.0", "SelfAttention")]
    attentions += [(layer.attention, f"{at}.1", "EncDecAttention")] if crosses else []
    for spec, block, name in attentions:
        spec.queries_scale = 1.0
        query, key, value, out = (
            model.take(f"{block}.{name}.{part}.weight", shape=(width, together) if part == "o" else (together, width))
            for part in "qkvo"
        )
        fused = [query, np.concatenate([key, value])] if crosses and name == "EncDecAttention" else None
        for linear, array in zip(spec.linear, [*(fused or [np.concatenate([query, key, value])]), out], strict=True):
            linear.weight = array
        spec.layer_norm.gamma = model.take(f"{block}.layer_norm.weight", shape=(width,))
    dense = f"{at}.{2 if crosses else 1}"
    into = (inner, width)
    if gated:
        layer.ffn.linear_0_noact.weight = model.take(f"{dense}.DenseReluDense.wi_1.weight", shape=into)
    layer.ffn.linear_0.weight = model.take(f"{dense}.DenseReluDense.{'wi_0' if gated else 'wi'}.weight", shape=into)
    layer.ffn.linear_1.weight = model.take(f"{dense}.DenseReluDense.wo.weight", shape=(width, inner))
    layer.ffn.layer_norm.gamma = model.take(f"{dense}.layer_norm.weight", shape=(width,))


def _activation(saved: SavedModel, name: str) -> Activation:
    if name not in _ALL_ACTIVATIONS:
        raise UserError(f"{saved.folder}: the activation {name} cannot be converted")
    return _ALL_ACTIVATIONS[name]


_T5: Final = Seq2SeqFamily(_write_t5, "pad_token_id", pre_norm=True)
SEQ2SEQ_FAMILIES: Final[Mapping[str, Seq2SeqFamily]] = {
    "marian": Seq2SeqFamily(_write_bart, "pad_token_id"),
    "m2m_100": Seq2SeqFamily(_write_bart, "eos_token_id", pre_norm=True),
    "mbart": Seq2SeqFamily(_write_bart, "eos_token_id", pre_norm=True, norm_embedding=True),
    "t5": _T5,
    "mt5": _T5,
}
"""`model_type` → architecture. NLLB is M2M-100 with another tokenizer."""
