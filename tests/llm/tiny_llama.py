"""Write a tiny Llama as a GGUF file: `tiny_llama.py FILE random`, or `tiny_llama.py FILE says LABEL PROBABILITY OTHER`.

Run by the environment of `build.sh`, which has `gguf`. One layer, 64 dimensions, a vocabulary of bytes and printable
characters: 400 KB. The first kind has random weights. In the second one the layer adds nothing to the embedding, so the
next token depends on the last one alone, by a table: after the prompt it writes `{"label": "LABEL"}` with the
probability given, else `{"label": "OTHER"}`.
"""

import math
import sys
from pathlib import Path

import gguf
import numpy as np

WIDTH, HIDDEN, HEADS, CONTEXT = 64, 128, 4, 16_384
TEMPLATE = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}assistant:"
OPENING, CLOSING = '{"label":▁"', '"}'
SURE = 20.0
"""The logit of what is sure to follow; those of all others are 0."""
SPACE = "▁"


def vocabulary(phrases: list[str]) -> tuple[list[str], list[int]]:
    """Return the tokens and their types, as llama.cpp reads a vocabulary of SentencePiece."""
    kinds = gguf.TokenType
    tokens = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    tokens += [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    tokens += [(SPACE, kinds.NORMAL)]
    tokens += [(chr(code), kinds.NORMAL) for code in range(0x21, 0x7F)]
    tokens += [(phrase, kinds.NORMAL) for phrase in phrases]
    return [token for token, _ in tokens], [int(kind) for _, kind in tokens]


def weights(tokens: list[str], table: dict[str, dict[str, float]]) -> dict[str, np.ndarray]:
    """Return the tensors: random, but for the tokens of the table, which says what follows each, and how probably."""
    draw = np.random.default_rng(0)

    def random(*shape: int) -> np.ndarray:
        return draw.normal(0.0, 0.5, shape).astype(np.float32)

    tensors = {
        "token_embd.weight": random(len(tokens), WIDTH),
        "output_norm.weight": np.ones(WIDTH, np.float32),
        "output.weight": random(len(tokens), WIDTH),
        "blk.0.attn_norm.weight": np.ones(WIDTH, np.float32),
        "blk.0.ffn_norm.weight": np.ones(WIDTH, np.float32),
        **{f"blk.0.attn_{name}.weight": random(WIDTH, WIDTH) for name in ("q", "k", "v", "output")},
        **{f"blk.0.ffn_{name}.weight": random(HIDDEN, WIDTH) for name in ("gate", "up")},
        "blk.0.ffn_down.weight": random(WIDTH, HIDDEN),
    }
    if not table:
        return tensors
    for name in ("blk.0.attn_output.weight", "blk.0.ffn_down.weight"):
        tensors[name][:] = 0
    tensors["token_embd.weight"][:, : len(table)] = 0
    tensors["output.weight"][:, : len(table)] = 0
    scale = math.sqrt(WIDTH)  # what the norm makes of the 1 of a token that is one dimension alone
    for dimension, (last, following) in enumerate(table.items()):
        tensors["token_embd.weight"][tokens.index(last)] = np.eye(WIDTH, dtype=np.float32)[dimension]
        for following_token, probability in following.items():
            logit = SURE + math.log(probability)
            tensors["output.weight"][tokens.index(following_token), dimension] = logit / scale
    return tensors


def write(path: Path, table: dict[str, dict[str, float]]) -> None:
    """Write the model whose next tokens are those of the table, and random after all others."""
    phrases = [each for following in table.values() for each in following if len(each) > 1 and each != "</s>"]
    tokens, types = vocabulary(list(dict.fromkeys(phrases)))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(place) for place in range(len(tokens))])
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(value=True)
    writer.add_add_space_prefix(value=False)
    writer.add_chat_template(TEMPLATE)
    for name, tensor in weights(tokens, table).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def says(label: str, probability: float, other: str) -> dict[str, dict[str, float]]:
    """Return the table of a model that answers with one of two labels."""
    return {
        TEMPLATE[-1]: {OPENING: 1.0},
        OPENING: {label: probability, other: 1.0 - probability},
        label: {CLOSING: 1.0},
        other: {CLOSING: 1.0},
        CLOSING: {"</s>": 1.0},
    }


if __name__ == "__main__":
    file, kind, *given = sys.argv[1:]
    write(Path(file), {} if kind == "random" else says(given[0], float(given[1]), given[2]))
