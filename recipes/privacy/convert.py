"""Convert Rampart's 4-bit ONNX to a CTranslate2 int8 encoder and a float32 head.

The encoder is centred first, so that int8 costs less accuracy. CTranslate2 rounds the input of every product to 255
steps between the token's largest absolute value and its negative. The output of a layer norm has channels that are
large in every token alike. Their mean can be subtracted from the norm's bias and added where the norm's output is used
(the products behind it, and the sum around them). That changes nothing but the rounding error, which drops by a third,
measured on the logits. The ONNX is run only to compute these means.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer

from sprat_inference.converters.bert import BertShape, write_bert
from sprat_inference.heads import TokenHead

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

ZERO_POINT = 8
"""MatMulNBits without zero points: a nibble n means (n - 8) × its block's scale."""


def convert(graph: Path, config: Path, tokenizer: Path, texts: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Write encoder, head and tokenizer into `folder`, which must exist; return the labels in the head's order.

    The encoder is centred with the means over `texts`.
    """
    settings = json.loads(config.read_text(encoding="utf-8"))
    weights = {name.removeprefix("bert."): array for name, array in _weights(onnx.load(graph).graph)}
    shape = BertShape(settings["num_hidden_layers"], settings["num_attention_heads"])
    sequences = [encoding.ids for encoding in Tokenizer.from_file(str(tokenizer)).encode_batch(texts)]
    write_bert(_centre(weights, _norm_means(graph, sequences), shape.layers), shape, tokenizer, folder)
    labels = tuple(settings["id2label"][str(number)] for number in range(len(settings["id2label"])))
    TokenHead(np.ascontiguousarray(weights["classifier.weight"].T), weights["classifier.bias"]).save(folder)
    return labels


def single_threaded_session(model: bytes | str) -> onnxruntime.InferenceSession:
    """Return a session on one thread, which adds sums in one order: a second run gives the same bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def inputs(ids: Sequence[int]) -> dict[str, NDArray[np.int64]]:
    """Return the inputs of the graph for one sequence."""
    row = np.array([ids], dtype=np.int64)
    return {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}


def _centre(weights: Mapping[str, Floats], means: Mapping[str, Doubles], layers: int) -> dict[str, Floats]:
    """Return weights of the same function with the mean of each norm moved; `means` has the norms' names."""
    arrays = {name: array.astype(np.float64) for name, array in weights.items()}
    for number in range(layers):
        layer = f"encoder.layer.{number}"
        before = "embeddings.LayerNorm" if number == 0 else f"encoder.layer.{number - 1}.output.LayerNorm"
        attention = [f"{layer}.attention.self.{name}" for name in ("query", "key", "value")]
        _move(arrays, means[before], before, attention, f"{layer}.attention.output.dense")
        middle = f"{layer}.attention.output.LayerNorm"
        _move(arrays, means[middle], middle, [f"{layer}.intermediate.dense"], f"{layer}.output.dense")
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def _move(arrays: dict[str, Doubles], mean: Doubles, norm: str, used_by: Sequence[str], added_back: str) -> None:
    arrays[f"{norm}.bias"] -= mean
    for product in used_by:
        arrays[f"{product}.bias"] += arrays[f"{product}.weight"] @ mean
    arrays[f"{added_back}.bias"] += mean  # the residual sum around the block contained it as well


def _norm_means(graph: Path, sequences: Sequence[Sequence[int]]) -> dict[str, Doubles]:
    """Return the mean output of each layer norm over all tokens of `sequences`, computed with the original graph."""
    model = onnx.load(graph)
    norms = {
        node.output[0]: node.input[1].removeprefix("bert.").removesuffix(".weight")
        for node in model.graph.node
        if node.op_type == "LayerNormalization"
    }
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in norms)
    session = single_threaded_session(model.SerializeToString())
    sums: dict[str, Doubles] = {norm: np.zeros(1) for norm in norms.values()}
    for ids in sequences:
        outputs = session.run(list(norms), inputs(ids))
        for norm, output in zip(norms.values(), outputs, strict=True):
            sums[norm] = sums[norm] + output[0].sum(axis=0, dtype=np.float64)
    tokens = sum(len(ids) for ids in sequences)
    return {norm: total / tokens for norm, total in sums.items()}


def _weights(graph: onnx.GraphProto) -> Iterator[tuple[str, Floats]]:
    """Yield every array of the model with its name before the export."""
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
    """Return a matrix, out × in, from blocks along the input: two nibbles in each byte, the lower one first."""
    sizes = {attribute.name: attribute.i for attribute in node.attribute}
    if sizes["bits"] != 4 or len(node.input) != 3:
        raise SystemExit(f"{node.name}: not 4 bits with one scale for each block; this recipe cannot read it")
    _, packed_name, scales_name = node.input
    packed, scales = arrays[packed_name].astype(np.uint8), arrays[scales_name].astype(np.float32)
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).reshape(sizes["N"], -1, sizes["block_size"])
    values = (nibbles.astype(np.float32) - ZERO_POINT) * scales.reshape(sizes["N"], -1, 1)
    return np.ascontiguousarray(values.reshape(sizes["N"], -1)[:, : sizes["K"]], np.float32)
