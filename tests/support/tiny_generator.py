"""A tiny language model as `save_pretrained` writes one, made with numpy, and its artefact.

One layer, 64 dimensions, a vocabulary of bytes and a few words. Its weights are random; or, for tests that need to know
the answer, the layer adds nothing to the embedding, so that the next token depends on the last one alone, by a table.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from sprat_inference.card import Card
from sprat_inference.converters.cards import Provenance
from sprat_inference.converters.generator import convert_generator
from sprat_inference.converters.saved_model import SavedModel

WIDTH, INNER, HEADS, POSITIONS = 64, 32, 4, 8_192
BEGIN, ANSWER, END = "<|begin|>", "<|answer|>", "<|end|>"
SURE = 20.0
"""The logit of what is sure to follow; those of all others are 0."""
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|begin|>{{ message.role }}\n{{ message.content }}<|end|>"
    "{% endfor %}<|answer|>"
)
Table = Mapping[str, Mapping[str, float]]


def write_saved(folder: Path, words: tuple[str, ...] = (), table: Table | None = None, seed: int = 0) -> SavedModel:
    """Write the model as transformers would.

    Args:
        folder: to write into.
        words: that are one token each.
        table: token → the tokens that follow it, each with its probability; None for random weights.
        seed: of the random weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(words)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = tokenizer.get_vocab(with_added_tokens=True)
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": WIDTH, "num_hidden_layers": 1,
        "num_attention_heads": HEADS, "num_key_value_heads": 2, "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS, "rms_norm_eps": 1e-6, "eos_token_id": ids[END],
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tokens = {"bos_token": BEGIN, "eos_token": END, "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens))
    save_file(_weights(ids, table or {}, seed), folder / "model.safetensors")
    return SavedModel.open(folder)


def write_generator(folder: Path, *words: str, table: Table | None = None, seed: int = 0) -> Card:
    """Write the artefact of such a model, in float32, into a new folder."""
    saved = write_saved(folder.with_name(f"{folder.name}-saved"), words, table, seed)
    folder.mkdir()
    provenance = Provenance("tiny", "tests", "Sprat", "Apache-2.0", ("en",))
    return convert_generator(saved, provenance, folder, quantization="float32")


def _tokenizer(words: tuple[str, ...]) -> Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: id for id, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(word, normalized=False) for word in words])
    tokenizer.add_special_tokens([BEGIN, ANSWER, END])
    return tokenizer


def _weights(ids: Mapping[str, int], table: Table, seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)

    def random(*shape: int) -> np.ndarray:
        return draw.normal(0.0, 0.3, shape).astype(np.float32)

    layer = "model.layers.0"
    tensors = {
        "model.embed_tokens.weight": random(len(ids), WIDTH),
        "model.norm.weight": np.ones(WIDTH, np.float32),
        "lm_head.weight": random(len(ids), WIDTH),
        f"{layer}.input_layernorm.weight": np.ones(WIDTH, np.float32),
        f"{layer}.post_attention_layernorm.weight": np.ones(WIDTH, np.float32),
        f"{layer}.self_attn.q_proj.weight": random(WIDTH, WIDTH),
        f"{layer}.self_attn.k_proj.weight": random(WIDTH // 2, WIDTH),
        f"{layer}.self_attn.v_proj.weight": random(WIDTH // 2, WIDTH),
        f"{layer}.self_attn.o_proj.weight": random(WIDTH, WIDTH),
        f"{layer}.mlp.gate_proj.weight": random(INNER, WIDTH),
        f"{layer}.mlp.up_proj.weight": random(INNER, WIDTH),
        f"{layer}.mlp.down_proj.weight": random(WIDTH, INNER),
    }
    if not table:
        return tensors
    tensors[f"{layer}.self_attn.o_proj.weight"][:] = 0
    tensors[f"{layer}.mlp.down_proj.weight"][:] = 0
    tensors["model.embed_tokens.weight"][:, : len(table)] = 0
    tensors["lm_head.weight"][:] = 0
    scale = math.sqrt(WIDTH)  # what the norm makes of the 1 of a token that is one dimension alone
    for dimension, (last, following) in enumerate(table.items()):
        tensors["model.embed_tokens.weight"][ids[last]] = np.eye(WIDTH, dtype=np.float32)[dimension]
        for token, probability in following.items():
            tensors["lm_head.weight"][ids[token], dimension] = (SURE + math.log(probability)) / scale
    return tensors
