"""Make the models of this folder that label tokens, `…-tokens`; see make.py.

    python tests/data/hub/make_tokens.py

Each has labels of another scheme. Beside each model stand its texts, the logits that transformers computes for their
tokens in float32, and the spans that its pipeline makes of them (`aggregation_strategy="first"`).
"""

import json
import shutil

import torch
from make import HERE, TEXTS, byte_pairs, unigram, word_piece
from transformers import (
    AutoModelForTokenClassification,
    BertConfig,
    CamembertConfig,
    DistilBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    TokenClassificationPipeline,
    XLMRobertaConfig,
)

SCHEMES = {
    "bert": ("O", "B-PER", "I-PER", "B-PROD", "I-PROD"),
    "distilbert": ("O", "B-PER", "I-PER", "L-PER", "U-PER"),
    "roberta": ("PER", "O", "PROD"),
    "xlm-roberta": ("I-PER", "B-PER", "I-PROD", "O"),
    "camembert": ("O", "B-PER", "I-PER", "E-PER", "S-PER"),
}
POSITIONS, WIDTH = 40, 16
SHAPE = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def roberta(vocabulary: int) -> dict[str, object]:
    return SHAPE | {
        "vocab_size": vocabulary, "max_position_embeddings": POSITIONS + 2, "pad_token_id": 1, "bos_token_id": 0,
        "eos_token_id": 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
    }  # fmt: skip


def main() -> None:
    torch.manual_seed(5)
    bert = SHAPE | {"vocab_size": 220, "max_position_embeddings": POSITIONS, "pad_token_id": 0}
    distil = {"vocab_size": 220, "dim": WIDTH, "n_layers": 1, "n_heads": 2, "hidden_dim": 32,
              "max_position_embeddings": POSITIONS, "pad_token_id": 0}  # fmt: skip
    made = {
        "bert": (BertConfig(**bert), word_piece()),
        "distilbert": (DistilBertConfig(**distil), word_piece()),
        "roberta": (RobertaConfig(**roberta(300)), byte_pairs()),
        "xlm-roberta": (XLMRobertaConfig(**roberta(160)), unigram()),
        "camembert": (CamembertConfig(**roberta(160)), unigram()),
    }
    for name, (config, tokenizer) in made.items():
        config.id2label = dict(enumerate(SCHEMES[name]))
        config.label2id = {label: number for number, label in enumerate(SCHEMES[name])}
        model = AutoModelForTokenClassification.from_config(config).eval()
        with torch.no_grad():
            for array in model.parameters():
                array.add_(torch.randn_like(array) * (0.3 if array.ndim > 1 else 0.05))
            batch = [tokenizer(text, return_tensors="pt", truncation=True)["input_ids"] for text in TEXTS]
            model.classifier.bias -= torch.cat([model(ids).logits[0] for ids in batch]).mean(dim=0)
            logits = [model(ids).logits[0, 1:-1] for ids in batch]
        folder = HERE / f"{name}-tokens"
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(
            "---\nlicense: apache-2.0\nlanguage: en\n---\n\n# Tiny, with random weights\n"
        )
        rows = [
            json.dumps(
                {"text": text, "logits": [[round(float(x), 5) for x in token] for token in row]}
                | ({"spans": spans(model, tokenizer, text)} if name == "bert" else {}),
                ensure_ascii=False,
            )
            for text, row in zip(TEXTS, logits, strict=True)
        ]
        (folder / "expected.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


def spans(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, text: str) -> list[tuple[int, int, str]]:
    """Return the spans of transformers: bounds in code points, and type. It has them for WordPiece and BIO."""
    pipeline = TokenClassificationPipeline(model=model, tokenizer=tokenizer, aggregation_strategy="first")
    return [(each["start"], each["end"], each["entity_group"]) for each in pipeline(text)]


if __name__ == "__main__":
    main()
