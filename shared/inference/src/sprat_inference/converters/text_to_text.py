"""Convert a translation model for the transformers library to an artefact of the translation service, without torch.

The specifications are CTranslate2's; names and numbers are those of transformers 5 (`modeling_marian.py`,
`modeling_m2m_100.py`, `modeling_mbart.py`, `modeling_t5.py`).
"""

import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ctranslate2
import numpy as np
from ctranslate2.specs import TransformerDecoderSpec, TransformerEncoderSpec, TransformerSpec
from ctranslate2.specs.common_spec import Activation
from numpy.typing import NDArray
from tokenizers import Tokenizer

from sprat.errors import UserError
from sprat_inference.artefact import write_artefact
from sprat_inference.card import Card
from sprat_inference.converters.bert import Quantization
from sprat_inference.converters.families import ACTIVATIONS
from sprat_inference.converters.language_codes import M2M_100, languages_in, tag_of
from sprat_inference.converters.opus_mt import LONGEST_SENTENCE, uncalibrated_card
from sprat_inference.converters.saved_model import (
    CONFIG,
    MOST_HEADS,
    MOST_LAYERS,
    MOST_POSITIONS,
    MOST_WIDTH,
    TOKENIZER,
    SavedModel,
    Weights,
    bounded,
)
from sprat_inference.converters.sequence_classifier import Provenance
from sprat_inference.text_to_text import (
    SOURCE_PIECES,
    TARGET_PIECES,
    TEXT_TO_TEXT_READER,
    LanguageMarks,
    Tokens,
    load_pieces,
)

Pairs = Sequence[tuple[str, str]]
Floats = NDArray[np.float32]

_ALL_ACTIVATIONS: Final = {**ACTIVATIONS, "swish": Activation.SWISH, "silu": Activation.SWISH}
_NEVER: Final = -1e9
"""Logit of a token that must not be written."""
_AROUND_TRANSLATION: Final = 12
"""Positions that a translation may need beyond twice those of its source: 10 pieces, its language, the start."""
_LEAST_POSITIONS: Final = _AROUND_TRANSLATION + 2 * 3
"""For a sentence of three pieces, and its translation."""
_SIDES: Final = ("encoder", "decoder")


@dataclass(frozen=True, slots=True)
class _Family:
    """One architecture."""

    write: Callable[["_Model"], TransformerSpec]
    start: str
    """Field of the configuration with the id that decoding starts with, where none is stated for it."""
    pre_norm: bool = False
    norm_embedding: bool = False


@dataclass(frozen=True, slots=True)
class _Model:
    """What the conversion of one model needs."""

    saved: SavedModel
    weights: Weights
    vocabulary: list[str]
    """One name for each row of the embeddings."""
    family: _Family
    settings: Mapping[str, Any]
    """`config.json`, and what `generation_config.json` says that it does not."""

    def take(self, *names: str) -> Floats:
        """Return a copy of the first of these arrays that there is: quantising changes its input in place.

        Raises:
            UserError: there is none.
        """
        for name in names:
            if (array := self.weights.get(name)) is not None:
                return array.copy()
        raise UserError(f"{self.saved.folder}: the weights lack {names[0]}; download the model again")

    def embeddings(self, *names: str) -> Floats:
        """Return a copy of the first of these arrays, which must have a row for each id, and `d_model` columns.

        Raises:
            UserError: there is none, or it is of another form.
        """
        array, width = self.take(*names), self.saved.number("d_model", most=MOST_WIDTH)
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


