"""Write the specification of a language model of the form of Llama, from the weights that transformers saved.

The specifications are CTranslate2's; names and numbers are those of transformers 5 (`modeling_llama.py`,
`modeling_mistral.py`, `modeling_phi3.py`, `modeling_qwen2.py`, `modeling_qwen3.py`, `modeling_smollm3.py`,
`modeling_rope_utils.py`). These models differ in what few functions here read. CTranslate2's own converter is not
used: it needs torch, and that of 4.8.5 fails on Phi-3 as transformers 5 builds it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ctranslate2.specs import TransformerDecoderModelSpec
from ctranslate2.specs.attention_spec import RotaryScalingType
from ctranslate2.specs.common_spec import Activation
from numpy.typing import NDArray

from sprat.base.errors import UserError
from sprat_inference.converters.saved_model import (
    CONFIG,
    MOST_HEADS,
    MOST_LAYERS,
    MOST_WIDTH,
    SavedModel,
    Weights,
    bounded,
)

Floats = NDArray[np.float32]

KINDS: Final = ("llama", "mistral", "phi3", "qwen2", "qwen3", "smollm3")
"""The `model_type` of those that can be converted."""
MOST_TOKENS: Final = 1 << 15
"""Read of a question with its answer; models that state more were hardly trained on such texts."""

_BASE: Final = 10_000.0
_MOST_POSITIONS: Final = 1 << 24
_BYTES: Final = 4
_NO_ROPE_EVERY: Final = 4
"""Of SmolLM3, whose every fourth layer knows no positions, where its configuration does not list them."""


@dataclass(frozen=True, slots=True)
class Rope:
    """How positions turn the vectors of queries and keys."""

    numbers: int
    """Of a head that are turned; the others stay as they are."""
    base: float
    slower: tuple[float, ...] | None = None
    """By which each frequency is divided; None: none is. Linear, Llama 3's and Phi's scaling differ in these alone."""
    attention: tuple[int, int] = (MOST_TOKENS, MOST_TOKENS)
    """Positions that the model was first trained on, and those that it has now: attention is sharper by their ratio."""


@dataclass(frozen=True, slots=True)
class CausalLM:
    """The numbers of a model's configuration, all checked."""

    saved: SavedModel
    weights: Weights
    layers: int
    width: int
    heads: int
    heads_kv: int
    head: int
    """Numbers of a head."""
    inner: int
    max_tokens: int
    rope: Rope

    @classmethod
    def read(cls, saved: SavedModel) -> "CausalLM":
        """Read configuration and weights.

        Raises:
            UserError: the model is of another kind, or cannot be converted; the message says what to do.
        """
        _check_kind(saved)
        width = saved.number("hidden_size", most=MOST_WIDTH)
        heads = saved.number("num_attention_heads", most=MOST_HEADS)
        heads_kv = saved.number("num_key_value_heads", most=heads, default=heads)
        stated = saved.config.get("head_dim")
        head = saved.heads("num_attention_heads", width=width) and width // heads if stated is None else None
        head = saved.number("head_dim", most=MOST_WIDTH, default=head)
        if heads % heads_kv or head % 2:
            raise UserError(f"{saved.folder / CONFIG}: {heads} heads of {head} numbers cannot share {heads_kv} keys")
        rope, longest = _rope(saved, head)
        return cls(
            saved,
            saved.weights(),
            saved.number("num_hidden_layers", most=MOST_LAYERS),
            width,
            heads,
            heads_kv,
            head,
            saved.number("intermediate_size", most=MOST_WIDTH * 4),
            min(longest, MOST_TOKENS),
            rope,
        )

    @property
    def state_bytes(self) -> int:
        """Memory of the keys and values of one token, in all layers."""
        return self.layers * 2 * self.heads_kv * self.head * _BYTES

    @property
    def rows(self) -> int:
        """How many ids the embeddings have rows for."""
        return len(self.take("model.embed_tokens.weight"))

    def take(self, name: str, *shape: int) -> Floats:
        """Return a copy of an array, which must have this shape: quantising changes its input in place.

        Raises:
            UserError: there is none, or it has another shape.
        """
        if (array := self.weights.get(name)) is None:
            raise UserError(f"{self.saved.folder}: the weights lack {name}; download the model again")
        if shape:
            self.saved.check_shape(name, array, shape)
        return array.copy()

    def specification(self) -> TransformerDecoderModelSpec:
        """Return it with all weights.

        Raises:
            UserError: the weights lack an array, or it has another shape than the configuration says.
        """
        rows, rope = self.rows, self.rope
        spec = TransformerDecoderModelSpec.from_config(
            self.layers,
            self.heads,
            activation=Activation.SWISH,
            pre_norm=True,
            ffn_glu=True,
            rms_norm=True,
            rotary_dim=rope.numbers,
            rotary_interleave=False,
            rotary_scaling_type=None if rope.slower is None else RotaryScalingType.Su,
            rotary_base=rope.base,
            original_max_position_embeddings=0 if rope.slower is None else rope.attention[0],
            max_position_embeddings=0 if rope.slower is None else rope.attention[1],
            num_heads_kv=None if self.heads_kv == self.heads else self.heads_kv,
            head_dim=self.head,
            qk_norm=self.saved.config["model_type"] == "qwen3",
        )
        decoder = spec.decoder
        decoder.scale_embeddings = False
        decoder.embeddings.weight = self.take("model.embed_tokens.weight", rows, self.width)
        decoder.layer_norm.gamma = self.take("model.norm.weight", self.width)
        head = "lm_head.weight" if "lm_head.weight" in self.weights else "model.embed_tokens.weight"
        decoder.projection.weight = self.take(head, rows, self.width)
        without = _without_positions(self.saved, self.layers)
        for number, layer in enumerate(decoder.layer):
            self._write_layer(layer, f"model.layers.{number}", with_positions=number not in without)
        spec.config.layer_norm_epsilon = self.saved.epsilon("rms_norm_eps", 1e-6)
        return spec

    def _write_layer(self, layer: Any, at: str, *, with_positions: bool) -> None:
        attention, network, width = layer.self_attention, layer.ffn, self.width
        attention.layer_norm.gamma = self.take(f"{at}.input_layernorm.weight", width)
        network.layer_norm.gamma = self.take(f"{at}.post_attention_layernorm.weight", width)
        sizes = (self.heads * self.head, self.heads_kv * self.head, self.heads_kv * self.head)
        self._set(attention.linear[0], f"{at}.self_attn", ("q_proj", "k_proj", "v_proj"), "qkv_proj", sizes, width)
        self._set(attention.linear[1], f"{at}.self_attn", ("o_proj",), "", (width,), sizes[0])
        if self.saved.config["model_type"] == "qwen3":
            attention.q_norm.gamma = self.take(f"{at}.self_attn.q_norm.weight", self.head)
            attention.k_norm.gamma = self.take(f"{at}.self_attn.k_norm.weight", self.head)
        gate, up = self._halves(at)
        network.linear_0.weight, network.linear_0_noact.weight = gate, up
        for spec, name in ((network.linear_0, "gate_proj"), (network.linear_0_noact, "up_proj")):
            if f"{at}.mlp.{name}.bias" in self.weights:
                spec.bias = self.take(f"{at}.mlp.{name}.bias", self.inner)
        self._set(network.linear_1, f"{at}.mlp", ("down_proj",), "", (width,), self.inner)
        if not with_positions:
            _forget_positions(attention)
        elif self.rope.slower is not None:
            factors = np.array(self.rope.slower, np.float32)
            attention.rotary_scaling_short_factor = factors
            attention.rotary_scaling_long_factor = factors.copy()

    def _set(
        self, spec: Any, at: str, parts: tuple[str, ...], fused: str, sizes: tuple[int, ...], columns: int
    ) -> None:
        """Write a linear layer, whose rows stand in one array, or one after another in several."""
        if f"{at}.{fused}.weight" in self.weights:
            parts, sizes = (fused,), (sum(sizes),)
        rows = list(zip(parts, sizes, strict=True))
        spec.weight = np.concatenate([self.take(f"{at}.{name}.weight", size, columns) for name, size in rows])
        if f"{at}.{parts[0]}.bias" in self.weights:
            spec.bias = np.concatenate([self.take(f"{at}.{name}.bias", size) for name, size in rows])

    def _halves(self, at: str) -> tuple[Floats, Floats]:
        """Return the gate and what it lets through."""
        if (fused := f"{at}.mlp.gate_up_proj.weight") in self.weights:
            gate, up = np.split(self.take(fused, 2 * self.inner, self.width), 2)
            return gate.copy(), up.copy()
        gate, up = (self.take(f"{at}.mlp.{name}_proj.weight", self.inner, self.width) for name in ("gate", "up"))
        return gate, up


