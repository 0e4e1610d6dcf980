"""Export an encoder of transformers to ONNX, and quantise it dynamically to int8: PYTHON export_onnx.py DIR

Only the matrix products are quantised, weights by channel: as fast as with ONNX Runtime's defaults, which also quantise
the embeddings and scale each matrix as a whole, and nearer to float32.
"""

import sys
from pathlib import Path

import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModel

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class States(torch.nn.Module):
    """The encoder with its last states as the only output."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(folder, attn_implementation="eager")

    def forward(self, input_ids, attention_mask, token_type_ids):
        inputs = dict(zip(INPUTS, (input_ids, attention_mask, token_type_ids), strict=True))
        return self.encoder(**inputs).last_hidden_state


def main(folder: Path) -> None:
    # Three tensors: the exporter takes one that is given twice for one input.
    ids, mask, types = (torch.full((2, 8), value, dtype=torch.long) for value in (1000, 1, 0))
    free = dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC)
    torch.onnx.export(
        States(folder).eval(),
        (ids, mask, types),
        folder / "model.onnx",
        input_names=list(INPUTS),
        output_names=["states"],
        dynamic_shapes=dict.fromkeys(INPUTS, free),
        external_data=False,
        dynamo=True,
    )
    quantize_dynamic(
        folder / "model.onnx",
        folder / "model-int8.onnx",
        weight_type=QuantType.QInt8,
        per_channel=True,
        op_types_to_quantize=["MatMul"],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
