"""The architectures of the transformers library whose encoder is that of BERT under other names.

Each is renamed to BERT's arrays, which :mod:`sprat_inference.converters.bert` writes. Names and numbers are those of
transformers 5 (`modeling_bert.py`, `modeling_roberta.py`, `modeling_distilbert.py`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from ctranslate2.specs.common_spec import Activation

from sprat.base.errors import UserError
from sprat_inference.converters.bert import LAYER_NORM_EPSILON, BertShape
from sprat_inference.converters.saved_model import (
    MOST_LAYERS,
    MOST_POSITIONS,
    MOST_ROWS,
    MOST_WIDTH,
    SavedModel,
    Weights,
)

ACTIVATIONS: Final[Mapping[str, Activation]] = {
    "gelu": Activation.GELU,
    "gelu_new": Activation.GELUTanh,
    "gelu_pytorch_tanh": Activation.GELUTanh,
    "relu": Activation.RELU,
}

_WORDS: Final = "embeddings.word_embeddings.weight"
_POSITIONS: Final = "embeddings.position_embeddings.weight"
_TYPES: Final = "embeddings.token_type_embeddings.weight"
_POOLER: Final = "pooler.dense"
_LEAST_POSITIONS: Final = 3
"""One token between the two special ones."""

_DISTILBERT: Final = (
    (r"^transformer\.layer\.", "encoder.layer."),
    (r"attention\.q_lin\.", "attention.self.query."),
    (r"attention\.k_lin\.", "attention.self.key."),
    (r"attention\.v_lin\.", "attention.self.value."),
    (r"attention\.out_lin\.", "attention.output.dense."),
    (r"sa_layer_norm\.", "attention.output.LayerNorm."),
    (r"ffn\.lin1\.", "intermediate.dense."),
    (r"ffn\.lin2\.", "output.dense."),
    (r"output_layer_norm\.", "output.LayerNorm."),
)


@dataclass(frozen=True, slots=True)
class Head:
    """Where the layers between the first token's state and the logits are stored."""

    layers: tuple[str, ...]
    """Names of the arrays, without `.weight` and `.bias`, in the order in which they are computed."""
    activation: str
    """Of all layers but the last: a name of :data:`sprat_inference.heads.ACTIVATIONS`."""


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture."""

    prefix: str
    """Before the names of the encoder's arrays, in a model with a head."""
    classifier: Head
    tagger: Head = Head(("classifier",), "")
    """Of a model that labels tokens."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Pattern and replacement, from the names of this architecture to those of BERT."""
    layers: str = "num_hidden_layers"
    heads: str = "num_attention_heads"
    activation: str = "hidden_act"
    positions_after_padding: bool = False
    """Whether the first position is the one after the padding's id, as in RoBERTa; the rows before it are not used."""


_ROBERTA: Final = Family(
    "roberta.", Head(("classifier.dense", "classifier.out_proj"), "tanh"), positions_after_padding=True
)

FAMILIES: Final[Mapping[str, Family]] = {
    "bert": Family("bert.", Head((f"bert.{_POOLER}", "classifier"), "tanh")),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": Family(
        "distilbert.",
        Head(("pre_classifier", "classifier"), "relu"),
        renamed=_DISTILBERT,
        layers="n_layers",
        heads="n_heads",
        activation="activation",
    ),
}
"""`model_type` → architecture."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder with BERT's names."""

    weights: Weights
    shape: BertShape
    positions: int
    """The most tokens of an input, the special ones included."""

    @property
    def width(self) -> int:
        """Numbers of a token's vector."""
        return int(self.weights[_WORDS].shape[1])


def is_convertible(saved: SavedModel) -> bool:
    """Return whether the model is of one of :data:`FAMILIES`."""
    return saved.config["model_type"] in FAMILIES


def family_of(saved: SavedModel) -> Family:
    """Return the architecture of a saved model.

    Raises:
        UserError: it cannot be converted; the message says which can.
    """
    kind = str(saved.config["model_type"])
    if (family := FAMILIES.get(kind)) is None:
        can = ", ".join(sorted(FAMILIES))
        own = "; its repository has code of its own, which is never run" if saved.runs_own_code else ""
        raise UserError(f"{saved.folder}: is of the architecture {kind}; {can} can be converted{own}")
    if saved.config.get("position_embedding_type", "absolute") != "absolute":
        raise UserError(f"{saved.folder}: has relative positions, which cannot be converted; take another model")
    return family


