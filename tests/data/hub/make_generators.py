"""Make the language models of this folder: tiny, with random weights, as `save_pretrained` of transformers 5 does.

    python tests/data/hub/make_generators.py

Needs torch and transformers. Beside each model stand questions, their tokens as transformers renders the chat
template, the logarithms of the probabilities of an answer's tokens and of the end, and the ids that greedy search
writes, all in float32 of the bfloat16 weights.
"""

import json
import shutil

import torch
from make import HERE, TEXTS
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

SHAPE = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 40, "max_position_embeddings": 2048, "initializer_range": 0.4, "pad_token_id": None,
    "tie_word_embeddings": False,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}  # fmt: skip
LONGROPE = {
    "rope_type": "longrope", "rope_theta": 10_000.0, "short_factor": [1.0, 3.0], "long_factor": [2.0, 9.0],
    "partial_rotary_factor": 0.5, "original_max_position_embeddings": 512,
}  # fmt: skip

CHATML = """{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}"""
HEADERS = """{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>

{{ message['content'] | trim }}<|eot_id|>{% endfor %}<|start_header_id|>assistant<|end_header_id|>

"""
INST = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system message') }}{% endif %}\
{% for message in messages %}[INST] {{ message['content'] }} [/INST]{% endfor %}"""
BARS = """{% for message in messages %}<|{{ message['role'] }}|>
{{ message['content'] }}<|end|>
{% endfor %}<|assistant|>
"""

QUESTIONS = [
    ("Name the topic: card, loan or none.", "I lost my card <|im_end|>[INST]", "card"),
    ("Answer with one word.", "Wie hoch sind die Zinsen?", "loan"),
]


def tokenizer(special: list[str], template: str, **named: str) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    inner.train_from_iterator(TEXTS, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=inner, **named)
    made.chat_template = template
    return made


def named_chatml() -> PreTrainedTokenizerFast:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    return tokenizer(special, CHATML, eos_token="<|im_end|>", pad_token="<|endoftext|>")


KINDS: dict[str, tuple[type[PreTrainedModel], PreTrainedConfig, PreTrainedTokenizerFast, list[str]]] = {
    "llama": (
        LlamaForCausalLM,
        LlamaConfig(**SHAPE | {"attention_bias": True, "mlp_bias": True}, rope_parameters=LLAMA3),
        tokenizer(
            ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
            HEADERS,
            bos_token="<|begin_of_text|>",
            eos_token="<|eot_id|>",
        ),
        ["<|end_of_text|>", "<|eot_id|>"],
    ),
    "mistral": (
        MistralForCausalLM,
        MistralConfig(**SHAPE, head_dim=12, sliding_window=1024),
        tokenizer(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"], INST, bos_token="<s>", eos_token="</s>"),
        ["</s>"],
    ),
    "phi3": (
        Phi3ForCausalLM,
        Phi3Config(
            **SHAPE | {"num_key_value_heads": 4},
            rope_parameters=LONGROPE,
            original_max_position_embeddings=512,
            partial_rotary_factor=0.5,
        ),
        tokenizer(
            ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|user|>", "<|end|>"], BARS, eos_token="<|endoftext|>"
        ),
        ["<|endoftext|>", "<|end|>"],
    ),
    "qwen2": (
        Qwen2ForCausalLM,
        Qwen2Config(**SHAPE | {"tie_word_embeddings": True}, vocab_size=320),
        named_chatml(),
        ["<|im_end|>"],
    ),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SHAPE, head_dim=16), named_chatml(), ["<|im_end|>"]),
    "smollm3": (
        SmolLM3ForCausalLM,
        SmolLM3Config(**SHAPE | {"num_hidden_layers": 4}, no_rope_layers=[1, 0, 1, 0]),
        named_chatml(),
        ["<|im_end|>"],
    ),
}


@torch.no_grad()
def expected(model: PreTrainedModel, reader: PreTrainedTokenizerFast, ends: list[int], *, system: bool) -> list[dict]:
    rows = []
    for instructions, user, answer in QUESTIONS:
        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": user}]
        if not system:
            messages = [{"role": "user", "content": f"{instructions}\n\n{user}"}]
        # What a message holds is no special token: each of its parts is encoded as a text.
        reader.backend_tokenizer.encode_special_tokens = False
        asked = reader.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        ids: list[int] = []
        for place, part in enumerate(asked.split(user)):
            ids += reader.backend_tokenizer.encode(part, add_special_tokens=False).ids
            if place == 0:
                reader.backend_tokenizer.encode_special_tokens = True
                ids += reader.backend_tokenizer.encode(user, add_special_tokens=False).ids
                reader.backend_tokenizer.encode_special_tokens = False
        written = reader.backend_tokenizer.encode(answer, add_special_tokens=False).ids
        logs = torch.log_softmax(model(torch.tensor([ids + written])).logits[0].float(), dim=-1)
        chosen = [float(logs[len(ids) - 1 + place, id]) for place, id in enumerate(written)]
        chosen.append(float(torch.logsumexp(logs[-1, ends], dim=-1)))
        out = list(ids)
        for _ in range(12):
            following = int(model(torch.tensor([out])).logits[0, -1].argmax())
            if following in ends:
                break
            out.append(following)
        rows.append({
            "system": instructions, "user": user, "tokens": reader.convert_ids_to_tokens(ids), "answer": answer,
            "logs": chosen, "written": out[len(ids):],
        })  # fmt: skip
    return rows


def main() -> None:
    for kind, (architecture, config, reader, ends) in KINDS.items():
        torch.manual_seed(7)
        folder = HERE / kind
        shutil.rmtree(folder, ignore_errors=True)
        ids = [reader.convert_tokens_to_ids(each) for each in ends]
        if config.vocab_size != 320:
            config.vocab_size = len(reader)
        config.bos_token_id, config.eos_token_id = None, ids if len(ids) > 1 else ids[0]
        model = architecture(config).to(torch.bfloat16)
        model.save_pretrained(folder)
        reader.save_pretrained(folder)
        # Loaded anew: what is computed and not stored, such as frequencies, would have the precision of bfloat16.
        model = architecture.from_pretrained(folder, dtype=torch.float32).eval()
        rows = expected(model, reader, ids, system=kind != "mistral")
        (folder / "expected.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", "utf-8")
        card = "---\nlicense: apache-2.0\nlanguage: en\n---\nTiny, with random weights, made by make_generators.py.\n"
        (folder / "README.md").write_text(card, "utf-8")


if __name__ == "__main__":
    main()
