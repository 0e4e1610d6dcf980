"""Make the models of this folder that CTranslate2 does not have, with their networks as ONNX; see make.py.

    python tests/data/hub/make_onnx.py

Needs onnx, onnxscript and onnxruntime, too. Each has `onnx/model.onnx`, and the first also
`onnx/model_quantized.onnx`, as repositories name them. Beside each stand its texts and what transformers computes for
them in float32: the logits of the text, or of its tokens.
"""

import json
import shutil
from pathlib import Path

import onnx
import torch
from make import HERE, LABELS, TEXTS, byte_pairs, unigram
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    DebertaV2Config,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

POSITIONS, WIDTH = 40, 16
TAGS = ("O", "B-PER", "I-PER", "B-PROD", "I-PROD")
INPUTS = ("input_ids", "attention_mask")


class Logits(torch.nn.Module):
    """A model whose only output are its logits."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def deberta() -> tuple[PreTrainedConfig, PreTrainedTokenizerFast]:
    config = DebertaV2Config(
        vocab_size=160, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=POSITIONS, pad_token_id=1, type_vocab_size=0, relative_attention=True,
        position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
        position_biased_input=False, pooler_hidden_size=WIDTH,
    )  # fmt: skip
    return config, unigram()


def modern_bert() -> tuple[PreTrainedConfig, PreTrainedTokenizerFast]:
    config = ModernBertConfig(
        vocab_size=300, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=POSITIONS, pad_token_id=1, bos_token_id=0, cls_token_id=0, eos_token_id=2,
        sep_token_id=2, local_attention=8, global_attn_every_n_layers=2,
    )  # fmt: skip
    config._attn_implementation = "eager"
    return config, byte_pairs()


def export(model: PreTrainedModel, folder: Path) -> None:
    # Different tensors: the exporter takes one that is given twice for one input.
    ids, mask = (torch.full((2, 8), value, dtype=torch.long) for value in (5, 1))
    free = dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC)
    (folder / "onnx").mkdir()
    torch.onnx.export(
        Logits(model),
        (ids, mask),
        folder / "onnx" / "model.onnx",
        input_names=list(INPUTS),
        output_names=["logits"],
        dynamic_shapes=dict.fromkeys(INPUTS, free),
        external_data=False,
        dynamo=True,
    )
    network = onnx.load_model(folder / "onnx" / "model.onnx")
    for each in (*network.graph.node, *network.graph.initializer, *network.graph.value_info, network.graph, network):
        each.ClearField("metadata_props")  # traces of the stack, nine tenths of the file
    network.graph.ClearField("value_info")
    onnx.save_model(network, folder / "onnx" / "model.onnx")


def main() -> None:
    torch.manual_seed(9)
    for kind, make in (("deberta-v2", deberta), ("modernbert", modern_bert)):
        for of_tokens in (False, True):
            config, tokenizer = make()
            labels = TAGS if of_tokens else LABELS
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: number for number, label in enumerate(labels)}
            auto = AutoModelForTokenClassification if of_tokens else AutoModelForSequenceClassification
            model = auto.from_config(config).eval()
            with torch.no_grad():
                for array in model.parameters():
                    array.add_(torch.randn_like(array) * (0.3 if array.ndim > 1 else 0.05))
                batch = [tokenizer(text, return_tensors="pt", truncation=True)["input_ids"] for text in TEXTS]
                model.classifier.bias -= torch.cat([rows(model, ids) for ids in batch]).mean(dim=0)
                logits = [rows(model, ids)[1:-1] if of_tokens else model(ids).logits[0] for ids in batch]
            folder = HERE / (f"{kind}-tokens" if of_tokens else kind)
            shutil.rmtree(folder, ignore_errors=True)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            export(model, folder)
            (folder / "README.md").write_text(
                "---\nlicense: apache-2.0\nlanguage: en\n---\n\n# Tiny, with random weights\n"
            )
            expected = [
                json.dumps(
                    {
                        "text": text,
                        "logits": [[round(float(x), 5) for x in row] for row in each.reshape(-1, len(labels))],
                    },
                    ensure_ascii=False,
                )
                for text, each in zip(TEXTS, logits, strict=True)
            ]
            (folder / "expected.json").write_text("[\n" + ",\n".join(expected) + "\n]\n")
    network = HERE / "deberta-v2" / "onnx"
    quantize_dynamic(
        network / "model.onnx", network / "model_quantized.onnx", weight_type=QuantType.QInt8, per_channel=True
    )


def rows(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """Return the logits of one text: one row, or one for each token."""
    return model(ids).logits.reshape(-1, model.config.num_labels)


if __name__ == "__main__":
    main()
