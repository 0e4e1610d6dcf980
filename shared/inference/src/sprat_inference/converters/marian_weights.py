"""Check the weights of a Marian model before CTranslate2's converter reads them: it compares no shapes.

Arrays are named as Marian names them; matrices are in × out.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile, ZipFile

import numpy as np
import yaml
from numpy.lib import format as npy

from sprat.base.errors import UserError
from sprat_inference.converters.saved_model import MOST_HEADS, MOST_LAYERS, MOST_WIDTH, bounded

_CONFIG: Final = "special:model.yml"
_MOST_BYTES: Final = 8 << 30
"""Of all arrays; the largest published model has 1 GB."""
_FEED_FORWARD: Final = re.compile(r"(.+_ffn)_W1")

Shape = tuple[int, ...]
_OUTPUTS: Final[Mapping[str, Callable[[int, int], Shape]]] = {
    "decoder_ff_logit_out_W": lambda rows, width: (width, rows),
    "decoder_ff_logit_out_Wt": lambda rows, width: (rows, width),
    "decoder_ff_logit_out_b": lambda rows, _: (rows,),
}
"""Array of the last layer → its shape, by the rows of the embeddings and their width."""


def check_marian_weights(path: Path) -> None:
    """Check that an .npz holds the arrays that it states, in shapes that fit each other and its configuration.

    Raises:
        UserError: it does not; the message names the array or the field.
    """
    shapes = _stated_shapes(path)
    config = _config(path)
    for field in ("enc-depth", "dec-depth"):
        bounded(path, field, config.get(field), least=1, most=MOST_LAYERS)
    embeddings = next((shapes[name] for name in ("Wemb", "encoder_Wemb") if name in shapes), ())
    width = bounded(
        path, "the width of Wemb", embeddings[1] if len(embeddings) == 2 else None, least=1, most=MOST_WIDTH
    )
    heads = bounded(path, "transformer-heads", config.get("transformer-heads"), least=1, most=MOST_HEADS)
    if width % heads:
        raise UserError(f"{path}: transformer-heads is {heads}, which does not divide the width {width}")
    rows = shapes.get("decoder_Wemb", embeddings)[0]
    inner = {
        found[1]: shape[-1] for name, shape in shapes.items() if shape and (found := _FEED_FORWARD.fullmatch(name))
    }
    for name, shape in shapes.items():
        wanted = _OUTPUTS[name](rows, width) if name in _OUTPUTS else _wanted(name, shape, width, inner)
        # A bias may be a row or a vector: the converter squeezes it.
        fits = shape == wanted if len(wanted) > 1 else math.prod(shape) == math.prod(wanted)
        if not fits:
            raise UserError(f"{path}: {name} is shaped {shape}, it should be {wanted}; download the model again")


def _wanted(name: str, shape: Shape, width: int, inner: Mapping[str, int]) -> Shape:
    """Return the shape that an array should have: its own, where nothing is known of it."""
    scope, _, part = name.rpartition("_")
    known: dict[str, Shape] = dict.fromkeys(("Wq", "Wk", "Wv", "Wo"), (width, width))
    known |= dict.fromkeys(("bq", "bk", "bv", "bo", "b2"), (width,))
    known |= {"W1": (width, inner.get(scope, -1)), "W2": (inner.get(scope, -1), width), "b1": (inner.get(scope, -1),)}
    if "_ln_" in name:
        return (width,)
    if name == "Wpos" or part == "Wemb":
        return (shape[0] if shape else 1, width)
    return known.get(part, shape)


def _stated_shapes(path: Path) -> dict[str, Shape]:
    """Return the shape of each array, without reading it.

    Raises:
        UserError: the file is no .npz, or an array states more numbers than it has.
    """
    shapes: dict[str, Shape] = {}
    try:
        with ZipFile(path) as archive:
            if (size := sum(each.file_size for each in archive.infolist())) > _MOST_BYTES:
                raise UserError(f"{path}: holds {size / 1e9:.0f} GB; at most {_MOST_BYTES / 1e9:.0f} can be taken")
            for entry in archive.infolist():
                with archive.open(entry) as file:
                    read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
                    shape, _, kind = read(file)
                    start = file.tell()
                name = entry.filename.removesuffix(".npy")
                if kind.hasobject or math.prod(shape) * kind.itemsize != entry.file_size - start:
                    raise UserError(
                        f"{path}: {name} does not hold the numbers that it states; download the model again"
                    )
                shapes[name] = tuple(shape)
    except (BadZipFile, OSError, ValueError, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{path}: cannot be read as an .npz ({type(error).__name__}: {error})") from None
    return shapes


def _config(path: Path) -> Mapping[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            config = yaml.safe_load(arrays[_CONFIG][:-1].tobytes())
    except (KeyError, ValueError, OSError, yaml.YAMLError) as error:
        raise UserError(f"{path}: has no readable {_CONFIG} ({type(error).__name__})") from None
    if not isinstance(config, dict):
        raise UserError(f"{path}: {_CONFIG} holds a {type(config).__name__}, not an object")
    return config