def encoder_of(saved: SavedModel, weights: Weights) -> Encoder:
    """Return the encoder of a saved model, with or without a head.

    Args:
        saved: of one of :data:`FAMILIES`.
        weights: all its arrays.

    Raises:
        UserError: the configuration is not one that can be converted, or an array is missing.
    """
    family = family_of(saved)
    activation = str(saved.config.get(family.activation, "gelu"))
    if activation not in ACTIVATIONS:
        raise UserError(f"{saved.folder}: the activation {activation} cannot be converted")
    layers = saved.number(family.layers, "num_hidden_layers", most=MOST_LAYERS)
    prefix = family.prefix if any(name.startswith(family.prefix) for name in weights) else ""  # none without a head
    renamed = {
        _bert_name(name.removeprefix(prefix), family): array
        for name, array in weights.items()
        if name.startswith(prefix)
    }
    if missing := [name for name in _needed(layers) if name not in renamed]:
        raise UserError(
            f"{saved.folder}: {len(missing)} of the arrays that config.json asks for are not among the weights, such "
            f"as {missing[0]}; download the model again"
        )
    width = _check_shapes(saved, renamed, layers)
    if family.positions_after_padding:
        most = len(renamed[_POSITIONS]) - 1 - _LEAST_POSITIONS
        renamed[_POSITIONS] = renamed[_POSITIONS][saved.number("pad_token_id", least=0, most=most) + 1 :]
    renamed.setdefault(_TYPES, np.zeros((1, width), np.float32))  # DistilBERT has no types
    shape = BertShape(
        layers,
        saved.heads(family.heads, "num_attention_heads", width=width),
        saved.epsilon("layer_norm_eps", LAYER_NORM_EPSILON),
        ACTIVATIONS[activation],
    )
    return Encoder(renamed, shape, len(renamed[_POSITIONS]))


def _check_shapes(saved: SavedModel, arrays: Weights, layers: int) -> int:
    """Check that the arrays have the shapes that the configuration asks for, and return the width of a vector.

    Raises:
        UserError: one has another shape. CTranslate2 would read beyond it.
    """
    words, inner_bias = arrays[_WORDS], arrays["encoder.layer.0.intermediate.dense.bias"]
    if words.ndim != 2 or inner_bias.ndim != 1:
        raise UserError(f"{saved.folder}: {_WORDS} is shaped {words.shape}; download the model again")
    rows = saved.number("vocab_size", most=MOST_ROWS, default=len(words))
    width = saved.number("hidden_size", "dim", most=MOST_WIDTH, default=words.shape[1])
    inner = saved.number("intermediate_size", "hidden_dim", most=MOST_WIDTH, default=len(inner_bias))
    positions = saved.number("max_position_embeddings", most=MOST_POSITIONS, default=len(arrays[_POSITIONS]))
    saved.check_shape(_WORDS, words, (rows, width))
    saved.check_shape(_POSITIONS, arrays[_POSITIONS], (positions, width))
    if (types := arrays.get(_TYPES)) is not None:
        saved.check_shape(_TYPES, types, (saved.number("type_vocab_size", most=MOST_ROWS, default=len(types)), width))
    for name in _needed(layers)[2:]:
        rows, columns = (inner if "intermediate" in name else width), width
        if name.endswith("output.dense.weight") and "attention" not in name:
            columns = inner
        is_matrix = name.endswith("weight") and "LayerNorm" not in name
        saved.check_shape(name, arrays[name], (rows, columns) if is_matrix else (rows,))
    return width


def _bert_name(name: str, family: Family) -> str:
    for pattern, replacement in family.renamed:
        name = re.sub(pattern, replacement, name)
    return name


def _needed(layers: int) -> list[str]:
    parts = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    dense = (*parts, "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm")
    of_layers = [f"encoder.layer.{layer}.{part}" for layer in range(layers) for part in dense]
    both = [f"{name}.{kind}" for name in ("embeddings.LayerNorm", *of_layers) for kind in ("weight", "bias")]
    return [_WORDS, _POSITIONS, *both]
