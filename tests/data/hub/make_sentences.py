"""Make the sentence encoders of this folder, `…-sentences`; see make.py.

    python tests/data/hub/make_sentences.py

`bert-sentences` is as sentence-transformers writes it, with a prompt; `xlm-roberta-sentences` is a plain encoder.
Beside each stand its texts and their vectors in float32, each of length 1: the mean over the tokens, and the first
token's.
"""

import json
import shutil

import torch
from make import HERE, TEXTS, unigram, word_piece
from transformers import AutoModel, BertConfig, XLMRobertaConfig

SHAPE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
PROMPT = "order: "


def main() -> None:
    torch.manual_seed(6)
    bert = SHAPE | {"vocab_size": 220, "max_position_embeddings": 40, "pad_token_id": 0}
    roberta = SHAPE | {
        "vocab_size": 160, "max_position_embeddings": 42, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
        "type_vocab_size": 1, "layer_norm_eps": 1e-5,
    }  # fmt: skip
    made = {"bert": (BertConfig(**bert), word_piece()), "xlm-roberta": (XLMRobertaConfig(**roberta), unigram())}
    for name, (config, tokenizer) in made.items():
        model = AutoModel.from_config(config).eval()
        with torch.no_grad():
            for array in model.parameters():
                array.add_(torch.randn_like(array) * (0.3 if array.ndim > 1 else 0.05))
        folder = HERE / f"{name}-sentences"
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(
            "---\nlicense: apache-2.0\nlanguage: en\n---\n\n# Tiny, with random weights\n"
        )
        if name == "bert":
            write_modules(folder)
        rows = []
        for text in TEXTS:
            read = (PROMPT if name == "bert" else "") + text
            with torch.no_grad():
                states = model(tokenizer(read, return_tensors="pt", truncation=True)["input_ids"]).last_hidden_state[0]
            vectors = {"mean": states.mean(dim=0), "cls": states[0]}
            rows.append({"text": text} | {kind: [round(float(x), 5) for x in vector / vector.norm()]
                                          for kind, vector in vectors.items()})  # fmt: skip
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / "expected.json").write_text(f"[\n{lines}\n]\n")


def write_modules(folder) -> None:
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [
        {"idx": place, "name": str(place), "path": "" if place == 0 else f"{place}_{kind}",
         "type": f"sentence_transformers.models.{kind}"}
        for place, kind in enumerate(kinds)
    ]  # fmt: skip
    pooling = {
        "word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False, "include_prompt": True,
    }  # fmt: skip
    prompts = {"prompts": {"query": PROMPT}, "default_prompt_name": "query"}
    (folder / "1_Pooling").mkdir()
    for name, content in {
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "config_sentence_transformers.json": prompts,
        "sentence_bert_config.json": {"max_seq_length": 32, "do_lower_case": False},
    }.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