def is_causal_lm(saved: SavedModel) -> bool:
    """Return whether a folder holds a language model, of whatever kind."""
    return saved.architecture.endswith("ForCausalLM")


def _check_kind(saved: SavedModel) -> None:
    kind = str(saved.config["model_type"])
    if kind not in KINDS:
        own = "; its repository has code of its own, which is never run" if saved.runs_own_code else ""
        raise UserError(
            f"{saved.folder}: is of the architecture {kind}; {', '.join(KINDS)} can be converted. Another server can "
            f"serve it as a tier: vLLM, llama.cpp or Ollama{own}"
        )
    if not is_causal_lm(saved):
        raise UserError(
            f"{saved.folder}: config.json names {saved.architecture}; a model that writes is a …ForCausalLM"
        )
    if "quantization_config" in saved.config:
        raise UserError(f"{saved.folder}: its weights are quantised already; take the model that they were made of")
    if (activation := saved.config.get("hidden_act", "silu")) not in {"silu", "swish"}:
        raise UserError(f"{saved.folder}: the activation {activation} cannot be converted")


def _without_positions(saved: SavedModel, layers: int) -> frozenset[int]:
    """Return the layers that know no positions."""
    if saved.config["model_type"] != "smollm3":
        return frozenset()
    stated = saved.config.get("no_rope_layers")
    if not isinstance(stated, list):
        every = saved.number("no_rope_layer_interval", most=MOST_LAYERS, default=_NO_ROPE_EVERY)
        return frozenset(range(every - 1, layers, every))
    return frozenset(number for number, has_rope in enumerate(stated) if not has_rope)