def convert_text_to_text(
    saved: SavedModel,
    provenance: Provenance,
    pairs: Pairs,
    folder: Path,
    *,
    quantization: Quantization = "int8",
    prefix: str | None = None,
) -> Card:
    """Write the artefact into `folder`, which must exist and be empty, and return its card.

    Args:
        saved: the model, opened with :data:`TOKENIZERS`.
        provenance: what its files do not state; its languages are not read.
        pairs: source and target, BCP 47. It serves every source with every target of them. None at all: those that the
            model's own files name.
        folder: of the artefact.
        quantization: of the weights.
        prefix: words before every text, for T5; None for those that its configuration has for the pair.

    Raises:
        UserError: the model is of another kind, or cannot be converted; the message says what to do.
    """
    with saved.refused():
        family = _family_of(saved)
        weights = saved.weights()
        vocabulary = _vocabulary_of(saved, _rows(saved, weights))
        model = _Model(saved, weights, vocabulary, family, saved.settings)
        _copy_tokenizer(saved, folder)
        marks, languages, targets = _marks(model, pairs or _stated_pair(saved, provenance), prefix, folder)
        spec = family.write(model)
        for register in (spec.register_source_vocabulary, spec.register_target_vocabulary):
            register(vocabulary)
        spec.config.unk_token = "<unk>"  # noqa: S105 - a token of a vocabulary
        spec.config.eos_token = model.token("eos_token_id", 1 if family.start == "pad_token_id" else 2)
        spec.config.bos_token = spec.config.decoder_start_token = model.token(
            "decoder_start_token_id", saved.number(family.start, least=0, most=len(vocabulary) - 1)
        )
        spec.validate()
        spec.optimize(quantization=None if quantization == "float32" else quantization)
        spec.save(str(folder))
        longest = _longest_sentence(saved)
        marks.save(folder)
        translator = ctranslate2.Translator(str(folder), device="cpu", inter_threads=1, intra_threads=1)
        translator.score_batch([[vocabulary[-1]] * longest], [[vocabulary[-1]] * (2 * longest + 10)])
    return write_artefact(folder, _card(saved, provenance, languages, targets, longest, quantization))


def starts_with_padding(saved: SavedModel) -> bool:
    """Return whether the token of the padding only starts a translation, and must not be written, as in Marian."""
    return bool(saved.config["model_type"] == "marian")


def _family_of(saved: SavedModel) -> _Family:
    kind = str(saved.config["model_type"])
    if (family := _FAMILIES.get(kind)) is None:
        can = ", ".join(sorted(_FAMILIES))
        own = "; its repository has code of its own, which is never run" if saved.runs_own_code else ""
        raise UserError(f"{saved.folder}: is of the architecture {kind}; {can} can be converted for translation{own}")
    if saved.architecture and not saved.architecture.endswith(("ForConditionalGeneration", "MTModel")):
        raise UserError(
            f"{saved.folder}: config.json names {saved.architecture}; a model that translates is a "
            "…ForConditionalGeneration or a MarianMTModel"
        )
    if saved.config.get("share_encoder_decoder_embeddings", True) is False:
        raise UserError(f"{saved.folder}: has two vocabularies, which cannot be converted; take a model with one")
    return family


TOKENIZERS: Final = (
    ("source.spm", "target.spm", "vocab.json"),
    ("sentencepiece.bpe.model", "vocab.json"),
    (TOKENIZER,),
)
"""Forms of a tokenizer; the first that is complete is read."""


def _tokenizer_files(saved: SavedModel) -> tuple[str, ...]:
    return next(files for files in TOKENIZERS if all((saved.folder / name).is_file() for name in files))


def _rows(saved: SavedModel, weights: Weights) -> int:
    """Return how many ids the embeddings have rows for."""
    shared = [array for name in ("model.shared.weight", "shared.weight") if (array := weights.get(name)) is not None]
    own = [array for name, array in weights.items() if name.endswith("embed_tokens.weight")]
    if not (found := [*shared, *own]):
        raise UserError(f"{saved.folder}: the weights lack model.shared.weight; download the model again")
    return len(found[0])


def _vocabulary_of(saved: SavedModel, rows: int) -> list[str]:
    """Return a name for each row of the embeddings; rows that no token uses, which some models have, get one, too."""
    files = _tokenizer_files(saved)
    try:
        if files == (TOKENIZER,):
            tokenizer = Tokenizer.from_file(str(saved.folder / TOKENIZER))
            ids = tokenizer.get_vocab(with_added_tokens=True)
        else:
            ids = saved.object_in("vocab.json")
            ids |= {token: len(ids) + place for place, token in enumerate(_languages_beside(saved))}
        file = saved.folder / files[-1]
        names = {
            bounded(file, f"the id of {token!r:.40}", id, least=0, most=rows - 1): token for token, id in ids.items()
        }
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - the library raises nothing more special
        raise UserError(f"{saved.folder}: its tokenizer cannot be read ({error})") from None
    return [names.get(id, f"<unused{id}>") for id in range(rows)]


