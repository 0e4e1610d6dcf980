"""Rampart's 4-bit ONNX to a CTranslate2 int8 encoder and a float32 head. Only the means are taken by running it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer

from shared.privacy.recipe.centre import centred, means
from sprat_inference.converters.bert import BertShape, write_bert
from sprat_inference.heads import TokenHead

Floats = NDArray[np.float32]

MIDDLE = 8
"""MatMulNBits without zero points: a nibble n stands for (n - 8) × its block's scale."""


def convert(graph: Path, config: Path, tokenizer: Path, texts: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Write encoder, head and tokenizer into `folder`, which must exist, and give the labels in the head's order.

    The means of `texts` are what the encoder is centred by.
    """
    settings = json.loads(config.read_text(encoding="utf-8"))
    weights = {name.removeprefix("bert."): array for name, array in _weights(onnx.load(graph).graph)}
    shape = BertShape(settings["num_hidden_layers"], settings["num_attention_heads"])
    sequences = [encoding.ids for encoding in Tokenizer.from_file(str(tokenizer)).encode_batch(texts)]
    write_bert(centred(weights, means(graph, sequences), shape.layers), shape, tokenizer, folder)
    labels = tuple(settings["id2label"][str(number)] for number in range(len(settings["id2label"])))
    TokenHead(np.ascontiguousarray(weights["classifier.weight"].T), weights["classifier.bias"]).save(folder)
    return labels


def _weights(graph: onnx.GraphProto) -> Iterator[tuple[str, Floats]]:
    """Every array of the model under the name that it had before the export."""
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for name, array in arrays.items():
        if name.endswith((".weight", ".bias")):
            yield name, array.astype(np.float32)
        elif name.endswith("_quantized"):  # the embeddings: 8 bits, one scale for all
            stem = name.removesuffix("_quantized")
            shifted = array.astype(np.float32) - arrays[f"{stem}_zero_point"].astype(np.float32)
            yield stem, shifted * arrays[f"{stem}_scale"].astype(np.float32)
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            # "/bert/encoder/layer.0/output/dense/MatMul_Q4" → "bert.encoder.layer.0.output.dense.weight"
            path = node.name.removeprefix("/").rpartition("/")[0]
            yield f"{path.replace('/', '.')}.weight", _four_bits(node, arrays)


def _four_bits(node: onnx.NodeProto, arrays: dict[str, NDArray[np.generic]]) -> Floats:
    """A matrix, out × in, of blocks along the input: two nibbles a byte, the lower one first."""
    sizes = {attribute.name: attribute.i for attribute in node.attribute}
    if sizes["bits"] != 4 or len(node.input) != 3:
        raise SystemExit(f"{node.name}: not 4 bits with one scale a block; this recipe does not know the form")
    _, packed_name, scales_name = node.input
    packed, scales = arrays[packed_name].astype(np.uint8), arrays[scales_name].astype(np.float32)
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).reshape(sizes["N"], -1, sizes["block_size"])
    values = (nibbles.astype(np.float32) - MIDDLE) * scales.reshape(sizes["N"], -1, 1)
    return np.ascontiguousarray(values.reshape(sizes["N"], -1)[:, : sizes["K"]], np.float32)