def _forget_positions(attention: Any) -> None:
    """Take the attributes away by which CTranslate2 knows a layer with positions."""
    for name in [name for name in vars(attention) if name.startswith("rotary_")]:
        delattr(attention, name)


def _rope(saved: SavedModel, head: int) -> tuple[Rope, int]:
    """Return the positions' parameters, and how many positions they are right for."""
    stated = _stated_rope(saved)
    longest = saved.number("max_position_embeddings", least=16, most=_MOST_POSITIONS)
    window = saved.config.get("sliding_window") if saved.config.get("use_sliding_window", True) else None
    if window is not None:  # within the window, all is as without one
        longest = min(longest, bounded(saved.folder / CONFIG, "sliding_window", window, least=16, most=_MOST_POSITIONS))
    numbers = int(head * _number(saved, stated, "partial_rotary_factor", 1.0))
    base = _number(saved, stated, "rope_theta", _BASE)
    if not 2 <= numbers <= head or numbers % 2 or base <= 1:
        raise UserError(f"{saved.folder / CONFIG}: rope_theta or partial_rotary_factor is out of bounds")
    kind = stated.get("rope_type") or stated.get("type") or "default"
    if kind == "default":
        return Rope(numbers, base), longest
    if kind == "linear":
        return Rope(numbers, base, (_number(saved, stated, "factor"),) * (numbers // 2)), longest
    if kind == "llama3":
        return Rope(numbers, base, _slower_of_llama(saved, stated, numbers, base)), longest
    if kind in {"longrope", "su"}:
        factors = stated.get("short_factor")
        if not isinstance(factors, list) or len(factors) != numbers // 2 or stated.get("attention_factor") is not None:
            raise UserError(f"{saved.folder / CONFIG}: its rope_scaling of the kind {kind} cannot be converted")
        first = int(_number(saved, stated, "original_max_position_embeddings"))
        # Longer texts have other factors, from their first token on: they are not read.
        return Rope(numbers, base, tuple(map(float, factors)), (first, longest)), min(first, longest)
    raise UserError(f"{saved.folder}: its positions are scaled by {kind!s:.40}, which cannot be converted")


def _stated_rope(saved: SavedModel) -> dict[str, Any]:
    """Return what the configuration says of positions: newer ones say it in one place."""
    found = {name: saved.config[name] for name in _ROPE_FIELDS if saved.config.get(name) is not None}
    for field in ("rope_scaling", "rope_parameters"):
        part = saved.config.get(field)
        found |= part if isinstance(part, Mapping) else {}
    return found


_ROPE_FIELDS: Final = ("rope_theta", "partial_rotary_factor", "original_max_position_embeddings")


def _number(saved: SavedModel, stated: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = stated.get(name, default)
    if not isinstance(value, int | float) or not 0 < value < float(_MOST_POSITIONS) * _MOST_POSITIONS:
        raise UserError(f"{saved.folder / CONFIG}: {name} must be a positive number")
    return float(value)


def _slower_of_llama(saved: SavedModel, stated: Mapping[str, Any], numbers: int, base: float) -> tuple[float, ...]:
    """Return by what Llama 3.1 divides each frequency: long waves by `factor`, short ones by 1."""
    factor, low, high, first = (
        _number(saved, stated, name)
        for name in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    if high <= low:
        raise UserError(f"{saved.folder / CONFIG}: high_freq_factor must be above low_freq_factor")
    frequencies = base ** -(np.arange(0, numbers, 2) / numbers)
    turns = first * frequencies / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return tuple((1 / ((1 - smooth) / factor + smooth)).tolist())