def _languages_beside(saved: SavedModel) -> list[str]:
    """Return the tokens of languages that `vocab.json` of M2M-100 lacks; their ids follow, in their order."""
    return [f"__{code}__" for code in M2M_100] if saved.config["model_type"] == "m2m_100" else []


def _copy_tokenizer(saved: SavedModel, folder: Path) -> None:
    files = _tokenizer_files(saved)
    names = {"source.spm": SOURCE_PIECES, "target.spm": TARGET_PIECES, "sentencepiece.bpe.model": SOURCE_PIECES}
    for name in files:
        if name == TOKENIZER or name in names:
            shutil.copyfile(saved.folder / name, folder / names.get(name, name))


def _longest_sentence(saved: SavedModel) -> int:
    """Return the most pieces of a sentence whose translation, twice as long, still has positions."""
    if saved.config.get("max_position_embeddings") is None:
        return LONGEST_SENTENCE
    positions = saved.number("max_position_embeddings", least=_LEAST_POSITIONS, most=MOST_POSITIONS)
    return max(3, min(LONGEST_SENTENCE, (positions - _AROUND_TRANSLATION) // 2))


def _marks(
    model: _Model, pairs: Pairs, prefix: str | None, folder: Path
) -> tuple[LanguageMarks, tuple[str, ...], tuple[str, ...]]:
    """Return the tokens that name languages, and the tags of sources and targets."""
    kind = model.saved.config["model_type"]
    if kind in {"t5", "mt5"}:
        return _marks_of_t5(model, pairs, prefix, folder)
    if prefix is not None:
        raise UserError("--task-prefix: is for T5; other models are told the languages by tokens")
    known = languages_in(model.vocabulary)
    if kind == "marian" and not known:
        source, target = _only_pair(model.saved, pairs)
        return LanguageMarks({source: ()}, {target: ()}, {target: ()}), (source,), (target,)
    if kind == "marian":
        return _marks_of_several_targets(model, pairs, known)
    if kind == "mbart" and "MBart50" not in str(model.saved.object_in("tokenizer_config.json", missing_ok=True)):
        raise UserError(f"{model.saved.folder}: mBART of 25 languages cannot be converted; take one of mBART-50")
    sources, targets = _sides(pairs) if pairs else (tuple(known), tuple(known))
    if unknown := [tag for tag in (*sources, *targets) if tag not in known]:
        raise UserError(f"{model.saved.folder}: does not know {', '.join(unknown)}; it knows {', '.join(known)}")
    start = {tag: (known[tag],) for tag in targets}
    return LanguageMarks({tag: (known[tag],) for tag in sources}, {}, start), sources, targets


def _marks_of_several_targets(
    model: _Model, pairs: Pairs, known: Mapping[str, str]
) -> tuple[LanguageMarks, tuple[str, ...], tuple[str, ...]]:
    """Return the marks of a Marian model that is told its target by a token before the text."""
    if not pairs:
        raise UserError(
            f"{model.saved.folder}: translates into {', '.join(known)}; say from what into what with --languages, such "
            f"as en-{next(iter(known))}"
        )
    sources, targets = _sides(pairs)
    if unknown := [tag for tag in targets if tag not in known]:
        raise UserError(
            f"{model.saved.folder}: does not translate into {', '.join(unknown)}, but into {', '.join(known)}"
        )
    marks = LanguageMarks(dict.fromkeys(sources, ()), {tag: (known[tag],) for tag in targets}, {})
    return marks, sources, targets


def _marks_of_t5(
    model: _Model, pairs: Pairs, prefix: str | None, folder: Path
) -> tuple[LanguageMarks, tuple[str, ...], tuple[str, ...]]:
    source, target = _only_pair(model.saved, pairs)
    if prefix is None:
        stated = model.saved.config.get("task_specific_params") or {}
        prefix = (stated.get(f"translation_{source}_to_{target}") or {}).get("prefix")
    if prefix is None:
        raise UserError(
            f"{model.saved.folder}: config.json has no words before a text for {source} → {target}; name them with "
            '--task-prefix, such as "translate English to German: ", or --task-prefix "" for none'
        )
    tokens: Tokens = tuple(load_pieces(folder).encode([prefix])[0]) if prefix else ()
    return LanguageMarks({source: tokens}, {}, {}), (source,), (target,)


def _only_pair(saved: SavedModel, pairs: Pairs) -> tuple[str, str]:
    if len(set(pairs)) > 1:
        raise UserError(f"{saved.folder}: translates one pair of languages; name it with --languages, once")
    if not pairs:
        raise UserError(f"{saved.folder}: states no languages; name them with --languages, such as de-en")
    return pairs[0]


def _stated_pair(saved: SavedModel, provenance: Provenance) -> Pairs:
    """Return the pair that a Marian model's tokenizer states, else the one in its name: `opus-mt-de-en`."""
    if saved.config["model_type"] != "marian":
        return ()
    stated = saved.object_in("tokenizer_config.json", missing_ok=True)
    source, target = stated.get("source_lang"), stated.get("target_lang")
    if isinstance(source, str) and isinstance(target, str):
        return ((tag_of(source), tag_of(target)),)
    named = re.search(r"-([a-z]{2,3})-([a-z]{2,3})(?:@|$)", provenance.source)
    return ((tag_of(named[1]), tag_of(named[2])),) if named else ()


def _sides(pairs: Pairs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(dict.fromkeys(source for source, _ in pairs)), tuple(dict.fromkeys(target for _, target in pairs))


def _write_bart(model: _Model) -> TransformerSpec:
    """Return the specification of a model of the form of BART: Marian, M2M-100 and mBART."""
    saved, family = model.saved, model.family
    activation = _activation(saved, str(saved.config.get("activation_function", "gelu")))
    width = saved.number("d_model", most=MOST_WIDTH)
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
    bias = model.weights.get("final_logits_bias", np.zeros((1, len(model.vocabulary)), np.float32)).reshape(-1).copy()
    if starts_with_padding(saved):
        bias[saved.number("pad_token_id", least=0, most=len(bias) - 1)] = _NEVER  # Marian itself does not have it
    if bias.any():
        decoder.projection.bias = bias
    return TransformerSpec(encoder, decoder)


_EMBEDDINGS: Final = tuple(f"model.{side}.embed_tokens.weight" for side in _SIDES)


def _bart_layer(layer: Any, model: _Model, at: str, *, crosses: bool) -> None:
    attentions = [(layer.self_attention, "self_attn")] + ([(layer.attention, "encoder_attn")] if crosses else [])
    for spec, name in attentions:
        parts = [
            [model.take(f"{at}.{name}.{part}_proj.{kind}") for part in ("q", "k", "v", "out")]
            for kind in ("weight", "bias")
        ]
        for kind, (query, key, value, out) in zip(("weight", "bias"), parts, strict=True):
            fused = [[query], [key, value]] if name == "encoder_attn" else [[query, key, value]]
            for linear, arrays in zip(spec.linear, [*map(np.concatenate, fused), out], strict=True):
                setattr(linear, kind, arrays)
        _norm(spec.layer_norm, model, f"{at}.{name}_layer_norm")
    for linear, name in ((layer.ffn.linear_0, "fc1"), (layer.ffn.linear_1, "fc2")):
        linear.weight, linear.bias = model.take(f"{at}.{name}.weight"), model.take(f"{at}.{name}.bias")
    _norm(layer.ffn.layer_norm, model, f"{at}.final_layer_norm")


def _norm(spec: Any, model: _Model, name: str) -> None:
    spec.gamma, spec.beta = model.take(f"{name}.weight"), model.take(f"{name}.bias")


def _positions(model: _Model, side: str) -> Floats:
    """Return the vectors of the positions, positions × width: learnt by mBART, computed by the others."""
    count = model.saved.number("max_position_embeddings", least=_LEAST_POSITIONS, most=MOST_POSITIONS)
    width = model.saved.number("d_model", most=MOST_WIDTH)
    kind = model.saved.config["model_type"]
    if kind == "mbart":
        return model.take(f"model.{side}.embed_positions.weight")[2:]  # its first position is 2
    half = width // 2
    if kind == "marian":
        rates = 10_000 ** (-2 * np.arange(half) / width)
        angles = np.arange(count)[:, None] * rates
    else:
        rates = np.exp(np.arange(half) * -(math.log(10_000) / (half - 1)))
        angles = (np.arange(count) + 2)[:, None] * rates  # its first position is the one after the padding's
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def _write_t5(model: _Model) -> TransformerSpec:
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
        spec.layer_norm.gamma = model.take(f"{side}.final_layer_norm.weight")
        bias = model.take(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
        query = model.take(f"{side}.block.0.layer.0.SelfAttention.q.weight")
        if bias.shape[1] != heads or len(query) != heads * shape["head_dim"]:
            raise UserError(
                f"{saved.folder / CONFIG}: num_heads is {heads} and d_kv {shape['head_dim']}; the weights have "
                f"{bias.shape[1]} heads and {len(query)} numbers in them all"
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
        decoder.scale_outputs = saved.number("d_model", most=MOST_WIDTH) ** -0.5
    spec = TransformerSpec(encoder, decoder)
    spec.config.layer_norm_epsilon = saved.epsilon("layer_norm_epsilon", 1e-6)
    return spec


def _t5_layer(layer: Any, model: _Model, at: str, *, crosses: bool, gated: bool) -> None:
    attentions = [(layer.self_attention, f"{at}.0", "SelfAttention")]
    attentions += [(layer.attention, f"{at}.1", "EncDecAttention")] if crosses else []
    for spec, block, name in attentions:
        spec.queries_scale = 1.0
        query, key, value, out = (model.take(f"{block}.{name}.{part}.weight") for part in "qkvo")
        fused = [query, np.concatenate([key, value])] if crosses and name == "EncDecAttention" else None
        for linear, array in zip(spec.linear, [*(fused or [np.concatenate([query, key, value])]), out], strict=True):
            linear.weight = array
        spec.layer_norm.gamma = model.take(f"{block}.layer_norm.weight")
    dense = f"{at}.{2 if crosses else 1}"
    if gated:
        layer.ffn.linear_0_noact.weight = model.take(f"{dense}.DenseReluDense.wi_1.weight")
    layer.ffn.linear_0.weight = model.take(f"{dense}.DenseReluDense.{'wi_0' if gated else 'wi'}.weight")
    layer.ffn.linear_1.weight = model.take(f"{dense}.DenseReluDense.wo.weight")
    layer.ffn.layer_norm.gamma = model.take(f"{dense}.layer_norm.weight")


def _activation(saved: SavedModel, name: str) -> Activation:
    if name not in _ALL_ACTIVATIONS:
        raise UserError(f"{saved.folder}: the activation {name} cannot be converted")
    return _ALL_ACTIVATIONS[name]


_T5: Final = _Family(_write_t5, "pad_token_id", pre_norm=True)
_FAMILIES: Final[Mapping[str, _Family]] = {
    "marian": _Family(_write_bart, "pad_token_id"),
    "m2m_100": _Family(_write_bart, "eos_token_id", pre_norm=True),
    "mbart": _Family(_write_bart, "eos_token_id", pre_norm=True, norm_embedding=True),
    "t5": _T5,
    "mt5": _T5,
}
"""`model_type` → architecture. NLLB is M2M-100 with another tokenizer."""


def _card(
    saved: SavedModel,
    provenance: Provenance,
    languages: tuple[str, ...],
    targets: tuple[str, ...],
    longest: int,
    quantization: Quantization,
) -> dict[str, Any]:
    return {
        "name": provenance.name,
        "reader": TEXT_TO_TEXT_READER,
        "languages": languages,
        "targets": targets,
        "max_tokens": longest,
        "licence": provenance.licence,
        "made_of": (
            {
                "name": provenance.name,
                "authors": provenance.authors,
                "licence": provenance.licence,
                "source": provenance.source,
                "used_for": f"the network ({saved.architecture}), converted to CTranslate2 in {quantization}, and its "
                "vocabulary",
            },
        ),
        **uncalibrated_card(longest),
    }
