"""Make the models of this folder: tiny, with random weights, as `save_pretrained` of transformers 5 writes them.

    python tests/data/hub/make.py

Needs torch and transformers, which no test installs. Beside each model stand its texts and the logits that
transformers computes for them, in float32. The weights are larger than an untrained network's, and the last bias is
set so that each label occurs.
"""

import json
import shutil
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    CamembertConfig,
    DistilBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

HERE = Path(__file__).parent
LABELS = ("refund", "delivery", "greeting", "outside")
TEXTS = (
    "Where is my order?",
    "I want my money back.",
    "hello there",
    "The parcel arrived broken",
    "good morning",
    "refund please",
    "When will it be delivered?",
    "Bonjour, où est mon colis ?",
    "Wo bleibt meine Bestellung?",
    "12345",
    "thanks a lot for the quick answer",
    "cancel",
    "My card was charged twice for order 99812.",
    "is anyone there",
    "An unrelated remark about the weather, which goes on for rather longer than the others do.",
    "Please send it to my new address",
    "?",
    "Überweisung zurück",
    "no",
    "the tracking page shows nothing at all",
)
VOCABULARY, WIDTH, POSITIONS = 220, 32, 40
SHAPE = {"vocab_size": VOCABULARY, "num_labels": len(LABELS), "pad_token_id": 0}


def word_piece() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=POSITIONS,
    )


def with_tags(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        cls_token="<s>",
        sep_token="</s>",
        bos_token="<s>",
        eos_token="</s>",
        mask_token="<mask>",
        model_max_length=POSITIONS,
    )


TAGS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def byte_pairs() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=TAGS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return with_tags(tokenizer)


def unigram() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=TAGS, unk_token="<unk>")
    tokenizer.train_from_iterator(TEXTS, trainer)
    return with_tags(tokenizer)


def roberta_shape(vocabulary: int) -> dict[str, object]:
    return SHAPE | {
        "vocab_size": vocabulary, "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 64, "max_position_embeddings": POSITIONS + 2, "pad_token_id": 1, "bos_token_id": 0,
        "eos_token_id": 2, "type_vocab_size": 1, "layer_norm_eps": 1e-5,
    }  # fmt: skip


def main() -> None:
    torch.manual_seed(1)
    bert = SHAPE | {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
                    "max_position_embeddings": POSITIONS}  # fmt: skip
    distil = SHAPE | {"dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": POSITIONS}
    made = {
        "bert": (BertConfig(**bert), word_piece()),
        "distilbert": (DistilBertConfig(**distil), word_piece()),
        "roberta": (RobertaConfig(**roberta_shape(300)), byte_pairs()),
        "xlm-roberta": (XLMRobertaConfig(**roberta_shape(160)), unigram()),
        "camembert": (CamembertConfig(**roberta_shape(160)), unigram()),
    }
    for name, (config, tokenizer) in made.items():
        config.id2label = dict(enumerate(LABELS))
        config.label2id = {label: number for number, label in enumerate(LABELS)}
        model = AutoModelForSequenceClassification.from_config(config).eval()
        with torch.no_grad():
            for array in model.parameters():
                array.add_(torch.randn_like(array) * (0.25 if array.ndim > 1 else 0.05))
            batch = [tokenizer(text, return_tensors="pt", truncation=True)["input_ids"] for text in TEXTS]
            last = getattr(model.classifier, "out_proj", model.classifier)
            last.bias -= torch.cat([model(ids).logits for ids in batch]).mean(dim=0)
            logits = torch.cat([model(ids).logits for ids in batch])
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        card = "---\nlicense: apache-2.0\nlanguage:\n- en\n- de\n---\n\n# A tiny model with random weights\n"
        (folder / "README.md").write_text(card)
        rows = [
            {"text": text, "logits": [round(float(x), 6) for x in row]} for text, row in zip(TEXTS, logits, strict=True)
        ]
        (folder / "expected.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
